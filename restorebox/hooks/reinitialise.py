"""Periodic reinitialisation of a network or of an optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        _check_interval(type(self).__name__, every_samples)
        self.role = role
        self.every_samples = every_samples

    def before_train(self, runner: RestorationRunner) -> None:
        """Check that an optimiser step of this name exists.

        Raises:
            ConfigError: there is none.
        """
        _check_step(type(self).__name__, runner, self.role)

    def after_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Reset the role if the last step completed an interval of ``every_samples``."""
        now = _completed_intervals(runner, self.every_samples)
        if now is None:
            return
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(runner.seed + 1_000_003 * now)
            for module in runner.restorer.role(self.role).modules():
                if hasattr(module, 'reset_parameters'):
                    module.reset_parameters()
        _clear_state(runner, self.role)


@HOOKS.register_module()
class ResetOptimiserHook(Hook):
    """Clear the state of an optimiser, as if it was built again, at a fixed interval of samples.

    The code of Li, Cheong and Tan (CVPR 2019) builds its optimisers again every 10 epochs. The learning rate and its
    schedule stay.

    Args:
        step: name of the optimiser's step.
        every_samples: samples over all ranks between two resets.

    Raises:
        ConfigError: ``every_samples`` is not a positive whole number.
    """

    def __init__(self, step: str, every_samples: Samples) -> None:
        _check_interval(type(self).__name__, every_samples)
        self.step = step
        self.every_samples = every_samples

    def before_train(self, runner: RestorationRunner) -> None:
        """Check that an optimiser step of this name exists.

        Raises:
            ConfigError: there is none.
        """
        _check_step(type(self).__name__, runner, self.step)

    def after_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Clear the state if the last step completed an interval of ``every_samples``."""
        if _completed_intervals(runner, self.every_samples) is not None:
            _clear_state(runner, self.step)


def _check_interval(owner: str, every_samples: Any) -> None:
    if not isinstance(every_samples, int) or every_samples < 1:
        raise ConfigError(f'{owner}: every_samples is {every_samples!r}; it must be a positive whole number')


def _check_step(owner: str, runner: RestorationRunner, step: str) -> None:
    if step not in runner.restorer.steps:
        raise ConfigError(f"{owner}: there is no step '{step}'; {nearest(step, [*runner.restorer.steps])}")


def _completed_intervals(runner: RestorationRunner, every_samples: int) -> int | None:
    """Return the number of complete intervals if the last step completed one, else None."""
    batch = runner.train_loop.total_batch
    before, now = runner.iter * batch // every_samples, (runner.iter + 1) * batch // every_samples
    return None if now == before else now


def _clear_state(runner: RestorationRunner, step: str) -> None:
    wrapper = runner.optim_wrapper
    (wrapper[step] if isinstance(wrapper, OptimWrapperDict) else wrapper).optimizer.state.clear()
