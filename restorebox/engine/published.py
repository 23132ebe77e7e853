"""A restorer from a file alone: training checkpoints and published files hold the config that their weights fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from restorebox.engine.checkpoint import deployed_state, load_file
from restorebox.errors import CheckpointError, ConfigError
from restorebox.registry import RESTORERS
from restorebox.restorers.base import BaseRestorer
from restorebox.untrusted import checked_config, read_json

MODULES = 100_000  # that a model may have, weights counted in
WEIGHTS = 2**28  # of networks that only training reads: 1 GiB in float32


def stored_config(checkpoint: dict, path: str | Path) -> dict:
    """The config inside a checkpoint: plain data, whose ``model`` names registered components only.

    It is read as JSON. MMEngine keeps the text of the config file as well, which would have to be executed.

    Raises:
        CheckpointError: there is none, or one that is refused, see :func:`restorebox.untrusted.checked_config`.
    """
    text = checkpoint['meta'].get('cfg_json')
    if text is None:
        raise CheckpointError(
            f'checkpoint {path}: has no config inside, so that nobody can tell which network its weights are of'
        )
    try:
        cfg = read_json(text)
    except ValueError as error:
        raise CheckpointError(f'checkpoint {path}: has no config inside that can be read: {error}') from None
    try:
        checked_config(cfg.get('model') if isinstance(cfg, dict) else None)
    except ConfigError as error:
        raise CheckpointError(
            f'checkpoint {path}: the config inside is refused: model, {error}; with a config file of your own: '
            f'--model CONFIG.py --checkpoint {path}'
        ) from None
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
    try:
        if model is None:
            model = stored_config(checkpoint, path)['model']
            # before any memory is taken: whatever sizes the config inside names, the weights must have them
            check_deployed(checkpoint, build_on_meta(model, path), path)
        restorer = RESTORERS.build(model)
        restorer.load_weights(deployed_state(checkpoint), restorer.deployed)
    except CheckpointError as error:
        line = str(error)
        raise CheckpointError(line if str(path) in line else f'checkpoint {path}: {line}') from None
    return restorer.to(device).eval()


def build_on_meta(model: dict, path: str | Path) -> BaseRestorer:
    """The restorer of a config that came out of a file, without memory for its weights.

    Args:
        model: what :func:`stored_config` let through.
        path: the file, for the message.

    Raises:
        CheckpointError: it can't be built, or is larger than any real model.
    """
    try:
        with torch.device('meta'), _bounded_building():
            restorer = RESTORERS.build(model)
    except Exception as error:  # constructors refuse values that make no sense in many ways
        reason = ' '.join(str(error).split())[:200]
        kind = '' if isinstance(error, ConfigError) else f'{type(error).__name__}: '
        raise CheckpointError(f"checkpoint {path}: the config inside can't be built: {kind}{reason}") from error
    if not isinstance(restorer, BaseRestorer):
        raise CheckpointError(f'checkpoint {path}: the config inside is of a {type(restorer).__name__}, no restorer')
    others = [child for name, child in restorer.named_children() if name not in restorer.deployed]
    count = sum(value.numel() for child in others for value in nn.Module.state_dict(child).values())
    if count > WEIGHTS:
        raise CheckpointError(f'checkpoint {path}: the config inside has {count} weights that restoring never reads')
    return restorer


def check_deployed(checkpoint: dict, restorer: BaseRestorer, path: str | Path) -> None:
    """See whether a file's weights fit the deployed networks.

    Raises:
        CheckpointError: see :meth:`BaseRestorer.check_weights`.
    """
    try:
        restorer.check_weights(deployed_state(checkpoint), restorer.deployed)
    except CheckpointError as error:
        raise CheckpointError(f'checkpoint {path}: {error}') from None


@contextmanager
def _bounded_building() -> Iterator[None]:
    """Stop what builds more modules or weights than any real model has; for the meta device.

    Raises:
        ConfigError: more than :data:`MODULES` modules and weights.
    """
    count = 0

    def seen(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > MODULES:
            raise ConfigError(f'the model has more than {MODULES} layers and weights')

    hooks = [
        torch.nn.modules.module.register_module_module_registration_hook(seen),
        torch.nn.modules.module.register_module_parameter_registration_hook(seen),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
