"""Checking of a config, and running its training or test."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch.distributed as dist
from mmengine.config import Config
from torch.utils.data import DataLoader

from restorebox.engine.build_check import build_all
from restorebox.engine.check import check_types
from restorebox.engine.config import check_top_level, load_config
from restorebox.engine.runner import RestorationRunner
from restorebox.errors import ConfigError, DataError, RestoreboxError, one_line
from restorebox.processes import exit_at_once
from restorebox.registry import RUNNERS
from restorebox.restorers.base import BaseRestorer

TRAINING_KEYS = (
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'auto_scale_lr',
    'init_from',
    'freeze',
)
VALIDATION_KEYS = ('val_dataloader', 'val_cfg', 'val_evaluator')


def check_config(path: str, overrides: dict | None = None, row: str | None = None) -> list[str]:
    """Build all components of a config on the meta device, without data or memory for weights.

    Args:
        path: the config.
        overrides: dotted key -> value.
        row: name of a row of the config.

    Returns:
        Warnings, one line each.

    Raises:
        ConfigError: an unknown key, type or override, or values that a constructor refuses.
    """
    cfg = load_config(path, overrides, row)
    check_top_level(cfg)
    cfg.overrides = dict(overrides or {})
    check_types(cfg)
    return build_all(cfg)


def keep_test(cfg: Config, name: str, checkpoint: str) -> Config:
    """Remove the training part of a config, to test a checkpoint on its test set; changes and returns the config.

    Args:
        cfg: the config.
        name: name of the config, for messages.
        checkpoint: path or URL of a training checkpoint or a published file.

    Raises:
        ConfigError: there is no test set.
    """
    if cfg.get('test_dataloader') is None:
        raise ConfigError(f'config {name}: has no test_dataloader, so there is nothing to score on')
    for key in (*TRAINING_KEYS, *VALIDATION_KEYS):
        cfg[key] = None
    cfg.load_from, cfg.resume = checkpoint, False
    return cfg


def load_for_test(cfg: Config) -> tuple[BaseRestorer, DataLoader]:
    """Build the restorer with the weights of ``cfg.load_from``, in evaluation mode, and the test data loader.

    Args:
        cfg: config returned by :func:`keep_test`.

    Raises:
        ConfigError, CheckpointError, DataError: the config, the weights or the data are invalid.
    """
    build_all(cfg)
    runner = RUNNERS.build(cfg)
    runner.load_or_resume()
    return runner.restorer.eval(), runner.build_dataloader(cfg.test_dataloader)


def run_config(cfg: Config, job: str, look: Callable[[], str | None] | None = None) -> RestorationRunner:
    """Build the config's runner and call ``runner.train()`` or ``runner.test()``.

    With several ranks the process exits here when all ranks have finished.

    Args:
        cfg: a config with ``work_dir`` and ``launcher``.
        job: 'train' or 'test'.
        look: called after the config has been checked and before anything is built; its result is logged as a warning.

    Raises:
        ConfigError: the config is invalid, or a constructor refuses a value.
        DataError: the scores of a test do not cover the whole set; all files have been written.
    """
    check_types(cfg)
    warnings = build_all(cfg)
    warnings += [line for line in [look() if look else None] if line]
    try:
        runner = RUNNERS.build(cfg)
    except (RestoreboxError, OSError):
        raise
    except Exception as error:  # an invalid value that only a constructor detects
        if os.environ.get('RESTOREBOX_TRACEBACK'):
            raise
        reason = f'{type(error).__name__}: {one_line(error)}'
        raise ConfigError(f'the run could not be built: {reason} (RESTOREBOX_TRACEBACK=1 shows where)') from error
    for line in warnings:
        runner.logger.warning(line)
    metrics = getattr(runner, job)()
    problems = runner.test_loop.problems(metrics) if job == 'test' and hasattr(runner.test_loop, 'problems') else []
    if problems:  # the same on every rank
        raise DataError(f'test: {"; ".join(problems)}')
    if dist.is_available() and dist.is_initialized():
        dist.barrier()  # other ranks may still need the first rank, which hosts the store
        exit_at_once(0)
    return runner
