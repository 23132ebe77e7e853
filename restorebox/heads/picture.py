"""Features -> picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import normal_init
from restorebox.registry import HEADS


@HEADS.register_module()
class PictureHead(BaseHead):
    """The last layer of a generator.

    At ``scale=2`` what pix2pix ends with: ReLU, 4x4 transposed convolution stride 2, tanh. At ``scale=1`` a 3x3
    convolution after the ReLU.

    Args:
        in_channels: channels of the backbone's last feature.
        scale: input pixels per pixel of that feature, 1 or 2.
        out_channels: channels of the picture.
        residual: add the network's input, and no tanh: ``pred = x + f(x)``. The convolution starts at zero, so an
            untrained network returns its input. Needs as many input as output channels.

    Raises:
        ConfigError: another scale.
    """

    output = 'picture'

    def __init__(self, in_channels: int, scale: int, out_channels: int = 3, residual: bool = False) -> None:
        super().__init__()
        if scale == 2:
            self.conv = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)
            self.reach = 2
        elif scale == 1:
            self.conv = nn.Conv2d(in_channels, out_channels, 3, 1, 1)
            self.reach = 3
        else:
            raise ConfigError(f'PictureHead: scale is {scale}; a backbone must end at stride 1 or 2')
        self.residual = residual
        normal_init(self, std=0.0 if residual else 0.02)

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)`` in the network's value range (unclamped when residual)."""
        y = self.conv(torch.relu(features['out']))
        return x + y if self.residual else torch.tanh(y)
