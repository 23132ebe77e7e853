#!/usr/bin/env python3
"""The verb ``check-config`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['check-config', *sys.argv[1:]])
