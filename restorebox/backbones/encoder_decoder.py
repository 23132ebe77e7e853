"""EnDecoder-N: the U-Net's baseline without skips (Kang et al., arXiv 2212.02198)."""

from __future__ import annotations

from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.unet import check_levels, unet_widths
from restorebox.layers.initialise import he_init, normal_init
from restorebox.layers.statistics import make_norm
from restorebox.registry import BACKBONES
from restorebox.values import Levels, ValueRange, Width


@BACKBONES.register_module()
class EncoderDecoder(BaseBackbone):
    """N times downsampling and N times upsampling by 2, without skip connections.

    ::

        x -> down1 -> ... -> downN -> upN -> ... -> up1 = 'out', full size

    Down i: 3x3 convolution, norm, leaky ReLU 0.2, 2x2 max pooling. Up i: nearest-neighbour upsampling by 2,
    3x3 convolution, norm, ReLU (the last ReLU is in the head). The paper does not give kernel sizes.

    Args:
        levels: number N of downsamplings, 1 to 8.
        in_channels: channels of the input.
        base_width: channels after the first downsampling; doubled at each level.
        max_width: maximum number of channels.
        norm: None, ``'batch'`` or ``'instance'`` (affine). Instance norm removes mean and contrast of every channel.
            A U-Net's first skip has no norm and passes them on; here nothing does, so that brightness, contrast and
            colour of the picture are lost.
        value_range: (lowest, highest) value of the input.

    Taps: ``down1`` .. ``downN``, ``upN`` .. ``up1``.

    Raises:
        ConfigError: ``levels`` outside 1..8.
    """

    def __init__(
        self,
        levels: Levels = 5,
        in_channels: Width = 3,
        base_width: Width = 64,
        max_width: Width = 512,
        norm: str | None = None,
        value_range: ValueRange = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        check_levels(levels, 'EncoderDecoder')
        widths = unet_widths(levels, base_width, max_width)
        bias = norm is None
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, width in enumerate(widths):
            conv = nn.Conv2d(in_channels if i == 0 else widths[i - 1], width, 3, 1, 1, bias=bias)
            self.down.append(nn.Sequential(conv, make_norm(norm, width, 2**i), nn.LeakyReLU(0.2), nn.MaxPool2d(2)))
        for i in range(levels - 1, -1, -1):  # innermost first
            outer = widths[max(i - 1, 0)]
            block = [nn.Upsample(scale_factor=2), nn.Conv2d(widths[i], outer, 3, 1, 1, bias=bias)]
            block.append(make_norm(norm, outer, 2**i))
            self.up.append(nn.Sequential(*block, *([nn.ReLU()] if i else [])))
        self.levels = levels
        self.out_channels = widths[0]
        self.out_stride = 1
        self.tap_channels = {f'down{i + 1}': width for i, width in enumerate(widths)}
        self.tap_channels.update({f'up{i + 1}': widths[max(i - 1, 0)] for i in range(levels - 1, -1, -1)})
        self.needs = Needs(2**levels, 2**levels, in_channels, (value_range[0], value_range[1]), self.field(1))
        normal_init(self) if norm else he_init(self, slope=0.2)

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        for _ in range(self.levels):
            run = (run + 2) // 2 + 1  # n upsampled pixels depend on at most n // 2 + 1
        for _ in range(self.levels):
            run = 2 * run + 2
        return run

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        for name, block in zip(self.tap_channels, (*self.down, *self.up), strict=True):
            x = block(x)
            if kept.last(name, x):
                return kept.features
        return kept.end(x)
