"""How much the gain control of a network acts, logged during training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmengine.hooks import Hook
from torch import Tensor, nn

from restorebox.layers.gain_control import GainControl
from restorebox.registry import HOOKS
from restorebox.values import Samples

if TYPE_CHECKING:
    from restorebox.engine.runner import RestorationRunner


@HOOKS.register_module()
class GainVariationHook(Hook):
    """Log ``gain_variation``: how much the divisors of all gain controls vary over an image, averaged over the layers.

    See :meth:`GainControl.variation <restorebox.layers.gain_control.GainControl.variation>`. Near 0 the layers are
    constant factors, and a chain of FD layers is a chain of linear convolutions. Nothing is logged for a model without
    gain control.

    Args:
        interval: steps between two measurements, the first of which is at the first step.
    """

    def __init__(self, interval: Samples = 50) -> None:
        self.interval = interval
        self._measured: list[Tensor] = []
        self._watched: list[torch.utils.hooks.RemovableHandle] = []

    def before_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Watch the layers during a step that is measured."""
        if runner.iter % self.interval == 0:
            layers = [module for module in runner.restorer.modules() if isinstance(module, GainControl)]
            self._watched = [layer.register_forward_pre_hook(self._measure) for layer in layers]

    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, GainControl)
        self._measured.append(layer.variation(inputs[0]).detach())

    def after_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Log the mean of the step."""
        for handle in self._watched:
            handle.remove()
        if self._measured:
            runner.message_hub.update_scalar('train/gain_variation', torch.stack(self._measured).mean().item())
        self._watched, self._measured = [], []
