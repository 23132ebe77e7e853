#!/usr/bin/env python3
"""Train configs in a row: tools/train_stages.py CONFIG CONFIG ... (--help says more)."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['train-stages', *sys.argv[1:]])
