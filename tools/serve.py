#!/usr/bin/env python3
"""The verb ``serve`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['serve', *sys.argv[1:]])
