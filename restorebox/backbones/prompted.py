"""Prompts for any backbone, after PromptIR (Potlapalli et al., NeurIPS 2023)."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone
from restorebox.errors import ConfigError
from restorebox.layers.prompts import PromptBlock
from restorebox.registry import BACKBONES
from restorebox.values import Count, Names, Width


@BACKBONES.register_module()
class Prompted(BaseBackbone):
    """A backbone whose features at some taps pass a :class:`PromptBlock <restorebox.layers.prompts.PromptBlock>`.

    ::

        inner: x -> ... -> tap -> + prompt block (zero at first) -> ... -> out

    An untrained wrapper computes what the inner backbone does, so that its weights can be trained further; in a state
    dict they begin with ``inner.``. Later layers and skip connections read the prompted features.

    Args:
        inner: config of the backbone.
        taps: where prompts act: names of its taps, or patterns such as ``'down*'``. A tap must be the output of one of
            the backbone's modules.
        prompts: number of prompts per tap.
        width: channels of a prompt.
        size: height and width of a prompt in pixels. With 1 tiles agree with the whole picture; larger prompts are
            stretched over the picture, as in the paper.
        heads: attention heads of the blocks; the channels of a tap plus ``width`` must be a multiple.

    Taps: those of the inner backbone, with prompts.

    Raises:
        ConfigError: an unknown tap, one that is not the output of a module, or channels that heads do not divide.
    """

    def __init__(
        self, inner: dict, taps: Names, prompts: Count = 5, width: Width = 32, size: Count = 1, heads: Count = 1
    ) -> None:
        super().__init__()
        self.inner = cast(BaseBackbone, BACKBONES.build(inner))
        names = self.inner.taps_like(taps)
        found = self._find(names)
        self.blocks = nn.ModuleDict()
        reach = 0
        for name in names:
            channels, (module, stride) = self.inner.tap_channels[name], found[name]
            if (channels + width) % heads:
                raise ConfigError(
                    f'Prompted: {channels} channels of {name} + {width} cannot be divided among {heads} heads'
                )
            block = PromptBlock(channels, channels, width, prompts, size, stride, heads, residual=True)
            self.blocks[name] = block
            module.register_forward_hook(block.after)
            reach += PromptBlock.reach * stride
        self.given = self.inner.given
        self.tap_channels = self.inner.tap_channels
        self.out_channels, self.out_stride = self.inner.out_channels, self.inner.out_stride
        # halved and doubled again, a reach can become larger by up to the stride
        self._added = None if size > 1 else reach + self.inner.needs.stride
        self.needs = replace(self.inner.needs, receptive_field=self.field(1))

    def _find(self, names: tuple[str, ...]) -> dict[str, tuple[nn.Module, int]]:
        """Return tap -> the module whose output it is, and its stride, by one pass of the inner backbone."""
        kind = type(self.inner).__name__
        parameters = inspect.signature(self.inner.forward).parameters
        for name in self.inner.given:
            if parameters[name].default is inspect.Parameter.empty:
                raise ConfigError(f"Prompted: {kind} cannot take prompts: it reads '{name}' besides the picture")
        outputs: list[tuple[nn.Module, object]] = []
        hooks = [
            module.register_forward_hook(lambda module, _, output: outputs.append((module, output)))
            for module in self.inner.modules()
        ]
        needs, training = self.inner.needs, self.inner.training
        side = 2 * max(needs.stride, needs.min_size)
        side = -(-side // needs.stride) * needs.stride
        parameter = next(self.inner.parameters())
        try:
            with torch.no_grad():  # in evaluation mode, so that batch norm and dropout are left as they are
                x = torch.zeros(1, needs.in_channels, side, side, device=parameter.device, dtype=parameter.dtype)
                features = self.inner.eval()(x, taps=names, only_taps=True)
        finally:
            self.inner.train(training)
            for hook in hooks:
                hook.remove()
        found = {}
        for name in names:
            modules = [module for module, output in outputs if output is features[name]]
            if not modules:
                raise ConfigError(f"Prompted: the tap '{name}' of {kind} is not the output of a module; use another")
            found[name] = modules[-1], max(round(side / features[name].shape[-1]), 1)
        return found

    def field(self, run: int) -> int | None:
        """See :meth:`BaseBackbone.field`: an upper bound."""
        inner = self.inner.field(run)
        return None if inner is None or self._added is None else inner + self._added

    def global_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.global_statistics`."""
        return self.inner.global_statistics(x)

    def forward(
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, **given: Tensor
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        return self.inner(x, taps=taps, only_taps=only_taps, **given)
