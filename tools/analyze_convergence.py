#!/usr/bin/env python3
"""The verb ``analyze-convergence`` of restorebox; --help lists its options."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['analyze-convergence', *sys.argv[1:]])
