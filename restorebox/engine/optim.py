"""Optimiser wrappers: bfloat16 autocast on any device, and one optimiser per step of a restorer."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIMIZERS
from torch import nn

from restorebox.errors import ConfigError
from restorebox.layers.precision import has_bf16
from restorebox.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, nearest
from restorebox.restorers.weights import without_wrapper


def steps_per_update(wrapper: OptimWrapper | OptimWrapperDict) -> int:
    """Return the number of steps between two updates of all optimisers: 1 unless gradients accumulate."""
    each = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return math.lcm(*(w._accumulative_counts for w in each))


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Forward passes under bfloat16 autocast, on a CPU or a GPU.

    bfloat16 has float32's exponent range, so no loss scaling is needed. Weights, gradients and optimiser stay float32.

    Args:
        emulate: on a device without native bfloat16 a step takes many times longer than in float32. True uses bfloat16
            all the same, False uses float32 there; a warning is logged.
        kwargs: of MMEngine's ``OptimWrapper``.
    """

    _warned = False

    def __init__(self, *args: Any, emulate: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.emulate = emulate

    def reduces(self, device: torch.device) -> bool:
        """Whether forward passes on this device use bfloat16."""
        return self.emulate or has_bf16(device)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Add autocast to MMEngine's context (no gradient synchronisation while gradients accumulate)."""
        device = next(model.parameters()).device
        if not AutocastOptimWrapper._warned and not has_bf16(device):
            AutocastOptimWrapper._warned = True
            consequence = (
                "it is several times slower than float32 (no --amp, optim_wrapper.type='OptimWrapper')"
                if self.emulate
                else 'training in float32'
            )
            print_log(f'bfloat16 is only emulated on this {device.type}: {consequence}', 'current', logging.WARNING)
        reduced = torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.reduces(device))
        with super().optim_context(model), reduced:
            yield


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class RoleOptimWrapperConstructor:
    """One optimiser per step of a restorer, over the roles that the step updates.

    ::

        optim_wrapper = dict(
            constructor='RoleOptimWrapperConstructor',
            generator=dict(optimizer=dict(type='Adam', lr=2e-4)),
            discriminator=dict(optimizer=dict(type='Adam', lr=2e-4)),
        )

    Args:
        optim_wrapper_cfg: step -> wrapper config; steps are those of the restorer's ``steps``.
        paramwise_cfg: not supported; MMEngine passes it.

    Raises:
        ConfigError: a step is missing or unknown.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise ConfigError('optim_wrapper: paramwise_cfg is not supported with several optimisers')
        self.cfg = {key: value for key, value in optim_wrapper_cfg.items() if key not in ('type', 'constructor')}

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the wrappers of a restorer, with or without DDP."""
        restorer: Any = without_wrapper(model)
        for key in self.cfg:
            if key not in restorer.steps:
                raise ConfigError(
                    f"optim_wrapper: {type(restorer).__name__} has no step '{key}'; "
                    + nearest(key, tuple(restorer.steps))
                )
        wrappers = {}
        for step, roles in restorer.steps.items():
            if step not in self.cfg or 'optimizer' not in self.cfg[step]:
                raise ConfigError(f"optim_wrapper: needs an optimiser for the step '{step}'")
            cfg = {'type': 'OptimWrapper', **self.cfg[step]}
            params = [p for role in roles for p in getattr(restorer, role).parameters() if p.requires_grad]
            if not params:
                raise ConfigError(f"optim_wrapper: every weight that the step '{step}' updates is frozen")
            cfg['optimizer'] = OPTIMIZERS.build({**cfg['optimizer'], 'params': params})
            wrappers[step] = OPTIM_WRAPPERS.build(cfg)
            if len(restorer.steps) > 1 and hasattr(wrappers[step], 'grad_name'):
                wrappers[step].grad_name = f'grad_norm_{step}'  # under one name the mean would be logged
        return OptimWrapperDict(**wrappers)
