"""What a measured training step works on: random pictures of the config's size."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from restorebox.errors import ConfigError

WINDOWS = ('RandomWindow', 'CentreWindow')


def step_size(args: argparse.Namespace, cfg: Any) -> tuple[int, int, int]:
    """(batch, height, width) of a step: the command line's, else those of the config's loader and its last window.

    Raises:
        ConfigError: neither says a size, or there is no training set.
    """
    if cfg.get('train_dataloader') is None:
        raise ConfigError(f'config {args.config}: has no train_dataloader')
    batch = args.batch or cfg.train_dataloader.batch_size
    if args.size:
        return batch, args.size, args.size
    sizes = [step['size'] for step in cfg.train_dataloader.dataset.pipeline if step['type'] in WINDOWS]
    if not sizes:
        raise ConfigError('train_dataloader.dataset.pipeline: cuts no window, so the size of a step is not known')
    return (batch, *((sizes[-1],) * 2 if isinstance(sizes[-1], int) else sizes[-1]))


def random_pictures(restorer: Any, size: tuple[int, int, int]) -> dict:
    """A batch of random pictures in each role that a restorer trains on, as a loader gives it."""
    batch, height, width = size
    draw = torch.Generator().manual_seed(0)
    inputs = {role: torch.rand(batch, 3, height, width, generator=draw) for role in restorer.picture_roles}
    return {'inputs': inputs, 'data_samples': []}
