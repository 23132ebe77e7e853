"""Downsampling and upsampling of feature maps by 2 without aliasing.

Zhang, "Making Convolutional Networks Shift-Invariant Again" (ICML 2019), as CUT and its successors use it: a fixed
binomial blur before subsampling, and a fixed blur after upsampling. Grouped convolutions were the fastest of five
implementations, forward and backward on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Blur(nn.Module):
    """A fixed separable kernel, equal for all channels."""

    kernel: Tensor

    def __init__(self, taps: tuple[float, ...]) -> None:
        super().__init__()
        line = torch.tensor(taps, device='cpu')
        self.register_buffer('kernel', (line[:, None] * line)[None, None], persistent=False)

    def grouped(self, x: Tensor) -> Tensor:
        """Return the kernel repeated for each channel of ``x``."""
        return self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1).contiguous()


class BlurHalve(_Blur):
    """Blur by (1, 2, 1) / 4 along both axes with reflection padding, then subsample by 2."""

    def __init__(self) -> None:
        super().__init__((0.25, 0.5, 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)``, at least 2x2, to ``(N, C, ceil(H / 2), ceil(W / 2))``."""
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode='reflect'), self.grouped(x), stride=2, groups=x.shape[1])


class BlurDouble(_Blur):
    """Upsample by 2 with zeros, and blur by (1, 3, 3, 1) / 4 along both axes with replication padding.

    Equal to bilinear interpolation to twice the size.
    """

    def __init__(self) -> None:
        super().__init__((0.25, 0.75, 0.75, 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, C, 2 H, 2 W)``."""
        padded = F.pad(x, (1, 1, 1, 1), mode='replicate')
        doubled = F.conv_transpose2d(padded, self.grouped(x), stride=2, padding=2, groups=x.shape[1])
        return doubled[:, :, 1:-1, 1:-1]
