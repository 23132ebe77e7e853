"""Base class of U-Nets conditioned on depth and airlight, independent of the type of their blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone
from restorebox.errors import ConfigError


class ConditionedUNet(BaseBackbone):
    """Base class of U-Nets from J0, depth and airlight to features of a clean picture.

    ::

        x, A as planes -> enter -> down[0] -> halve[0] -> down[1] -> ... -> join(i, ., skip) -> up[i] -> ... -> 'out'

    A subclass creates the modules ``enter``, ``down``, ``halve`` and ``up`` and implements :meth:`join`.
    """

    given = ('airlight',)

    enter: nn.Module
    down: nn.ModuleList
    halve: nn.ModuleList
    up: nn.ModuleList

    def join(self, i: int, x: Tensor, skip: Tensor) -> Tensor:
        """Upsample ``x`` from level ``i + 1`` by 2 and merge it with the skip connection of level ``i``."""
        raise NotImplementedError

    def forward(
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, airlight: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`.

        Raises:
            ConfigError: ``airlight`` is missing.
        """
        kept = self.collect(taps, only_taps)
        if airlight is None:
            raise ConfigError(f'{type(self).__name__}: needs the airlight; call it with airlight=...')
        x = self.enter(torch.cat((x, airlight.to(x.dtype).expand(-1, -1, *x.shape[-2:])), 1))
        skips = []
        for i, row in enumerate(self.down):
            x = row(self.halve[i - 1](x) if i else x)
            if kept.last(f'down{i + 1}', x):
                return kept.features
            skips.append(x)
        skips.pop()
        for i in reversed(range(len(self.up))):
            x = self.up[i](self.join(i, x, skips.pop()))
            if kept.last(f'up{i + 1}', x):
                return kept.features
        return kept.end(x)
