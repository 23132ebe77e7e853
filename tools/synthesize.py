#!/usr/bin/env python3
"""The verb ``synthesize`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['synthesize', *sys.argv[1:]])
