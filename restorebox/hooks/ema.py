"""Exponential moving average of the deployed weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmengine.hooks import Hook

from restorebox.engine.checkpoint import EMA_KEY
from restorebox.engine.optim import steps_per_update
from restorebox.errors import ConfigError
from restorebox.registry import HOOKS

if TYPE_CHECKING:
    from restorebox.engine.runner import RestorationRunner


@HOOKS.register_module()
class RoleEMAHook(Hook):
    """Exponential moving average over the deployed roles: avg <- decay * avg + (1 - decay) * weights, each update.

    Roles used only in training (discriminators, inverse generators) are not averaged. Validation uses the average. A
    checkpoint stores it besides the current weights; testing and publishing read it from there.

    Args:
        decay: 0 keeps the current weights, 0.999 averages over about 1,000 updates. The first updates use
            min(decay, (1 + n) / (10 + n)), which reduces the influence of the initial weights.

    Raises:
        ConfigError: decay outside [0, 1).
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f'RoleEMAHook: decay is {decay}; it must be in [0, 1)')
        self.decay = decay
        self.average: dict[str, torch.Tensor] | None = None
        self.steps = 0

    @staticmethod
    def _live(runner: RestorationRunner) -> dict[str, torch.Tensor]:
        restorer = runner.restorer
        return {
            f'{role}.{key}': value
            for role in restorer.deployed
            for key, value in restorer.role(role).state_dict(keep_vars=True).items()
        }

    def before_train(self, runner: RestorationRunner) -> None:
        """Initialise the average with the current weights unless a checkpoint was resumed."""
        self.every = steps_per_update(runner.optim_wrapper)
        if self.average is None:
            self.average = {key: value.detach().clone() for key, value in self._live(runner).items()}

    @torch.no_grad()
    def after_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Update the average after an optimiser update; the weights do not change while gradients accumulate."""
        if (runner.iter + 1) % self.every:
            return
        assert self.average is not None  # set by before_train
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        live = self._live(runner)
        floating = [key for key, value in self.average.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.average[k] for k in floating], [live[k].detach() for k in floating], 1 - decay)
        for key in self.average.keys() - set(floating):
            self.average[key].copy_(live[key])

    @torch.no_grad()
    def _swap(self, runner: RestorationRunner) -> None:
        if self.average is None:  # when a checkpoint is tested, its average is already in the model
            return
        for key, value in self._live(runner).items():
            held = value.detach().clone()
            value.copy_(self.average[key])
            self.average[key].copy_(held)

    def before_val_epoch(self, runner: RestorationRunner) -> None:
        """Put the average into the model."""
        self._swap(runner)

    def after_val_epoch(self, runner: RestorationRunner, metrics: dict | None = None) -> None:
        """Put the current weights back into the model."""
        self._swap(runner)

    def before_save_checkpoint(self, runner: RestorationRunner, checkpoint: dict) -> None:
        """Add the average to the checkpoint."""
        assert self.average is not None  # set by before_train
        checkpoint[EMA_KEY] = {key: value.cpu() for key, value in self.average.items()}
        checkpoint['ema_steps'] = self.steps

    def after_load_checkpoint(self, runner: RestorationRunner, checkpoint: dict) -> None:
        """Restore the average of a resumed run."""
        if runner._resume and EMA_KEY in checkpoint:
            live = self._live(runner)
            self.average = {key: value.to(live[key].device) for key, value in checkpoint[EMA_KEY].items()}
            self.steps = checkpoint['ema_steps']
