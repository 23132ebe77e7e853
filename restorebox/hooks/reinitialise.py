"""Periodic reinitialisation of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict

from restorebox.errors import ConfigError
from restorebox.registry import HOOKS, nearest
from restorebox.values import Samples

if TYPE_CHECKING:
    from restorebox.engine.runner import RestorationRunner


@HOOKS.register_module()
class ResetRoleHook(Hook):
    """Reinitialise the weights of a role and clear its optimiser state at a fixed interval of samples.

    The code of Li, Cheong and Tan (CVPR 2019) reinitialises its discriminator each epoch. Weights are drawn by each
    layer's ``reset_parameters`` under a separate seed: all ranks draw the same, and other random draws do not change.

    Args:
        role: name of the role; the state of the optimiser step of the same name is cleared.
        every_samples: samples over all ranks between two resets.

    Raises:
        ConfigError: ``every_samples`` is not a positive whole number.
    """

    def __init__(self, role: str, every_samples: Samples) -> None:
        if not isinstance(every_samples, int) or every_samples < 1:
            raise ConfigError(f'ResetRoleHook: every_samples is {every_samples!r}; it must be a positive whole number')
        self.role = role
        self.every_samples = every_samples

    def before_train(self, runner: RestorationRunner) -> None:
        """Check that an optimiser step of this name exists.

        Raises:
            ConfigError: there is none.
        """
        if self.role not in runner.restorer.steps:
            known = nearest(self.role, [*runner.restorer.steps])
            raise ConfigError(f"ResetRoleHook: there is no step '{self.role}'; {known}")

    def after_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Reset the role if the last step completed an interval of ``every_samples``."""
        batch = runner.train_loop.total_batch
        before, now = runner.iter * batch // self.every_samples, (runner.iter + 1) * batch // self.every_samples
        if now == before:
            return
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(runner.seed + 1_000_003 * now)
            for module in runner.restorer.role(self.role).modules():
                if hasattr(module, 'reset_parameters'):
                    module.reset_parameters()
        wrapper = runner.optim_wrapper
        (wrapper[self.role] if isinstance(wrapper, OptimWrapperDict) else wrapper).optimizer.state.clear()
