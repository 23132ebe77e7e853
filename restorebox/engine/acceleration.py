"""Settings that change how fast a training step is, and not what it computes: compiled roles and TF32."""

from __future__ import annotations

import logging
from typing import Any

import torch

from restorebox.errors import ConfigError
from restorebox.registry import nearest


def compile_roles(restorer: Any, settings: dict[str, Any], logger: logging.Logger) -> None:
    """Compile the forward pass of single networks, in place; their weights keep their names.

    The optimiser steps with their branches and checks stay in Python, so less is compiled, and nothing of it is
    compiled again when a branch is taken for the first time.

    Args:
        restorer: the restorer; a role may have a DDP wrapper.
        settings: ``roles``, names of networks; the others are arguments of ``torch.compile``.
            ``mode='reduce-overhead'`` replays CUDA graphs, which needs crops of one size.
        logger: receives a line.

    Raises:
        ConfigError: an unknown role or backend.
    """
    options = dict(settings)
    roles = options.pop('roles')
    known = tuple(dict.fromkeys(name for names in restorer.steps.values() for name in names))
    for name in roles:
        if name not in known:
            raise ConfigError(
                f"config, compile.roles: {type(restorer).__name__} trains no '{name}'; {nearest(name, known)}"
            )
    backends = torch.compiler.list_backends(None) if 'backend' in options else []
    if 'backend' in options and options['backend'] not in backends:
        raise ConfigError(f"config, compile.backend is '{options['backend']}'; {nearest(options['backend'], backends)}")
    for name in roles:
        restorer.role(name).compile(**options)
    logger.info(f'compiled: {", ".join(roles)}; the first steps take minutes')


def allow_tf32(allowed: bool | None) -> None:
    """Let matrix products and convolutions of float32 use TF32 on NVIDIA GPUs, or forbid it.

    TF32 rounds factors to 10 bits of mantissa.

    Args:
        allowed: None keeps PyTorch's defaults: convolutions use it, matrix products do not.
    """
    if allowed is not None:
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed
