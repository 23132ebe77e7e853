"""Train a model from a config."""

from __future__ import annotations

import argparse

from restorebox.cli.common import add_config_options, prepare, run_runner


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


def main(argv: list[str]) -> None:
    """Train."""
    args = parse(argv)
    cfg = prepare(args)
    apply_options(cfg, args)
    run_runner(cfg, 'train')
