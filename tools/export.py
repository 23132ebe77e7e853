#!/usr/bin/env python3
"""The verb ``export`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['export', *sys.argv[1:]])
