"""The U-Net of denoising diffusion models.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020), in the setting of WeatherDiffusion (Özdenizci and
Legenstein, TPAMI 2023): the input is condition and noisy picture, 3 + 3 channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.diffusion_blocks import ConvDouble, ConvHalve, SelfAttention, StepBlock, StepEmbedding
from restorebox.registry import BACKBONES
from restorebox.values import Count, Counts, Whole, Width


@BACKBONES.register_module()
class DDPMUNet(BaseBackbone):
    """U-Net of residual blocks with timestep embedding, and attention at selected levels.

    ::

        x -> 3x3 -> level 1 -> level 2 -> ... -> level N -> block, attention, block
                      |           |                |           |
        'out' <-- level 1 <-- level 2 <-- ...  <-- level N <---+     skips: every block's output, concatenated

    A level has ``blocks`` blocks in the encoder and one more in the decoder. Attention is set per level, not per size
    in pixels, so the same network can be applied to pictures of half and a quarter of the size. The last norm and
    convolution are in the head.

    Args:
        in_channels: channels of the input.
        base_width: channels of the first level; 128 in WeatherDiffusion.
        multipliers: channels per level as multiples of ``base_width``; (1, 1, 2, 3, 4) in WeatherDiffusion, 85.6 M
            parameters.
        blocks: residual blocks per level; 2 in WeatherDiffusion.
        attention: levels with attention, counted from 1; (4,) in WeatherDiffusion: 16x16 for a crop of 128. The
            middle always has attention.

    Taps: ``down1`` .. ``downN`` (last block of a level), ``middle``, ``upN`` .. ``up2``.

    Raises:
        ConfigError: no levels or blocks, or an invalid attention level.
    """

    given = ('timestep',)

    down: Any  # a ModuleList per level of (block, attention) pairs, as is ``up``
    up: Any

    def __init__(
        self,
        in_channels: Width = 6,
        base_width: Width = 128,
        multipliers: Counts = (1, 1, 2, 3, 4),
        blocks: Count = 2,
        attention: Sequence[Whole] = (4,),
    ) -> None:
        super().__init__()
        levels = len(multipliers)
        if not levels or blocks < 1 or base_width < 4:
            raise ConfigError(
                f'DDPMUNet: multipliers is {multipliers!r}, blocks {blocks}, base_width {base_width}; it needs at '
                'least one level of one block, and 4 channels'
            )
        for level in attention:
            if level not in range(1, levels + 1):
                raise ConfigError(f'DDPMUNet: attention names level {level!r}; there are levels 1 to {levels}')
        widths = [base_width * m for m in multipliers]
        vector = 4 * base_width
        self.embed = StepEmbedding(base_width, vector)
        self.stem = nn.Conv2d(in_channels, base_width, 3, 1, 1)

        def attend(level: int, width: int) -> nn.Module:
            return SelfAttention(width) if level in attention else nn.Identity()

        self.down, self.halves = nn.ModuleList(), nn.ModuleList()
        width, skips = base_width, [base_width]
        for level, outside in enumerate(widths, 1):
            pairs = nn.ModuleList()
            for _ in range(blocks):
                pairs.append(nn.ModuleList((StepBlock(width, outside, vector), attend(level, outside))))
                width = outside
                skips.append(width)
            self.down.append(pairs)
            if level < levels:
                self.halves.append(ConvHalve(width))
                skips.append(width)
        self.middle = nn.ModuleList(
            (StepBlock(width, width, vector), SelfAttention(width), StepBlock(width, width, vector))
        )
        self.up, self.doubles = nn.ModuleList(), nn.ModuleList()
        for level in range(levels, 0, -1):  # innermost first
            pairs, outside = nn.ModuleList(), widths[level - 1]
            for _ in range(blocks + 1):
                block = StepBlock(width + skips.pop(), outside, vector)
                pairs.append(nn.ModuleList((block, attend(level, outside))))
                width = outside
            self.up.append(pairs)
            if level > 1:
                self.doubles.append(ConvDouble(width, width))
        self.levels = levels
        self.out_channels = width
        self.out_stride = 1
        self.tap_channels = {f'down{i + 1}': w for i, w in enumerate(widths)}
        self.tap_channels['middle'] = widths[-1]
        self.tap_channels.update({f'up{i}': widths[i - 1] for i in range(levels, 1, -1)})
        stride = 2 ** (levels - 1)
        # twice the stride: at 1x1 the norms of a narrow network would have a single value each
        self.needs = Needs(stride, 2 * stride, in_channels, (-1.0, 1.0))

    def field(self, run: int) -> None:
        """Return None: attention covers the whole picture."""
        return None

    def forward(  # type: ignore[override]  # needs the timestep, see ``given``
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, *, timestep: Tensor
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`; ``timestep``: ``(N,)``, counted from 0 as in DDPM's code."""
        kept = self.collect(taps, only_taps)
        step = self.embed(timestep)
        x = self.stem(x)
        skips = [x]
        for i, pairs in enumerate(self.down):
            for block, attend in pairs:
                x = attend(block(x, step))
                skips.append(x)
            if kept.last(f'down{i + 1}', x):
                return kept.features
            if i < len(self.halves):
                x = self.halves[i](x)
                skips.append(x)
        first, attend, second = self.middle
        x = second(attend(first(x, step)), step)
        if kept.last('middle', x):
            return kept.features
        for i, pairs in enumerate(self.up):
            for block, attend in pairs:
                x = attend(block(torch.cat((x, skips.pop()), 1), step))
            if i < len(self.doubles):
                if kept.last(f'up{self.levels - i}', x):
                    return kept.features
                x = self.doubles[i](x)
        return kept.end(x)
