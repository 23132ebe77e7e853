"""Head of generators: features -> picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import normal_init
from restorebox.registry import HEADS
from restorebox.values import Count, Width


@HEADS.register_module()
class PictureHead(BaseHead):
    """The last layer of a generator.

    At ``scale=2`` what pix2pix ends with: ReLU, 4x4 transposed convolution stride 2, tanh. At ``scale=1`` a
    convolution after the ReLU, and tanh: 3x3 with zeros around, or CycleGAN's 7x7 with a reflected border; or heavy
    rain's 1x1 and a ReLU.

    Args:
        in_channels: channels of the backbone's last feature.
        scale: input pixels per pixel of that feature, 1 or 2.
        out_channels: channels of the picture.
        residual: add the network's input, and no tanh: ``pred = x + f(x)``. The convolution starts at zero, so an
            untrained network returns its input. Needs as many input as output channels.
        kernel: odd side of the convolution at ``scale=1``.
        padding: its border, ``'zeros'`` or ``'reflect'``.
        activation: False for the convolution alone, without the ReLU in front and whatever is behind.
        last: ``'tanh'`` for pictures in [-1, 1], or ``'relu'`` for those in [0, 1], not limited above; the bias of the
            latter starts at mid-grey, since a ReLU that is below 0 everywhere would never learn.

    Raises:
        ConfigError: another scale, kernel, padding or last.
    """

    output = 'picture'

    def __init__(
        self,
        in_channels: Width,
        scale: Count,
        out_channels: Width = 3,
        residual: bool = False,
        kernel: Count = 3,
        padding: str = 'zeros',
        activation: bool = True,
        last: str = 'tanh',
    ) -> None:
        super().__init__()
        if last not in ('tanh', 'relu') or (residual and last != 'tanh'):
            raise ConfigError(f"PictureHead: last is '{last}'; it must be 'tanh' or, where not residual, 'relu'")
        if kernel < 1 or kernel % 2 == 0:
            raise ConfigError(f'PictureHead: kernel is {kernel}; it must be odd')
        if padding not in ('zeros', 'reflect'):
            raise ConfigError(f"PictureHead: padding is '{padding}'; it must be 'zeros' or 'reflect'")
        if scale == 2:
            self.conv = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)
            self.reach = 2
        elif scale == 1:
            self.conv = nn.Conv2d(in_channels, out_channels, kernel, 1, kernel // 2, padding_mode=padding)
            self.reach = kernel
        else:
            raise ConfigError(f'PictureHead: scale is {scale}; a backbone must end at stride 1 or 2')
        self.residual = residual
        self.activation = activation
        self.last = last
        normal_init(self, std=0.0 if residual else 0.02)
        if last == 'relu':
            nn.init.constant_(self.conv.bias, 0.5)

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)`` in the network's value range (unclamped where there is no tanh)."""
        y = features['out']
        y = self.conv(torch.relu(y) if self.activation else y)
        if self.residual:
            return x + y
        if not self.activation:
            return y
        return torch.tanh(y) if self.last == 'tanh' else torch.relu(y)
