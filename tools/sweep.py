#!/usr/bin/env python3
"""Check the papers' claims: tools/sweep.py [METHOD[/CLAIM]] --budget tiny|small|paper ... (--help lists all)."""

from restorebox.cli.main import main

if __name__ == '__main__':
    import sys

    main(['sweep', *sys.argv[1:]])
