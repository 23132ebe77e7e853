"""The residual encoder-decoder of CycleGAN and CUT.

Johnson et al., "Perceptual losses for real-time style transfer" (ECCV 2016); Zhu et al., "Unpaired image-to-image
translation using cycle-consistent adversarial networks" (ICCV 2017); with anti-aliasing as in Park et al., "Contrastive
learning for unpaired image-to-image translation" (ECCV 2020). Layer details follow the public generators.
"""

from __future__ import annotations

from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.initialise import normal_init
from restorebox.layers.resampling import BlurDouble, BlurHalve
from restorebox.layers.statistics import make_norm
from restorebox.registry import BACKBONES
from restorebox.values import Count, ValueRange, Width


class ResidualBlock(nn.Module):
    """``x + norm(conv(relu(norm(conv(x)))))``, 3x3 with reflection padding.

    Args:
        channels: channels of ``x``.
        norm: see :class:`ResNetGenerator`.
        stride: input pixels per pixel of ``x``.
    """

    def __init__(self, channels: int, norm: str | None, stride: int) -> None:
        super().__init__()
        bias = norm != 'batch'
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, padding_mode='reflect', bias=bias),
            make_norm(norm, channels, stride, affine=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, padding_mode='reflect', bias=bias),
            make_norm(norm, channels, stride, affine=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` of at least 2x2 -> the same shape."""
        return x + self.body(x)


@BACKBONES.register_module()
class ResNetGenerator(BaseBackbone):
    """Twice downsampling, residual blocks, twice upsampling; the last convolution is in the head.

    ::

        x -> 7x7 -> down1 -> down2 -> res1 -> ... -> resN -> up2 -> up1 = 'out'   (full size)

    Every convolution is followed by norm and ReLU (the last ReLU is in the head). With ``antialias`` downsampling is
    a 3x3 convolution followed by a blur of stride 2, upsampling a blur followed by a 3x3 convolution (CUT). Without,
    they are convolutions and transposed convolutions of stride 2 (CycleGAN).

    Args:
        blocks: number N of residual blocks, 9 in the papers at 256x256.
        in_channels: channels of the input.
        base_width: channels at full size; 64 in the papers.
        norm: ``'instance'`` (without parameters), ``'batch'`` or None.
        antialias: see above.
        value_range: (lowest, highest) value of the input, (-1, 1) in the papers.

    Taps: ``input``; ``down1`` and ``down2``, outputs of the downsampling convolutions before the norm (with
    ``antialias`` at full and half size: layers 4 and 8 in CUT's code); ``res1`` .. ``resN`` (12, 13, ...) at a quarter.

    Raises:
        ConfigError: fewer than one block.
    """

    def __init__(
        self,
        blocks: Count = 9,
        in_channels: Width = 3,
        base_width: Width = 64,
        norm: str | None = 'instance',
        antialias: bool = True,
        value_range: ValueRange = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise ConfigError(f'ResNetGenerator: blocks is {blocks}; it must be at least 1')
        bias = norm != 'batch'
        full, half, quarter = base_width, 2 * base_width, 4 * base_width

        def normed(channels: int, stride: int) -> nn.Module:
            return make_norm(norm, channels, stride, affine=False)

        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, full, 7, 1, 3, padding_mode='reflect', bias=bias), normed(full, 1), nn.ReLU()
        )
        step = 1 if antialias else 2
        # a tap is the convolution's output, so the ReLU after it must not work in place without a norm between them
        self.down = nn.ModuleList(
            nn.Conv2d(inside, outside, 3, step, 1, bias=bias) for inside, outside in ((full, half), (half, quarter))
        )
        self.halve = nn.ModuleList(
            nn.Sequential(normed(width, stride * step), nn.ReLU(), BlurHalve() if antialias else nn.Identity())
            for width, stride in ((half, 1), (quarter, 2))
        )
        self.blocks = nn.ModuleList(ResidualBlock(quarter, norm, 4) for _ in range(blocks))
        self.up = nn.ModuleList()
        for inside, outside, stride in ((quarter, half, 2), (half, full, 1)):
            if antialias:
                double = [BlurDouble(), nn.Conv2d(inside, outside, 3, 1, 1, bias=bias)]
            else:
                double = [nn.ConvTranspose2d(inside, outside, 3, 2, 1, output_padding=1, bias=bias)]
            last = [] if stride == 1 else [nn.ReLU()]
            self.up.append(nn.Sequential(*double, normed(outside, stride), *last))
        self.antialias = antialias
        self.out_channels = full
        self.out_stride = 1
        self.tap_channels = {'input': in_channels, 'down1': half, 'down2': quarter}
        self.tap_channels.update({f'res{i + 1}': quarter for i in range(blocks)})
        self.needs = Needs(
            stride=4,
            min_size=8,  # reflection padding of 3 at full size, of 1 at a quarter
            in_channels=in_channels,
            value_range=(value_range[0], value_range[1]),
            receptive_field=self.field(1),
        )
        normal_init(self)

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        for _ in range(2):  # from 'out' to a quarter of the size
            run = (run + 2) // 2 + 2 if self.antialias else (run + 1) // 2 + 1
        run += 4 * len(self.blocks)
        for _ in range(2):
            run = 2 * run + 3 if self.antialias else 2 * run + 1
        return run + 6

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        if kept.last('input', x):
            return kept.features
        x = self.stem(x)
        for i, (conv, halve) in enumerate(zip(self.down, self.halve, strict=True)):
            x = conv(x)
            if kept.last(f'down{i + 1}', x):
                return kept.features
            x = halve(x)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if kept.last(f'res{i + 1}', x):
                return kept.features
        for up in self.up:
            x = up(x)
        return kept.end(x)
