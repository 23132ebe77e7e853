"""The generators of RainDiffusion's translation branch.

Wei et al., "RainDiffusion: When Unsupervised Learning Meets Diffusion Models for Real-world Image Deraining"
(arXiv 2301.09430 v3) call them U-Nets without further details. Widths and norms are our choice, after Ronneberger et
al., "U-Net" (MICCAI 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.initialise import he_init
from restorebox.layers.statistics import make_norm
from restorebox.registry import BACKBONES
from restorebox.values import Levels, Width

SLOPE = 0.2


def _convs(norm: str | None, inside: int, outside: int, stride: int, last: bool = False) -> nn.Sequential:
    """Return twice 3x3 convolution, norm and LeakyReLU; without the last LeakyReLU if ``last``."""
    layers: list[nn.Module] = []
    for width in (inside, outside):
        layers += [nn.Conv2d(width, outside, 3, 1, 1), make_norm(norm, outside, stride), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*(layers[:-1] if last else layers))


@BACKBONES.register_module()
class NTBGenerator(BaseBackbone):
    """U-Net of double 3x3 convolutions; the last 1x1 convolution and tanh are in the head.

    ::

        x -> 2 convs -> pool -> 2 convs -> ... -> pool -> 2 convs, the middle
                |                  |                         |
        'out' <- 2 convs <- cat <- 2 convs <- cat <- up <----+      up: nearest neighbour, 3x3

    There is no global residual: the method collapses to the identity, so a generator should not start there.

    Args:
        levels: number of downsamplings by 2.
        in_channels: channels of the input.
        base_width: channels of the first level, doubled at each level.
        max_width: maximum number of channels; the middle has the width of the last level.
        norm: see :func:`make_norm`. Instance norm removes the mean and the contrast of each map, also in the last
            convolutions, so that a generator learns slowly to reproduce an image; None does not.

    Taps: ``down1`` .. ``downN``, ``middle``, ``upN`` .. ``up2``.

    Raises:
        ConfigError: no levels, or an unknown norm.
    """

    def __init__(
        self,
        levels: Levels = 4,
        in_channels: Width = 3,
        base_width: Width = 64,
        max_width: Width = 512,
        norm: str | None = 'instance',
    ) -> None:
        super().__init__()
        if levels < 1:
            raise ConfigError(f'NTBGenerator: levels is {levels}; it must be at least 1')
        widths = [min(base_width * 2**i, max_width) for i in range(levels)]
        self.down, self.enlarge, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        inside = in_channels
        for i, width in enumerate(widths):
            self.down.append(_convs(norm, inside, width, 2**i))
            inside = width
        self.middle = _convs(norm, inside, inside, 2**levels)
        for i in range(levels - 1, -1, -1):  # innermost first
            self.enlarge.append(nn.Conv2d(inside, widths[i], 3, 1, 1))
            self.up.append(_convs(norm, 2 * widths[i], widths[i], 2**i, last=i == 0))
            inside = widths[i]
        self.levels = levels
        self.out_channels = widths[0]
        self.out_stride = 1
        self.tap_channels = {f'down{i + 1}': width for i, width in enumerate(widths)}
        self.tap_channels['middle'] = widths[-1]
        self.tap_channels.update({f'up{i + 1}': widths[i] for i in range(levels - 1, 0, -1)})
        self.needs = Needs(2**levels, 2**levels, in_channels, (-1.0, 1.0), self.field(1))
        he_init(self, SLOPE)

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        for _ in range(self.levels):  # two convolutions, one more, and upsampling at the worst alignment
            run = (run + 6) // 2 + 1
        run += 4
        for _ in range(self.levels):
            run = 2 * run + 4
        return run

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        skips = []
        for i, convs in enumerate(self.down):
            x = convs(x)
            skips.append(x)
            if kept.last(f'down{i + 1}', x):
                return kept.features
            x = F.max_pool2d(x, 2)
        x = self.middle(x)
        if kept.last('middle', x):
            return kept.features
        for i, (enlarge, convs) in enumerate(zip(self.enlarge, self.up, strict=True)):
            x = enlarge(F.interpolate(x, scale_factor=2, mode='nearest'))
            x = convs(torch.cat((skips.pop(), x), 1))
            if i < self.levels - 1 and kept.last(f'up{self.levels - i}', x):
                return kept.features
        return kept.end(x)
