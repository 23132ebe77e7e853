"""Train a model from a config."""

from __future__ import annotations

import argparse
import os

from restorebox.cli.common import add_config_options, prepare


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``train``."""
    parser = argparse.ArgumentParser(prog='restorebox train', description=__doc__)
    parser.add_argument('config', help='a config file, or its path below configs/')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='go on from the newest checkpoint of the work directory; start anew where there is none',
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
        help='start without a look at names, counts and 32 files of the data sets',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def apply_options(cfg: object, args: argparse.Namespace) -> None:
    """Put the options of ``train`` into a config."""
    from restorebox.errors import ConfigError

    cfg.resume = args.resume or cfg.get('resume', False)
    randomness = dict(cfg.get('randomness') or {})
    if args.seed is not None:
        randomness['seed'] = args.seed
    if args.deterministic:
        randomness['deterministic'] = True
    cfg.randomness = randomness
    if args.amp:
        wrapper = cfg.optim_wrapper
        single = 'optimizer' in wrapper
        for each in [wrapper] if single else [v for v in wrapper.values() if isinstance(v, dict)]:
            each['type'] = 'AutocastOptimWrapper'
    if args.auto_scale_lr:
        if not cfg.get('auto_scale_lr', {}).get('base_batch_size'):
            raise ConfigError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config')
        cfg.auto_scale_lr.enable = True


def look_at_data(cfg: object, name: str, row: str | None = None) -> str | None:
    """The quick form of ``check-data``, on the first rank; the others wait for it where the ranks meet.

    Returns:
        One line of warnings for the log, or None where there are none.

    Raises:
        DataError: an error was found; says it, and how to learn more.
    """
    from restorebox.datasets.inspection import from_config, quick_check
    from restorebox.errors import DataError

    if int(os.environ.get('RANK', 0)) != 0:
        return None
    call = f'restorebox check-data {name}' + (f' --row {row}' if row else '')
    report = quick_check(from_config(cfg, name, parts=('train', 'val')))
    if report.errors:
        more = f' and {len(report.errors) - 1} more errors' if len(report.errors) > 1 else ''
        raise DataError(
            f'{report.errors[0].text}{more}; `{call}` looks at all of it, --no-data-check starts without a look'
        )
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
    run_config(cfg, 'train', None if args.no_data_check else lambda: look_at_data(cfg, args.config, args.row))
