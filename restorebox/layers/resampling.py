"""Halving and doubling of feature maps without aliasing.

Zhang, "Making Convolutional Networks Shift-Invariant Again" (ICML 2019), as CUT and its successors use it: a fixed
binomial blur before every second pixel is dropped, and a fixed blur after every pixel was doubled.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BlurHalve(nn.Module):
    """Blur by (1, 2, 1) / 4 along both axes with a reflected border, then keep every second pixel."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0], device='cpu') / 4
        self.register_buffer('kernel', (line[:, None] * line)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)``, at least 2x2 -> ``(N, C, ceil(H / 2), ceil(W / 2))``."""
        count, channels, height, width = x.shape
        x = F.pad(x, (1, 1, 1, 1), mode='reflect')
        # channels as pictures: a plain convolution of one channel is 2 to 4 times faster on a CPU than a grouped one
        x = F.conv2d(x.reshape(count * channels, 1, height + 2, width + 2), self.kernel.to(x.dtype), stride=2)
        return x.reshape(count, channels, (height + 1) // 2, (width + 1) // 2)


class BlurDouble(nn.Module):
    """Zeros between all pixels, blurred by (1, 3, 3, 1) / 4 with a repeated border.

    Its even and odd outputs are (3 a + b) / 4: that is bilinear interpolation, and is computed as such.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, 2 H, 2 W)``."""
        return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
