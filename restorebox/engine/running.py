"""From a config to a finished run: check, build, train or test."""

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
from restorebox.processes import leave
from restorebox.registry import RUNNERS
from restorebox.restorers.base import BaseRestorer

TRAINING_KEYS = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr')
VALIDATION_KEYS = ('val_dataloader', 'val_cfg', 'val_evaluator')


def check_config(path: str, overrides: dict | None = None, row: str | None = None) -> list[str]:
    """Build everything that a config names on the meta device, without data or memory.

    Args:
        path: the config.
        overrides: dotted keys and their values.
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
    """A config without its training part, to run a checkpoint on its test set; changes and returns it.

    Args:
        cfg: the config.
        name: of it, for messages.
        checkpoint: a training checkpoint or a published file, or its URL.

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
    """A restorer with the weights of ``cfg.load_from``, in evaluation mode, and the loader of its test set.

    Args:
        cfg: what :func:`keep_test` left.

    Raises:
        ConfigError, CheckpointError, DataError: the config, the weights or the data are wrong.
    """
    build_all(cfg)
    runner = RUNNERS.build(cfg)
    runner.load_or_resume()
    return runner.restorer.eval(), runner.build_dataloader(cfg.test_dataloader)


def run_config(cfg: Config, job: str, look: Callable[[], str | None] | None = None) -> RestorationRunner:
    """Build the config's runner and call ``runner.train()`` or ``runner.test()``.

    One of several ranks does not return: it leaves when all are done.

    Args:
        cfg: a config with ``work_dir`` and ``launcher``.
        job: 'train' or 'test'.
        look: called when the config has been checked and before anything is built; what it returns is logged as a
            warning.

    Raises:
        ConfigError: the config is wrong, or a constructor refuses a value.
        DataError: the scores of a test are not those of the whole set; all is written.
    """
    check_types(cfg)
    warnings = build_all(cfg)
    warnings += [line for line in [look() if look else None] if line]
    try:
        runner = RUNNERS.build(cfg)
    except (RestoreboxError, OSError):
        raise
    except Exception as error:  # a value that no check knows and a constructor refuses
        if os.environ.get('RESTOREBOX_TRACEBACK'):
            raise
        reason = f'{type(error).__name__}: {one_line(error)}'
        raise ConfigError(f'the run could not be built: {reason} (RESTOREBOX_TRACEBACK=1 shows where)') from error
    for line in warnings:
        runner.logger.warning(line)
    metrics = getattr(runner, job)()
    problems = runner.test_loop.problems(metrics) if job == 'test' and hasattr(runner.test_loop, 'problems') else []
    if problems:  # on every rank; all files are written
        raise DataError(f'test: {"; ".join(problems)}')
    if dist.is_available() and dist.is_initialized():
        dist.barrier()  # a rank that is still busy may need the first one, which keeps the store
        leave(0)
    return runner
