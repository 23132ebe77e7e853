"""A network that begins anew now and then."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict

from restorebox.errors import ConfigError
from restorebox.registry import HOOKS, nearest
from restorebox.values import Samples


@HOOKS.register_module()
class ResetRoleHook(Hook):
    """Give a role new weights, and forget what its optimiser remembers, every so many samples.

    The code of Li, Cheong and Tan (CVPR 2019) makes its discriminator anew each epoch. Weights are drawn by
    ``reset_parameters`` of each layer, under a seed of their own, so that all ranks draw the same and nothing else
    depends on it.

    Args:
        role: name of the role; the optimiser's step of the same name is the one that forgets.
        every_samples: samples over all ranks between two beginnings.

    Raises:
        ConfigError: ``every_samples`` is no positive whole number.
    """

    def __init__(self, role: str, every_samples: Samples) -> None:
        if not isinstance(every_samples, int) or every_samples < 1:
            raise ConfigError(f'ResetRoleHook: every_samples is {every_samples!r}; it must be a positive whole number')
        self.role = role
        self.every_samples = every_samples

    def before_train(self, runner: object) -> None:
        """Raises ConfigError where there is no such role."""
        if self.role not in runner.restorer.steps:
            known = nearest(self.role, [*runner.restorer.steps])
            raise ConfigError(f"ResetRoleHook: there is no step '{self.role}'; {known}")

    def after_train_iter(self, runner: object, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Begin anew when the step just taken completed another ``every_samples``."""
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
