"""Build everything a config names on the meta device, without data or memory, and name what is wrong."""

from __future__ import annotations

import argparse
import sys

from restorebox.cli.common import options_action
from restorebox.errors import RestoreboxError


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``check-config``."""
    parser = argparse.ArgumentParser(prog='restorebox check-config', description=__doc__)
    parser.add_argument('configs', nargs='+', help='config files')
    parser.add_argument('--cfg-options', nargs='+', action=options_action(), default={}, metavar='KEY=VALUE')
    return parser.parse_args(argv)


def check_config(path: str, overrides: dict | None = None) -> list[str]:
    """Check one config.

    Returns:
        Warnings, one line each.

    Raises:
        ConfigError: an unknown key, type or override, or values that a constructor refuses.
    """
    from restorebox.engine.build_check import build_all
    from restorebox.engine.check import check_types
    from restorebox.engine.config import check_top_level, load_config

    cfg = load_config(path, overrides)
    check_top_level(cfg)
    cfg.overrides = dict(overrides or {})
    check_types(cfg)
    return build_all(cfg)


def main(argv: list[str]) -> None:
    """Check all; exits with 1 when one is wrong."""
    args = parse(argv)
    wrong = 0
    for path in args.configs:
        try:
            warnings = check_config(path, args.cfg_options)
            print(f'ok     {path}')
            for line in warnings:
                print(f'note   {path}: {line}')
        except RestoreboxError as error:
            wrong += 1
            print(f'wrong  {path}: {error}', file=sys.stderr)
    if wrong:
        sys.exit(1)
