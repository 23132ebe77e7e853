#!/usr/bin/env python3
"""Train a model: tools/train.py CONFIG [--resume] [--amp] [--seed N] ... (--help lists all)."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['train', *sys.argv[1:]])
