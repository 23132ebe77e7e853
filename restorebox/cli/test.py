"""Score a checkpoint on the test set of its config.

Exit code 1 where the scores are not those of the whole set: a mean is nan, or pictures are missing that were not
skipped by name. All files are written then, too.
"""

from __future__ import annotations

import argparse

from restorebox.cli.common import add_config_options, prepare, run_runner

TRAINING_KEYS = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr')
VALIDATION_KEYS = ('val_dataloader', 'val_cfg', 'val_evaluator')


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``test``."""
    parser = argparse.ArgumentParser(prog='restorebox test', description=__doc__)
    parser.add_argument('config', help='a config file, or its path below configs/')
    parser.add_argument(
        'checkpoint', help='a training checkpoint (.pth) or a published file (.safetensors), or its URL'
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def prepare_test(args: argparse.Namespace) -> object:
    """Read a config, without its training part, to run a checkpoint on its test set.

    Raises:
        ConfigError: there is no test set.
    """
    from restorebox.errors import ConfigError

    cfg = prepare(args)
    if cfg.get('test_dataloader') is None:
        raise ConfigError(f'config {args.config}: has no test_dataloader, so there is nothing to score on')
    for key in (*TRAINING_KEYS, *VALIDATION_KEYS):
        cfg[key] = None
    cfg.load_from, cfg.resume = args.checkpoint, False
    return cfg


def main(argv: list[str]) -> None:
    """Test; writes ``scores.json`` into the work directory."""
    run_runner(prepare_test(parse(argv)), 'test')
