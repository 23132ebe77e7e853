#!/usr/bin/env python3
"""The verb ``convert-weights`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['convert-weights', *sys.argv[1:]])
