"""Building of a restorer from one file: training checkpoints and published files contain their config."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from restorebox.engine.checkpoint import deployed_state, load_file
from restorebox.engine.plugins import plugin_notes
from restorebox.engine.zoo import with_config
from restorebox.errors import CheckpointError, ConfigError
from restorebox.registry import RESTORERS
from restorebox.restorers.base import BaseRestorer
from restorebox.untrusted import checked_config, read_json

MODULES = 100_000  # upper limit of modules plus weights of a model
WEIGHTS = 2**28  # upper limit of weights used in training only: 1 GiB in float32


def load_model_file(path: str | Path) -> dict:
    """Load a file of weights; public weights that spandrel recognises get the config of their network.

    Raises:
        CheckpointError: see :func:`load_file` and :func:`with_config`.
    """
    return with_config(load_file(path), path)


def stored_config(checkpoint: dict, path: str | Path) -> dict:
    """Return the config stored in a checkpoint: plain data, with registered component names only in ``model``.

    It is read as JSON. MMEngine also stores the text of the config file, which would have to be executed.

    Raises:
        CheckpointError: there is none, or it is refused, see :func:`restorebox.untrusted.checked_config`.
    """
    text = checkpoint['meta'].get('cfg_json')
    if text is None:
        raise CheckpointError(
            f'checkpoint {path}: contains no config, so the network of its weights is unknown; `restorebox '
            "convert-weights` converts those of some projects, and the extra 'zoo' recognises those of others"
        )
    try:
        cfg = read_json(text)
    except ValueError as error:
        raise CheckpointError(f'checkpoint {path}: contains no readable config: {error}') from None
    try:
        checked_config(cfg.get('model') if isinstance(cfg, dict) else None)
    except ConfigError as error:
        if notes := plugin_notes(checkpoint['meta'].get('plugins')):
            raise CheckpointError(
                f'checkpoint {path}: it was made with the plugin {", ".join(notes)}: model, {error}'
            ) from None
        raise CheckpointError(
            f'checkpoint {path}: the config inside is refused: model, {error}; with a config file of your own: '
            f'--model CONFIG.py --checkpoint {path}'
        ) from None
    return cfg


def load_restorer(path: str | Path, device: str | torch.device = 'cpu', model: dict | None = None) -> BaseRestorer:
    """Build the restorer of a training checkpoint (.pth) or published file (.safetensors) and load its weights.

    Args:
        path: the file.
        device: device of the restorer.
        model: the restorer's config; None reads it from the file.

    Returns:
        The restorer in evaluation mode; networks used in training only have no weights.

    Raises:
        CheckpointError: no such file, no config inside, or weights that do not fit it.
    """
    checkpoint = load_model_file(path)
    try:
        if model is None:
            model = stored_config(checkpoint, path)['model']
            # before memory is allocated: the weights in the file must have the sizes that its config names
            check_deployed(checkpoint, build_on_meta(model, path), path)
        restorer = RESTORERS.build(model)
        restorer.load_weights(deployed_state(checkpoint), restorer.deployed)
    except CheckpointError as error:
        line = str(error)
        raise CheckpointError(line if str(path) in line else f'checkpoint {path}: {line}') from None
    return restorer.to(device).eval()


def build_on_meta(model: dict, path: str | Path) -> BaseRestorer:
    """Build the restorer of an untrusted config without memory for its weights.

    Args:
        model: config returned by :func:`stored_config`.
        path: the file, for the message.

    Raises:
        CheckpointError: it can't be built, or exceeds the limits of this module.
    """
    try:
        with torch.device('meta'), _WithoutDraws(), bounded_building():
            restorer = RESTORERS.build(model)
    except Exception as error:  # constructors raise various exceptions for invalid values
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
    """Check that a file's weights fit the deployed networks.

    Raises:
        CheckpointError: see :meth:`BaseRestorer.check_weights`.
    """
    try:
        restorer.check_weights(deployed_state(checkpoint), restorer.deployed)
    except CheckpointError as error:
        raise CheckpointError(f'checkpoint {path}: {error}') from None


class _WithoutDraws(TorchFunctionMode):
    """Skip drawing of normal numbers: on the meta device it has no effect, and imports PyTorch's compiler (1.5 s)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs['tensor']
        return func(*args, **kwargs)


@contextmanager
def bounded_building() -> Iterator[None]:
    """Limit the number of modules and weights that are built; for the meta device.

    Raises:
        ConfigError: more than :data:`MODULES` modules and weights.
    """
    count = 0

    def count_registration(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > MODULES:
            raise ConfigError(f'the model has more than {MODULES} layers and weights')

    hooks = [
        torch.nn.modules.module.register_module_module_registration_hook(count_registration),
        torch.nn.modules.module.register_module_parameter_registration_hook(count_registration),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
