"""Restormer: Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration" (CVPR 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.transposed_attention import TransformerBlock
from restorebox.registry import BACKBONES
from restorebox.values import Counts, Depth, Depths, Positive, ValueRange, Width


@BACKBONES.register_module()
class Restormer(BaseBackbone):
    """U-Net of transformer blocks with attention between channels.

    ::

        3x3 -> blocks -> halve -> blocks -> ... -> double -> join -> blocks -> double -> join -> blocks -> refine
                 |                  |                         |                           |
                 |                  +-------------------------+                           |
                 +------------------------------------------------------------------------+

    Halving and doubling are a 3x3 convolution with a pixel (un)shuffle. Joined features pass a 1x1 convolution, except
    at full resolution, where they keep twice the width. The last layer is the head's: ``dict(type='PictureHead',
    residual=True, activation=False, bias=False)``. The defaults have 26.13 M parameters with it, as published.

    The attention reads the whole picture; ``statistics_window`` of the restorer limits it to a window, see
    :class:`TransposedAttention <restorebox.layers.transposed_attention.TransposedAttention>`.

    Args:
        width: channels at full resolution; each level doubles them.
        blocks: blocks per level, in the encoder and again in the decoder; the last number is that of the lowest
            resolution.
        refinement: further blocks at full resolution.
        heads: attention heads per level; the channels of a level must be a multiple of them.
        expansion: hidden channels of the feed-forward layers per channel.
        bias: whether convolutions have biases.
        centred: norms with centring and shift (the authors' deraining and deblurring models); False: bias-free norms
            (their denoising models; 26.11 M parameters).
        in_channels: channels of the input.
        value_range: (lowest, highest) value of the input.

    Taps: ``down1`` .. (last block of an encoder level), ``process`` (last block of the lowest resolution), ``up1``
    (decoder at full resolution, before the refinement) to the deepest, in the order of computation.

    Raises:
        ConfigError: fewer than two levels, not one number of heads per level, or widths that heads do not divide.
    """

    def __init__(
        self,
        width: Width = 48,
        blocks: Depths = (4, 6, 6, 8),
        refinement: Depth = 4,
        heads: Counts = (1, 2, 4, 8),
        expansion: Positive = 2.66,
        bias: bool = False,
        centred: bool = True,
        in_channels: Width = 3,
        value_range: ValueRange = (0.0, 1.0),
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        if len(blocks) < 2:
            raise ConfigError(f'{kind}: blocks is {blocks!r}; it must name two levels or more')
        if len(heads) != len(blocks):
            raise ConfigError(f'{kind}: {len(heads)} numbers of heads for {len(blocks)} levels')
        widths = [width * 2**i for i in range(len(blocks))]
        for channels, number in zip([*widths, 2 * width], [*heads, heads[0]], strict=True):
            if channels % number:
                raise ConfigError(f'{kind}: {channels} channels cannot be divided among {number} heads')
        if width % 2:  # halving the number of channels before a pixel unshuffle
            raise ConfigError(f'{kind}: width is {width}; it must be even')
        levels = len(blocks) - 1

        def row(channels: int, level: int, number: int) -> nn.ModuleList:
            return nn.ModuleList(
                TransformerBlock(channels, heads[level], 2**level, expansion, bias, centred) for _ in range(number)
            )

        self.enter = nn.Conv2d(in_channels, width, 3, 1, 1, bias=bias)
        self.before = nn.ModuleList(row(widths[i], i, blocks[i]) for i in range(levels))
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i] // 2, 3, 1, 1, bias=False) for i in range(levels))
        self.process = row(widths[-1], levels, blocks[-1])
        self.up = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 3, 1, 1, bias=False) for i in range(levels))
        # index 0 has no layer: at full resolution the joined features are not reduced
        self.join = nn.ModuleList(nn.Conv2d(2 * widths[i], widths[i], 1, bias=bias) for i in range(1, levels))
        self.behind = nn.ModuleList(row(widths[i] if i else 2 * width, i, blocks[i]) for i in range(levels))
        self.refine = row(2 * width, 0, refinement)
        self.tap_channels = {
            **{f'down{i + 1}': widths[i] for i in range(levels)},
            'process': widths[-1],
            **{f'up{i + 1}': widths[i] if i else 2 * width for i in reversed(range(levels))},
        }
        self.out_channels = 2 * width
        self.out_stride = 1
        self._blocks, self._refinement = tuple(blocks), refinement
        self.needs = Needs(
            stride=2**levels,
            min_size=2**levels,
            in_channels=in_channels,
            value_range=(value_range[0], value_range[1]),
            receptive_field=self.field(1),
        )

    def field(self, run: int) -> int | None:
        """See :meth:`BaseBackbone.field`: the longest path goes through the lowest resolution."""
        *upper, deepest = self._blocks
        reach = TransformerBlock.reach
        span = run + reach * self._refinement
        for number in upper:
            span = -(-(span + reach * number + 1) // 2) + 2  # pixels at half the size, worst-case alignment
        span += reach * deepest
        for number in reversed(upper):
            span = 2 * span + 2 + reach * number
        return span + 2

    def prompted(self, level: int, x: Tensor) -> Tensor:
        """Process the features ``(N, C, h, w)`` that leave decoder level ``level``; a subclass adds prompts."""
        return x

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = self.enter(x)
        skips = []
        for i, (row, halve) in enumerate(zip(self.before, self.down, strict=True)):
            for block in row:  # type: ignore[attr-defined]  # a ModuleList
                x = block(x)
            if kept.last(f'down{i + 1}', x):
                return kept.features
            skips.append(x)
            x = F.pixel_unshuffle(halve(x), 2)
        for block in self.process:
            x = block(x)
        if kept.last('process', x):
            return kept.features
        for i in reversed(range(len(self.up))):
            x = torch.cat((F.pixel_shuffle(self.up[i](self.prompted(i + 1, x)), 2), skips[i]), 1)
            x = self.join[i - 1](x) if i else x
            for block in self.behind[i]:  # type: ignore[attr-defined]
                x = block(x)
            if kept.last(f'up{i + 1}', x):
                return kept.features
        for block in self.refine:
            x = block(x)
        return kept.end(x)
