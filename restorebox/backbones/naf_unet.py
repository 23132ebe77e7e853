"""U-Net of NAFNet's blocks on pixel-unshuffled features.

Chen, Chu, Zhang and Sun, "Simple Baselines for Image Restoration" (ECCV 2022): blocks with gating instead of
activation functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.fdr_unet import FDRBlock
from restorebox.errors import ConfigError
from restorebox.layers.global_statistics import SceneEncoder, scene_statistics
from restorebox.layers.initialise import he_init
from restorebox.layers.naf_block import NAFBlock, SceneScale
from restorebox.registry import BACKBONES, nearest


class GatedBlock(nn.Module):
    """Residual block x + conv(attention(ReLU(conv(x)))), 3x3, fast on CPUs; the last conv is zero-initialised.

    Args:
        channels: C.
        stride: unused; see :class:`NAFBlock`.
        scene: length of the scene embedding; 0: no attention.
    """

    reach = 4

    def __init__(self, channels: int, stride: int, scene: int = 0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.attention = SceneScale(channels, scene) if scene else None
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor, scene: Tensor | None = None) -> Tensor:
        """As :meth:`NAFBlock.forward`."""
        y = torch.relu(self.conv1(x))
        return x + self.conv2(y if self.attention is None else self.attention(y, scene))


class DisentangleBlock(FDRBlock):
    """:class:`FDRBlock <restorebox.backbones.fdr_unet.FDRBlock>` with NAFBlock's arguments."""

    reach = 4

    def __init__(self, channels: int, stride: int, scene: int = 0) -> None:
        super().__init__(channels, 'stored', stride, scene)


KINDS: dict[str, type[NAFBlock] | type[GatedBlock] | type[DisentangleBlock]] = {
    'naf': NAFBlock,
    'residual': GatedBlock,
    'fdr': DisentangleBlock,
}


@BACKBONES.register_module()
class NAFUNet(BaseBackbone):
    """U-Net of NAFNet's blocks, or of other blocks per level, on pixel-unshuffled features.

    ::

        pixels 2x2 -> widths[0] -> blocks -> halve -> blocks -> halve -> ... -> double -> blocks -> double -> blocks
                                     |                  |                         +                   +
                                     |                  +-------------------------+                   |
                                     +----------------------------------------------------------------+

    Args:
        widths: channels per level, the first at ``1 / stem`` of the resolution.
        before: blocks per encoder level; the last number is that of the deepest level.
        behind: blocks per decoder level, one number fewer than ``before``.
        kinds: per level: ``'naf'``, ``'residual'`` (two 3x3 convolutions) or ``'fdr'``.
        stem: factor of the pixel unshuffle of the input: 1, 2 or 4.
        scene: length of the embedding of global statistics, an input of all blocks, see
            :mod:`restorebox.layers.global_statistics`; 0: means of the features, as in the paper.
        in_channels: channels of the input; must be 3 with ``scene``.
        value_range: (lowest, highest) value of the input; must be (0, 1) with ``scene``.

    Taps: ``down1`` .. (last block of an encoder level), ``process`` (last block of the deepest level).

    Raises:
        ConfigError: fewer than two levels, a wrong number of entries, an unknown kind or an invalid ``stem``.
    """

    before: Any  # a ModuleList of blocks per level, as is ``behind``
    behind: Any

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128),
        before: Sequence[int] = (2, 2, 4),
        behind: Sequence[int] = (2, 2),
        kinds: Sequence[str] | str = 'naf',
        stem: int = 2,
        scene: int = 0,
        in_channels: int = 3,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        levels = len(widths) - 1
        if levels < 1:
            raise ConfigError(f'NAFUNet: widths is {widths!r}; it must name two levels or more')
        kinds = [kinds] * len(widths) if isinstance(kinds, str) else list(kinds)
        for name, given, wanted in (
            ('before', before, levels + 1),
            ('behind', behind, levels),
            ('kinds', kinds, levels + 1),
        ):
            if len(given) != wanted:
                raise ConfigError(f'NAFUNet: {name} has {len(given)} entries; {len(widths)} widths need {wanted}')
        for kind in kinds:
            if kind not in KINDS:
                raise ConfigError(f"NAFUNet: unknown kind '{kind}'; {nearest(str(kind), [*KINDS])}")
        if stem not in (1, 2, 4):
            raise ConfigError(f'NAFUNet: stem is {stem!r}; it must be 1, 2 or 4')
        if scene and (in_channels != 3 or tuple(value_range) != (0.0, 1.0)):
            raise ConfigError('NAFUNet: scene needs in_channels=3 and value_range=(0, 1)')
        self.stem = stem
        self.scene = SceneEncoder(out=scene, ordered=False) if scene else None
        if scene:
            self.given = ('scene',)

        def row(level: int, number: int) -> nn.ModuleList:
            block = KINDS[kinds[level]]
            return nn.ModuleList(block(widths[level], stem * 2**level, scene) for _ in range(number))

        self.enter = nn.Conv2d(stem**2 * in_channels, widths[0], 3, 1, 1)
        self.before = nn.ModuleList(row(i, before[i]) for i in range(levels))
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, 2) for i in range(levels))
        self.process = row(levels, before[-1])
        self.up = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in range(levels))
        self.behind = nn.ModuleList(row(i, behind[i]) for i in range(levels))
        he_init(self)
        for block in self.modules():
            last = block.conv2 if isinstance(block, GatedBlock) else None
            last = block.aggregate.conv if isinstance(block, FDRBlock) else last
            last = block.scene_conv if isinstance(block, SceneScale) else last
            if last is not None:
                nn.init.zeros_(last.weight)
        self.tap_channels = {**{f'down{i + 1}': widths[i] for i in range(levels)}, 'process': widths[-1]}
        self.out_channels = widths[0]
        self.out_stride = stem
        self._reach = [
            [KINDS[kinds[i]].reach * number for i, number in enumerate(numbers)] for numbers in (before, behind)
        ]
        stride = stem * 2**levels
        self.needs = Needs(
            stride=stride,
            min_size=stride,
            in_channels=in_channels,
            value_range=(value_range[0], value_range[1]),
            receptive_field=self.field(1),
            global_statistics=bool(scene),
        )

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`: the longest path goes through the deepest level."""
        span = run  # pixels of the current level
        (*down, deepest), up = self._reach
        for reach in up:
            span = -(-(span + reach + 1) // 2)  # pixels at half the size, worst-case alignment
        span += deepest
        for reach in reversed(down):
            span = 2 * span + reach
        return self.stem * (span + 2)

    def global_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """Return the statistics of a whole picture ``(N, 3, H, W)`` in [0, 1].

        Returns:
            ``scene``: the result of :func:`~restorebox.layers.global_statistics.scene_statistics`; empty if unused.
        """
        return {} if self.scene is None else {'scene': scene_statistics(x)}

    def forward(
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, scene: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`; ``scene``: result of :meth:`global_statistics`; None: of ``x``."""
        kept = self.collect(taps, only_taps)
        embedding = None
        if self.scene is not None:
            embedding = self.scene(scene_statistics(x) if scene is None else scene)
        x = self.enter(F.pixel_unshuffle(x, self.stem) if self.stem > 1 else x)
        skips = []
        for i, (row, halve) in enumerate(zip(self.before, self.down, strict=True)):
            for block in row:
                x = block(x, embedding)
            if kept.last(f'down{i + 1}', x):
                return kept.features
            skips.append(x)
            x = halve(x)
        for block in self.process:
            x = block(x, embedding)
        if kept.last('process', x):
            return kept.features
        for double, row, skip in reversed(list(zip(self.up, self.behind, skips, strict=True))):
            x = F.pixel_shuffle(double(x), 2) + skip
            for block in row:
                x = block(x, embedding)
        return kept.end(x)
