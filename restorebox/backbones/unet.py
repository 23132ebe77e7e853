"""UNet-N, the encoder-decoder of the pix2pix family with N downsamplings.

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (CVPR 2017): UNet-8. Kang et al.,
"Rethinking Generative Methods for Image Restoration in Physics-based Vision" (arXiv 2212.02198): UNet-5, and the study
of N from 1 to 8. Layer details follow the public pix2pix generator.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.information_accumulation import build_stem, check_stems
from restorebox.layers.initialise import he_init, normal_init
from restorebox.layers.statistics import make_norm
from restorebox.registry import BACKBONES
from restorebox.values import Fraction, Levels, ValueRange, Width


def unet_widths(levels: int, base: int, limit: int) -> list[int]:
    """Return the channels per level: ``min(base * 2^i, limit)``."""
    return [min(base * 2**i, limit) for i in range(levels)]


def check_levels(levels: int, owner: str) -> None:
    """Check the number of downsamplings.

    Raises:
        ConfigError: not from 1 to 8.
    """
    if not 1 <= levels <= 8:
        raise ConfigError(f'{owner}: levels is {levels}; it must be from 1 to 8')


@BACKBONES.register_module()
class UNet(BaseBackbone):
    """U-Net with N downsamplings by 2; the last upsampling is in the head.

    ::

        x -> down1 -> down2 -> ... -> downN (innermost, no norm)
              |         |               |
              |         +---- concat <- upN -> ...
              +-- concat <- up2              'out' = cat(down1, up2), half the input's size

    Down i: LeakyReLU 0.2 (not before the first), 4x4 convolution stride 2, norm (not in the first and the
    innermost). Up: ReLU, 4x4 transposed convolution stride 2, norm. Convolutions have a bias only
    with ``norm=None``.

    Args:
        levels: number N of downsamplings, 1 to 8.
        in_channels: channels of the input.
        base_width: channels after the first downsampling, doubled at each level; 64 in the papers.
        max_width: maximum number of channels; 512 in the papers.
        norm: ``'instance'`` (affine; equal to pix2pix's batch norm at batch size 1), ``'batch'`` or None.
        dropout: dropout probability after the norm of inner up blocks; 0.5 in pix2pix. Use 0 for restoration: dropout
            at test time lowers PSNR.
        value_range: (lowest, highest) value of the input, (-1, 1) in the papers.
        stems: ``down1`` .. ``downN`` -> config of a module from STEMS before this level, e.g.
            ``dict(down1=dict(type='InfoAccum', layers=15))``.

    Taps: ``down1`` .. ``downN``, ``up2`` .. ``upN`` (before the concatenation).

    Raises:
        ConfigError: ``levels`` outside 1..8, or a stem at another level.
    """

    stems: Any  # a ModuleDict of BaseStem

    def __init__(
        self,
        levels: Levels = 5,
        in_channels: Width = 3,
        base_width: Width = 64,
        max_width: Width = 512,
        norm: str | None = 'instance',
        dropout: Fraction = 0.0,
        value_range: ValueRange = (-1.0, 1.0),
        stems: dict[str, dict] | None = None,
    ) -> None:
        super().__init__()
        check_levels(levels, 'UNet')
        stems = check_stems(stems, levels, 'UNet')
        widths = unet_widths(levels, base_width, max_width)
        bias = norm is None
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.stems = nn.ModuleDict()
        for i, width in enumerate(widths):
            previous = in_channels if i == 0 else widths[i - 1]
            if f'down{i + 1}' in stems:
                stem = self.stems[f'down{i + 1}'] = build_stem(stems[f'down{i + 1}'], previous, 2**i)
                previous = stem.out_channels
            block: list[nn.Module] = [] if i == 0 else [nn.LeakyReLU(0.2)]
            block.append(nn.Conv2d(previous, width, 4, 2, 1, bias=bias))
            if 0 < i < levels - 1:
                block.append(make_norm(norm, width, 2 ** (i + 1)))
            self.down.append(nn.Sequential(*block))
        for i in range(levels - 1, 0, -1):  # innermost first
            inner = widths[i] if i == levels - 1 else 2 * widths[i]
            block = [nn.ReLU(), nn.ConvTranspose2d(inner, widths[i - 1], 4, 2, 1, bias=bias)]
            block.append(make_norm(norm, widths[i - 1], 2**i))
            if dropout and i < levels - 1 and widths[i - 1] == max_width:
                block.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*block))
        self.levels = levels
        self.out_channels = widths[0] * (1 if levels == 1 else 2)
        self.out_stride = 2
        self.tap_channels = {f'down{i + 1}': width for i, width in enumerate(widths)}
        self.tap_channels.update({f'up{i + 1}': widths[i - 1] for i in range(levels - 1, 0, -1)})
        stride = 2**levels
        self.needs = Needs(stride, stride, in_channels, (value_range[0], value_range[1]), self.field(1))
        # pix2pix's initialisation with small weights needs norms to rescale the features
        normal_init(self) if norm else he_init(self, slope=0.2)

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        for _ in range(self.levels - 1):  # n outputs of a 4x4 transposed convolution depend on n // 2 + 2 inputs
            run = run // 2 + 2
        for i in range(self.levels, 0, -1):
            run = 2 * run + 2  # a 4x4 convolution of stride 2
            if f'down{i}' in self.stems:
                run += self.stems[f'down{i}'].reach - 1
        return run

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        skips = []
        for i, block in enumerate(self.down):
            name = f'down{i + 1}'
            x = block(self.stems[name](x) if name in self.stems else x)
            skips.append(x)
            if kept.last(name, x):
                return kept.features
        skips.pop()
        for i, block in zip(range(self.levels - 1, 0, -1), self.up, strict=True):
            x = block(x)
            if kept.last(f'up{i + 1}', x):
                return kept.features
            x = torch.cat((skips.pop(), x), 1)
        return kept.end(x)
