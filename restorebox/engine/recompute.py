"""Activation checkpointing: recompute activations in the backward pass instead of storing them.

Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016). The gradients are the same, bit by bit on a CPU,
and so are buffers such as the running statistics of batch normalisation; a step takes about a fifth longer. The
config's key is MMEngine's, ``activation_checkpointing``, with patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import mmengine.runner.runner as mmengine_runner
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from restorebox.errors import ConfigError
from restorebox.registry import nearest
from restorebox.restorers.weights import without_wrapper


def matching_modules(model: nn.Module, patterns: str | list[str]) -> list[nn.Module]:
    """Return the modules whose name matches a pattern.

    Args:
        model: a restorer; its roles may be wrapped in DDP.
        patterns: names such as ``'generator.backbone.blocks.*'``, of modules that are called as a whole. ``*`` matches
            dots too; only the outermost matching modules are returned.

    Raises:
        ConfigError: no list of names, or a pattern without a match.
    """
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(each, str) for each in patterns):
        raise ConfigError(f'config, activation_checkpointing is {patterns!r}; it must be a list of names of modules')
    names = dict(_named(model, ''))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(
                f"config, activation_checkpointing: no module matches '{pattern}'; {nearest(pattern, tuple(names))}"
            )
    found: dict[str, nn.Module] = {}
    for name, module in names.items():  # a module comes before its children
        inside = any(name.startswith(f'{outer}.') for outer in found)
        if not inside and any(fnmatchcase(name, pattern) for pattern in patterns):
            found[name] = module
    return list(found.values())


def _named(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield names and modules without DDP wrappers, and without containers, which are never called themselves."""
    for name, child in module.named_children():
        inner = without_wrapper(child)
        if not isinstance(inner, (nn.ModuleList, nn.ModuleDict)):
            yield f'{prefix}{name}', inner
        yield from _named(inner, f'{prefix}{name}.')


def recompute(model: nn.Module, patterns: str | list[str]) -> None:
    """Store only the inputs of the matching modules in training passes.

    Raises:
        ConfigError: see :func:`matching_modules`.
    """
    for module in matching_modules(model, patterns):
        module.forward = partial(_forward, module, module.forward)


def _forward(module: nn.Module, forward: Callable, *args: Any, **kwargs: Any) -> Any:
    if not module.training:
        return forward(*args, **kwargs)

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), _buffers_restored(module)

    return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)


@contextmanager
def _buffers_restored(module: nn.Module) -> Iterator[None]:
    """Undo what the second pass does to buffers: batch normalisation would update its running statistics twice."""
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)


@contextmanager
def our_checkpointing() -> Iterator[None]:
    """Make MMEngine's Runner call :func:`recompute` inside the context; its own function fails with DDP."""
    held = mmengine_runner.turn_on_activation_checkpointing
    mmengine_runner.turn_on_activation_checkpointing = recompute
    try:
        yield
    finally:
        mmengine_runner.turn_on_activation_checkpointing = held
