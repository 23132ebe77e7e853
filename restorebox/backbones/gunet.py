"""gUNet: Song et al., "Rethinking Performance Gains in Image Dehazing Networks" (arXiv 2209.11448)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.statistics import LocalStatistics
from restorebox.registry import BACKBONES
from restorebox.values import Count, Depths, ValueRange, Width


class GatedConvBlock(nn.Module):
    """x + 1x1(depthwise(1x1(n)) sigmoid(1x1(n))), where n is the batch norm of x.

    Args:
        channels: C.
        kernel: odd size of the depthwise convolution, which pads by reflection.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.value = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels, padding_mode='reflect')
        self.gate = nn.Conv2d(channels, channels, 1)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        y = self.norm(x)
        return x + self.leave(self.depthwise(self.value(y)) * torch.sigmoid(self.gate(y)))


class SelectiveFusion(LocalStatistics):
    """Weighted sum of two feature maps; the weights of a channel sum to 1 and depend on the means of all channels.

    Args:
        channels: C.
        stride: see :class:`LocalStatistics <restorebox.layers.statistics.LocalStatistics>`.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(stride)
        hidden = max(channels // 8, 4)
        self.hidden = nn.Conv2d(channels, hidden, 1, bias=False)
        self.select = nn.Conv2d(hidden, 2 * channels, 1, bias=False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Two maps ``(N, C, H, W)`` -> the same shape."""
        a, b = self.select(torch.relu(self.hidden(self.mean(x + skip)))).chunk(2, 1)
        share = torch.sigmoid(a - b)  # softmax of two
        return skip + share * (x - skip)


@BACKBONES.register_module()
class GUNet(BaseBackbone):
    """U-Net of gated depthwise convolutions with batch norm; skip connections are fused by selective kernels.

    ::

        3x3 -> blocks -> halve -> blocks -> halve -> ... -> double -> fuse -> blocks -> double -> fuse -> blocks
                 |                  |                                   |                           |
                 +--1x1-------------|-----------------------------------|---------------------------+
                                    +--1x1------------------------------+

    The last layer is the head's: ``dict(type='PictureHead', residual=True, activation=False, padding='reflect')``.
    The defaults are the authors' gUNet-T, with 844,899 parameters as their code; S, B and D have 2, 4 and 8 times its
    ``blocks``.

    The fusions average over the picture; ``statistics_window`` of the restorer limits this to a window.

    Args:
        width: channels at full resolution; each level doubles them.
        blocks: blocks per level, in the encoder and again in the decoder; the last number is that of the lowest
            resolution.
        kernel: odd size of the depthwise convolutions.
        in_channels: channels of the input.
        value_range: (lowest, highest) value of the input.

    Taps: ``down1`` .. (encoder levels), ``process`` (lowest resolution), then the decoder levels down to ``up1``.

    Raises:
        ConfigError: fewer than two levels, or an even ``kernel``.
    """

    def __init__(
        self,
        width: Width = 24,
        blocks: Depths = (2, 2, 2, 4),
        kernel: Count = 5,
        in_channels: Width = 3,
        value_range: ValueRange = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        if len(blocks) < 2:
            raise ConfigError(f'GUNet: blocks is {blocks!r}; it must name two levels or more')
        if kernel % 2 == 0:
            raise ConfigError(f'GUNet: kernel is {kernel}; it must be odd')
        levels = len(blocks) - 1
        widths = [width * 2**i for i in range(levels + 1)]

        def row(level: int) -> nn.ModuleList:
            return nn.ModuleList(GatedConvBlock(widths[level], kernel) for _ in range(blocks[level]))

        self.enter = nn.Conv2d(in_channels, width, 3, 1, 1, padding_mode='reflect')
        self.before = nn.ModuleList(row(i) for i in range(levels))
        self.skip = nn.ModuleList(nn.Conv2d(widths[i], widths[i], 1) for i in range(levels))
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, 2) for i in range(levels))
        self.process = row(levels)
        self.up = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in range(levels))
        self.fuse = nn.ModuleList(SelectiveFusion(widths[i], 2**i) for i in range(levels))
        self.behind = nn.ModuleList(row(i) for i in range(levels))
        self._initialise(2 * sum(blocks[:-1]) + blocks[-1])
        self.tap_channels = {
            **{f'down{i + 1}': widths[i] for i in range(levels)},
            'process': widths[-1],
            **{f'up{i + 1}': widths[i] for i in reversed(range(levels))},
        }
        self.out_channels = width
        self.out_stride = 1
        self._blocks, self._reach = tuple(blocks), kernel - 1
        stride = 2**levels
        self.needs = Needs(
            stride=stride,
            min_size=stride * (kernel // 2 + 1),  # reflection needs more pixels than it adds
            in_channels=in_channels,
            value_range=(value_range[0], value_range[1]),
            receptive_field=self.field(1),
        )

    def _initialise(self, depth: int) -> None:
        """Draw the convolutions of blocks from the authors' normal distribution, which narrows with the depth."""
        for block in self.modules():
            if isinstance(block, GatedConvBlock):
                for layer in (block.value, block.depthwise, block.gate, block.leave):
                    fans = (layer.in_channels // layer.groups + layer.out_channels) * layer.kernel_size[0] ** 2
                    nn.init.normal_(layer.weight, 0.0, (8 * depth) ** -0.25 * math.sqrt(2 / fans))
                    assert layer.bias is not None
                    nn.init.zeros_(layer.bias)

    def field(self, run: int) -> int | None:
        """See :meth:`BaseBackbone.field`: the longest path goes through the lowest resolution."""
        span = run
        *upper, deepest = self._blocks
        for number in upper:
            span = -(-(span + self._reach * number + 1) // 2)  # pixels at half the size, worst-case alignment
        span += self._reach * deepest
        for number in reversed(upper):
            span = 2 * span + self._reach * number
        return span + 2

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = self.enter(x)
        skips = []
        for i, halve in enumerate(self.down):
            for block in self.before[i]:  # type: ignore[attr-defined]  # a ModuleList
                x = block(x)
            if kept.last(f'down{i + 1}', x):
                return kept.features
            skips.append(self.skip[i](x))
            x = halve(x)
        for block in self.process:
            x = block(x)
        if kept.last('process', x):
            return kept.features
        for i in reversed(range(len(self.up))):
            x = self.fuse[i](F.pixel_shuffle(self.up[i](x), 2), skips[i])
            for block in self.behind[i]:  # type: ignore[attr-defined]
                x = block(x)
            if kept.last(f'up{i + 1}', x):
                return kept.features
        return kept.end(x)
