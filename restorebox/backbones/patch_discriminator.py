"""The patch discriminator of the pix2pix family.

Isola et al., "Image-to-image translation with conditional adversarial networks" (CVPR 2017): 70x70 for three
downsamplings; with anti-aliasing as in Park et al., "Contrastive learning for unpaired image-to-image translation"
(ECCV 2020).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.initialise import normal_init
from restorebox.layers.resampling import BlurHalve
from restorebox.layers.statistics import make_norm
from restorebox.registry import BACKBONES
from restorebox.values import Levels, ValueRange, Width


@BACKBONES.register_module()
class PatchDiscriminator(BaseBackbone):
    """4x4 convolutions with leaky ReLU 0.2; the last convolution is in :class:`RealnessHead`.

    ::

        x -> conv1 -> conv2 -> ... -> convL (stride 2 each) -> conv(L+1) at stride 1 = 'out'

    The first convolution has no norm. With ``antialias`` downsampling is a blur of stride 2 after the ReLU, without
    it a convolution of stride 2.

    Args:
        halvings: number L of downsamplings; 3 gives the papers' receptive field of 70x70 (without anti-aliasing).
        in_channels: channels of the input; 6 for a picture and its condition.
        base_width: channels of the first convolution, doubled at each level up to eight times this number.
        norm: ``'instance'``, ``'batch'`` or None.
        affine: whether instance norm has scale and shift (and convolutions no bias), as pix2pix's batch norm at batch
            size 1. Batch norm always has them.
        antialias: see above.
        value_range: (lowest, highest) value of the input.

    Taps: ``input``; ``conv1`` .. ``conv(L+1)`` before their norm.

    Raises:
        ConfigError: ``halvings`` below 1.
    """

    blocks: Any  # per block a ModuleDict of ``conv`` and ``rest``

    def __init__(
        self,
        halvings: Levels = 3,
        in_channels: Width = 3,
        base_width: Width = 64,
        norm: str | None = 'instance',
        affine: bool = False,
        antialias: bool = True,
        value_range: ValueRange = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        if halvings < 1:
            raise ConfigError(f'PatchDiscriminator: halvings is {halvings}; it must be at least 1')
        affine = norm == 'batch' or (norm == 'instance' and affine)
        widths = [base_width * min(2**i, 8) for i in range(halvings + 1)]
        self.blocks = nn.ModuleList()  # a tap is the output of a block's convolution
        for i, width in enumerate(widths):
            halving = i < halvings
            previous = in_channels if i == 0 else widths[i - 1]
            step = 2 if halving and not antialias else 1
            conv = nn.Conv2d(previous, width, 4, step, 1, bias=i == 0 or not affine)
            parts: list[nn.Module] = [nn.LeakyReLU(0.2)]
            if i > 0:
                parts.insert(0, make_norm(norm, width, 2**i * step, affine=affine))
            if halving and antialias:
                parts.append(BlurHalve())
            self.blocks.append(nn.ModuleDict({'conv': conv, 'rest': nn.Sequential(*parts)}))
        self.halvings = halvings
        self.antialias = antialias
        self.out_channels = widths[-1]
        self.out_stride = 2**halvings
        self.tap_channels = {'input': in_channels, **{f'conv{i + 1}': width for i, width in enumerate(widths)}}
        # leaves two pixels for the last convolution and two for that of the head
        smallest = 3 * 2**halvings
        self.needs = Needs(1, smallest, in_channels, (value_range[0], value_range[1]), self.field(1))
        normal_init(self)

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        run += 3
        for _ in range(self.halvings):
            run = 2 * run + 1 + 3 if self.antialias else 2 * run + 2
        return run

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        if kept.last('input', x):
            return kept.features
        for i, block in enumerate(self.blocks):
            x = block['conv'](x)
            if kept.last(f'conv{i + 1}', x):
                return kept.features
            x = block['rest'](x)
        return kept.end(x)
