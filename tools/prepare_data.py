#!/usr/bin/env python3
"""The verb ``prepare-data`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['prepare-data', *sys.argv[1:]])
