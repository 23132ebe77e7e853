"""A restorer from a file alone: training checkpoints and published files hold the config that their weights fit."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from restorebox.engine.checkpoint import deployed_state, load_file
from restorebox.errors import CheckpointError
from restorebox.registry import RESTORERS
from restorebox.restorers.base import BaseRestorer


def stored_config(checkpoint: dict, path: str | Path) -> dict:
    """The config inside a checkpoint.

    It is read as JSON. MMEngine keeps the text of the config file as well, which would have to be executed.

    Raises:
        CheckpointError: there is none.
    """
    try:
        cfg = json.loads(checkpoint['meta']['cfg_json'])
        cfg['model']['type']
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f'checkpoint {path}: has no config inside, so that nobody can tell which network its weights are of'
        ) from error
    return cfg


def load_restorer(path: str | Path, device: str | torch.device = 'cpu', model: dict | None = None) -> BaseRestorer:
    """Build the restorer of a training checkpoint (.pth) or published file (.safetensors), with its weights.

    Args:
        path: the file.
        device: where the restorer goes.
        model: the restorer's config; None for the one inside the file.

    Returns:
        In evaluation mode, ready for ``restore``; networks that only training reads have no weights.

    Raises:
        CheckpointError: no such file, no config inside, or weights that do not fit it.
    """
    checkpoint = load_file(path)
    restorer = RESTORERS.build(stored_config(checkpoint, path)['model'] if model is None else model)
    try:
        restorer.load_weights(deployed_state(checkpoint), restorer.deployed)
    except CheckpointError as error:
        raise CheckpointError(f'checkpoint {path}: {error}') from None
    return restorer.to(device).eval()
