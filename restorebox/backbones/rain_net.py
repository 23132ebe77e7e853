"""Streak estimator of heavy rain: RainNet of Li, Cheong and Tan (CVPR 2019)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.layers.initialise import xavier_init
from restorebox.layers.row_bands import in_bands
from restorebox.registry import BACKBONES
from restorebox.values import Width


def _convs(first: int, *widths: int) -> nn.Sequential:
    """Return 3x3 convolutions with ReLUs between them."""
    parts: list[nn.Module] = []
    for before, after in pairwise((first, *widths)):
        parts += [nn.Conv2d(before, after, 3, 1, 1), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts[:-1])


@BACKBONES.register_module()
class RainNet(BaseBackbone):
    """Network of residual blocks without norm, at full resolution, from high frequencies to streaks.

    ::

        x -> mix (1x1) -> 5x5 -> main + shortcut = expand -> res1 -> res2 -> reduce, cat with its input -> 3x3, tanh
                                 w -> 4w                    4w -> w -> 4w    4w -> 2w -> w

    Args:
        in_channels: input channels, see :class:`Decomposition <restorebox.layers.guided_filter.Decomposition>`.
        base_width: w, 64 in the paper.

    Taps: ``expand``, ``res1``, ``res2``, ``reduce``. ``'out'``: streaks in (-1, 1), one channel.
    """

    def __init__(self, in_channels: Width = 33, base_width: Width = 64) -> None:
        super().__init__()
        w = base_width
        self.mix = nn.Conv2d(in_channels, in_channels, 1)
        self.enter = nn.Sequential(nn.Conv2d(in_channels, w, 5, 1, 2), nn.ReLU())
        self.main = _convs(w, w, w, 4 * w)
        self.shortcut = nn.Conv2d(w, 4 * w, 3, 1, 1)
        self.res1 = _convs(4 * w, w, w, 4 * w)
        self.res2 = _convs(4 * w, w, w, 4 * w)
        self.reduce = _convs(4 * w, 4 * w, 2 * w, w)
        self.leave = nn.Conv2d(5 * w, 1, 3, 1, 1)
        self.tap_channels = {'expand': 4 * w, 'res1': 4 * w, 'res2': 4 * w, 'reduce': 5 * w}
        self.out_channels = 1
        self.out_stride = 1
        self.needs = Needs(1, 1, in_channels, (0.0, 1.0), self.field(1))
        xavier_init(self, gain=1.0)

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`: one 5x5 and thirteen 3x3 convolutions in sequence."""
        return run + 4 + 2 * (3 + 3 + 3 + 3 + 1)

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`. Large pictures are processed in bands of rows if no gradient is needed."""
        if taps or only_taps:
            return self._features(x, taps, only_taps)
        return {'out': in_bands(lambda band: self._features(band)['out'], (x,), reach=self.field(1) // 2)}

    def _features(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        kept = self.collect(taps, only_taps)
        x = self.enter(self.mix(x))
        x = torch.relu(self.main(x) + self.shortcut(x))
        if kept.last('expand', x):
            return kept.features
        for name, block in (('res1', self.res1), ('res2', self.res2)):
            x = torch.relu(x + block(x))
            if kept.last(name, x):
                return kept.features
        x = torch.relu(torch.cat((self.reduce(x), x), 1))
        if kept.last('reduce', x):
            return kept.features
        return kept.end(torch.tanh(self.leave(x)))
