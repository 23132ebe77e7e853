"""Random input pictures of the config's size for the benchmark of training steps."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from restorebox.errors import ConfigError

WINDOWS = ('RandomWindow', 'CentreWindow')
LAYERS = {'transmission': 1}  # channels; 3 for other images


def step_size(args: argparse.Namespace, cfg: Any) -> tuple[int, int, int]:
    """Return (batch, height, width) of a step from the command line, else from the config's loader and last crop.

    Raises:
        ConfigError: no size is given, or there is no training set.
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


def roles_read(restorer: Any) -> list[str]:
    """Return the roles that a restorer's training reads; unlabelled real pictures are left out."""
    return [*restorer.picture_roles, *(role for role in restorer.optional_roles if role != 'real')]


def random_pictures(roles: list[str], size: tuple[int, int, int], seed: int = 0) -> dict:
    """Return a batch of random pictures and layers of rain by role, in the format of a data loader."""
    batch, height, width = size
    rng = torch.Generator().manual_seed(seed)
    inputs = {role: torch.rand(batch, LAYERS.get(role, 3), height, width, generator=rng) for role in roles}
    return {'inputs': inputs, 'data_samples': []}
