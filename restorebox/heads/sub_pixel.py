"""Head with sub-pixel convolution: features at half size -> picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import normal_init
from restorebox.registry import HEADS
from restorebox.values import Count, Width


@HEADS.register_module()
class SubPixelHead(BaseHead):
    """ReLU, a 3x3 convolution to ``scale^2`` times the picture's channels, pixel shuffle, tanh.

    Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network" (CVPR 2016); as the last layer of a U-Net: Kang et al. (arXiv 2212.02198, eq 15). The index printed
    there is not a bijection; this follows Shi et al. up to a fixed permutation of the filters.

    Args:
        in_channels: channels of the backbone's last feature.
        scale: input pixels per pixel of that feature.
        out_channels: channels of the picture.
        residual: add the network's input instead of the tanh; the convolution is then zero-initialised.
        icnr: initialise the ``scale^2`` filters of a channel equally, which avoids checkerboard artefacts (Aitken et
            al., arXiv 1707.02937).
        activation: False: only convolution and shuffle, without the ReLU before and the tanh after them.

    Raises:
        ConfigError: ``scale`` below 2.
    """

    output = 'picture'
    reach = 3

    def __init__(
        self,
        in_channels: Width,
        scale: Count,
        out_channels: Width = 3,
        residual: bool = False,
        icnr: bool = True,
        activation: bool = True,
    ) -> None:
        super().__init__()
        if scale < 2:
            raise ConfigError(f'SubPixelHead: scale is {scale}; for a backbone with output stride 1 use PictureHead')
        self.conv = nn.Conv2d(in_channels, out_channels * scale**2, 3, 1, 1)
        self.scale = scale
        self.residual = residual
        self.residual_channels = out_channels if residual else None
        self.activation = activation
        normal_init(self, std=0.0 if residual else 0.02)
        if icnr:
            with torch.no_grad():
                self.conv.weight.copy_(self.conv.weight[:: scale**2].repeat_interleave(scale**2, 0))

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)`` in the network's value range (unbounded without tanh)."""
        y = features['out']
        y = F.pixel_shuffle(self.conv(torch.relu(y) if self.activation else y), self.scale)
        if self.residual:
            return x + y
        return torch.tanh(y) if self.activation else y
