"""Check configs by building all components on the meta device, without data or memory."""

from __future__ import annotations

import argparse
import sys

from restorebox.cli.common import add_row_option, options_action
from restorebox.errors import RestoreboxError


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``check-config``."""
    parser = argparse.ArgumentParser(prog='restorebox check-config', description=__doc__)
    parser.add_argument('configs', nargs='+', help='config files')
    add_row_option(parser)
    parser.add_argument('--cfg-options', nargs='+', action=options_action(), default={}, metavar='KEY=VALUE')
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Check all configs; exits with 1 if one is invalid."""
    args = parse(argv)
    from restorebox.engine.running import check_config

    wrong = 0
    for path in args.configs:
        try:
            warnings = check_config(path, args.cfg_options, args.row)
            print(f'ok     {path}')
            for line in warnings:
                print(f'note   {path}: {line}')
        except RestoreboxError as error:
            wrong += 1
            print(f'wrong  {path}: {error}', file=sys.stderr)
    if wrong:
        sys.exit(1)
