"""Head of generators: features -> picture."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import normal_init
from restorebox.registry import HEADS
from restorebox.values import Count, Width


@HEADS.register_module()
class PictureHead(BaseHead):
    """The last layers of a generator.

    ``scale=2``: ReLU, 4x4 transposed convolution with stride 2, tanh (pix2pix). ``scale=1``: ReLU, convolution, tanh,
    e.g. 3x3 with zero padding or 7x7 with reflection padding (CycleGAN); heavy rain uses 1x1 and a final ReLU.

    Args:
        in_channels: channels of the backbone's last feature.
        scale: input pixels per pixel of that feature, 1 or 2.
        out_channels: channels of the picture.
        residual: add the network's input instead of the tanh: ``pred = x + f(x)``. The convolution is
            zero-initialised, so an untrained network returns its input. Needs equal input and output channels.
        kernel: odd kernel size of the convolution at ``scale=1``.
        padding: padding mode of this convolution, ``'zeros'`` or ``'reflect'``.
        activation: False: only the convolution, without the ReLU before and the activation after it.
        last: ``'tanh'`` for pictures in [-1, 1], or ``'relu'`` for non-negative ones. With ``'relu'`` the bias is
            initialised to 0.5, since a ReLU with only negative inputs gets no gradient.
        bias: False: the convolution has no bias, as in bias-free networks (Restormer).

    Raises:
        ConfigError: an invalid ``scale``, ``kernel``, ``padding`` or ``last``, or ``'relu'`` without a bias.
    """

    output = 'picture'
    conv: nn.Conv2d | nn.ConvTranspose2d

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
        bias: bool = True,
    ) -> None:
        super().__init__()
        if last not in ('tanh', 'relu') or (residual and last != 'tanh'):
            raise ConfigError(f"PictureHead: last is '{last}'; it must be 'tanh' or, where not residual, 'relu'")
        if last == 'relu' and not bias:
            raise ConfigError("PictureHead: last='relu' needs bias=True; its start keeps the ReLU open")
        if kernel < 1 or kernel % 2 == 0:
            raise ConfigError(f'PictureHead: kernel is {kernel}; it must be odd')
        if padding not in ('zeros', 'reflect'):
            raise ConfigError(f"PictureHead: padding is '{padding}'; it must be 'zeros' or 'reflect'")
        if scale == 2:
            self.conv = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=bias)
            self.reach = 2
        elif scale == 1:
            mode: Literal['zeros', 'reflect'] = 'reflect' if padding == 'reflect' else 'zeros'
            self.conv = nn.Conv2d(in_channels, out_channels, kernel, 1, kernel // 2, bias=bias, padding_mode=mode)
            self.reach = kernel
        else:
            raise ConfigError(f'PictureHead: scale is {scale}; a backbone must end at stride 1 or 2')
        self.residual = residual
        self.residual_channels = out_channels if residual else None
        self.activation = activation
        self.last = last
        normal_init(self, std=0.0 if residual else 0.02)
        if last == 'relu':
            assert self.conv.bias is not None
            nn.init.constant_(self.conv.bias, 0.5)

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)`` in the network's value range (unbounded without tanh)."""
        y = features['out']
        y = self.conv(torch.relu(y) if self.activation else y)
        if self.residual:
            return x + y
        if not self.activation:
            return y
        return torch.tanh(y) if self.last == 'tanh' else torch.relu(y)
