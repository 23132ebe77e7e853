"""Train a model from a config."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING

from restorebox.cli.common import add_config_options, prepare

if TYPE_CHECKING:
    from mmengine.config import Config


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``train``."""
    parser = argparse.ArgumentParser(prog='restorebox train', description=__doc__)
    parser.add_argument('config', help='a config file, or its path below configs/')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='resume from the newest checkpoint of the work directory, if there is one',
    )
    parser.add_argument('--amp', action='store_true', help='forward passes in bfloat16')
    parser.add_argument('--seed', type=int, help="overrides the config's randomness.seed")
    parser.add_argument('--deterministic', action='store_true', help='only deterministic kernels (slower on a GPU)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by (ranks x batch) / auto_scale_lr.base_batch_size',
    )
    parser.add_argument(
        '--no-data-check',
        action='store_true',
        help='skip the check of names, counts and 32 files of the data sets',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def apply_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply the options of ``train`` to a config."""
    from restorebox.errors import ConfigError

    cfg.resume = args.resume or cfg.get('resume', False)
    randomness = dict(cfg.get('randomness') or {})
    if args.seed is not None:
        randomness['seed'] = args.seed
    if args.deterministic:
        randomness['deterministic'] = True
    cfg.randomness = randomness
    if args.amp:
        wrapper = cfg.get('optim_wrapper') or {}  # the check of the config reports that it is missing
        single = 'optimizer' in wrapper
        for each in [wrapper] if single else [v for v in wrapper.values() if isinstance(v, dict)]:
            each['type'] = 'AutocastOptimWrapper'
    if args.auto_scale_lr:
        if not cfg.get('auto_scale_lr', {}).get('base_batch_size'):
            raise ConfigError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config')
        cfg.auto_scale_lr.enable = True


def quick_data_check(cfg: Config, name: str, options: list[str] | None = None) -> str | None:
    """Run the quick form of ``check-data`` on rank 0; other ranks wait for it at the next collective.

    Returns:
        One line of warnings for the log, or None.

    Raises:
        DataError: an error was found; the message has the command for the full check.
    """
    from restorebox.datasets.inspection import from_config, quick_check
    from restorebox.errors import DataError

    if int(os.environ.get('RANK', 0)) != 0:
        return None
    call = shlex.join(['restorebox', 'check-data', name, *(options or [])])
    report = quick_check(from_config(cfg, name, parts=('train', 'val')))
    if report.errors:
        more = f' (and {len(report.errors) - 1} more)' if len(report.errors) > 1 else ''
        raise DataError(f'{report.errors[0].text}{more}; `{call}` checks all data, --no-data-check skips the check')
    if not report.warnings:
        return None
    more = f' (and {len(report.warnings) - 1} more; restorebox check-data)' if len(report.warnings) > 1 else ''
    return f'data: {report.warnings[0].text}{more}'


def main(argv: list[str]) -> None:
    """Train."""
    args = parse(argv)
    from restorebox.engine.running import run_config

    cfg = prepare(args)
    apply_options(cfg, args)
    same = [f'--{key}={value}' for key, value in (('row', args.row), ('data-root', args.data_root)) if value]
    changes = [f'{key}={value}' for key, value in args.cfg_options.items()]
    same += ['--cfg-options', *changes] if changes else []
    run_config(cfg, 'train', None if args.no_data_check else lambda: quick_data_check(cfg, args.config, same))
