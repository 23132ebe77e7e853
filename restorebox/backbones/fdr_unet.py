"""U-Net with FDR blocks in its deepest level: a faster variant of FDR-Net, used by the included model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.disentangle import AggregateLayer, DisentangleLayer, ResidualBlock
from restorebox.layers.initialise import he_init
from restorebox.registry import BACKBONES
from restorebox.values import Depths, ValueRange, Width, Widths


class FDRBlock(nn.Module):
    """x + FA(ReLU(1x1 convolution(FD(x)))): an FD and an FA layer of FDR-Net with a 1x1 convolution between them.

    The last convolution is zero-initialised, so an untrained block is the identity.

    Args:
        channels: C.
        inverse: see :class:`AggregateLayer <restorebox.layers.disentangle.AggregateLayer>`.
        stride: of the channel attention, see there, as for ``scene``.
    """

    def __init__(self, channels: int, inverse: str, stride: int, scene: int = 0) -> None:
        super().__init__()
        self.disentangle = DisentangleLayer(channels)
        self.process = nn.Conv2d(channels, channels, 1)
        self.aggregate = AggregateLayer(channels, inverse, stride=stride, scene=scene)

    def forward(self, x: Tensor, scene: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` and, if used, ``(N, scene, 1, 1)`` -> the shape of ``x``."""
        d, s = self.disentangle(x)
        return x + self.aggregate(torch.relu(self.process(d)), d, s, self.disentangle.gain, scene)


@BACKBONES.register_module()
class FDRUNet(BaseBackbone):
    """U-Net of residual blocks on pixel-unshuffled features; its deepest level is a sequence of FDR blocks.

    ::

        pixels 2x2 -> widths[0] -> blocks -> halve -> blocks -> halve -> FDR blocks -> double -> blocks -> double
                                     |                  |                                +                   +
                                     |                  +--------------------------------+                   |
                                     +-----------------------------------------------------------------------+

    At full resolution FDR-Net (Li et al., ECCV 2020) needs 0.5 TFLOP for a picture of 481x321. Gain control is
    limited by memory bandwidth, so FDR blocks are used only at the lowest resolution. There the receptive field is also
    large enough to distinguish haze from a bright surface. docs/weather.md lists the alternatives that were tested.

    Args:
        widths: channels per level, the first at half the picture's size.
        blocks: residual blocks per level, in the encoder and again in the decoder; the last number is that of the FDR
            blocks.
        inverse: see :class:`AggregateLayer <restorebox.layers.disentangle.AggregateLayer>`. Each layer of ``'paper'``
            squares large values, so that a row of them overflows in training.
        in_channels: channels of the input.
        value_range: of the input.

    Taps: ``down1`` .. (last block of an encoder level), ``process`` (last FDR block).

    Raises:
        ConfigError: fewer than two levels, or not one number of blocks per level.
    """

    before: Any  # a Sequential of residual blocks per level, as is ``behind``
    behind: Any

    def __init__(
        self,
        widths: Widths = (32, 64, 128),
        blocks: Depths = (1, 2, 4),
        inverse: str = 'stored',
        in_channels: Width = 3,
        value_range: ValueRange = (0.0, 1.0),
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ConfigError(f'FDRUNet: widths is {widths!r}; it must name two levels or more')
        if len(blocks) != len(widths):
            raise ConfigError(f'FDRUNet: {len(blocks)} numbers of blocks for {len(widths)} levels')
        levels = len(widths) - 1
        stride = 2 ** (levels + 1)
        self.enter = nn.Conv2d(4 * in_channels, widths[0], 3, 1, 1)
        self.before = nn.ModuleList(self._row(widths[i], blocks[i]) for i in range(levels))
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, 2) for i in range(levels))
        self.process = nn.Sequential(*(FDRBlock(widths[-1], inverse, stride) for _ in range(blocks[-1])))
        self.up = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in range(levels))
        self.behind = nn.ModuleList(self._row(widths[i], blocks[i]) for i in range(levels))
        he_init(self)
        for block in self.modules():
            last = getattr(block, 'conv2', None) or (block.aggregate.conv if isinstance(block, FDRBlock) else None)
            if last is not None:
                nn.init.zeros_(last.weight)
        self.tap_channels = {**{f'down{i + 1}': widths[i] for i in range(levels)}, 'process': widths[-1]}
        self.out_channels = widths[0]
        self.out_stride = 2
        self._blocks = tuple(blocks)
        self.needs = Needs(
            stride=stride,
            min_size=stride,
            in_channels=in_channels,
            value_range=(value_range[0], value_range[1]),
            receptive_field=self.field(1),
        )

    @staticmethod
    def _row(width: int, number: int) -> nn.Sequential:
        return nn.Sequential(*(ResidualBlock(width) for _ in range(number)))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`: the longest path goes through the deepest level."""
        span = run  # pixels of the current level, the first at half size
        *upper, deepest = self._blocks
        for number in upper:
            span = -(-(span + 4 * number + 1) // 2)  # pixels at half the size, worst-case alignment
        span += 4 * deepest
        for number in reversed(upper):
            span = 2 * span + 4 * number
        return 2 * (span + 2)

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = self.enter(F.pixel_unshuffle(x, 2))
        skips = []
        for i, (row, halve) in enumerate(zip(self.before, self.down, strict=True)):
            for block in row:  # calling the Sequential would keep its input in memory
                x = block(x)
            if kept.last(f'down{i + 1}', x):
                return kept.features
            skips.append(x)
            x = halve(x)
        for block in self.process:
            x = block(x)
        if kept.last('process', x):
            return kept.features
        for double, row, skip in reversed(list(zip(self.up, self.behind, skips, strict=True))):
            x = F.pixel_shuffle(double(x), 2) + skip
            for block in row:
                x = block(x)
        return kept.end(x)
