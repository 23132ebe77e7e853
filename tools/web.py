#!/usr/bin/env python3
"""The verb ``web`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['web', *sys.argv[1:]])
