#!/usr/bin/env python3
"""The verb ``analyze-distortions`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['analyze-distortions', *sys.argv[1:]])
