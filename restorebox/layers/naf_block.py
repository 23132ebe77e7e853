"""The block of NAFNet and its parts, shared by several U-Nets.

Chen, Chu, Zhang and Sun, "Simple Baselines for Image Restoration" (ECCV 2022): gating instead of activation functions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.layers.statistics import LocalStatistics


class PixelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel, with a scale and a shift per channel.

    Args:
        channels: C.
        eps: added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        # no copy for tensors in channels_last format
        y = x.permute(0, 2, 3, 1)
        y = F.layer_norm(y, (y.shape[-1],), self.weight.to(y.dtype), self.bias.to(y.dtype), self.eps)
        return y.permute(0, 3, 1, 2)


def gate(x: Tensor) -> Tensor:
    """SimpleGate: the product of the two halves of the channels, ``(N, 2C, H, W)`` -> ``(N, C, H, W)``."""
    a, b = x.chunk(2, 1)
    return a * b


class MeanScale(LocalStatistics):
    """Simplified channel attention: each channel times a linear function of the means of all channels.

    Args:
        channels: C.
        stride: see :class:`LocalStatistics <restorebox.layers.statistics.LocalStatistics>`.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(stride)
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, scene: Tensor | None) -> Tensor:
        """``(N, C, H, W)`` -> the same shape; ``scene`` is unused."""
        return x * self.conv(self.mean(x))


class SceneScale(nn.Module):
    """Scale each channel by one plus a linear function of the scene embedding; the function is zero-initialised.

    Args:
        channels: C.
        scene: length of the scene embedding.
    """

    def __init__(self, channels: int, scene: int) -> None:
        super().__init__()
        self.scene_conv = nn.Conv2d(scene, channels, 1)

    def forward(self, x: Tensor, scene: Tensor) -> Tensor:
        """``(N, C, H, W)`` and ``(N, scene, 1, 1)`` -> the shape of ``x``."""
        return x * (1 + self.scene_conv(scene))


class ScaledConv(nn.Conv2d):
    """A 1x1 convolution with a zero-initialised scale per output channel: NAFNet's beta and gamma.

    The weights are scaled, not the feature map, which would take as much time as the convolution on a CPU.

    Args:
        channels: C, of the input and the output.
    """

    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return F.conv2d(x, self.weight * self.scale[:, None, None, None], self.bias * self.scale)


class NAFBlock(nn.Module):
    """NAFNet's block: y = x + beta f(x), then y + gamma g(y); beta and gamma are zero-initialised.

    f: layer norm, 1x1 to 2C, depthwise 3x3, gate, channel attention, 1x1. g: layer norm, 1x1 to 2C, gate, 1x1.

    Args:
        channels: C.
        stride: of the channel attention, see :class:`MeanScale`.
        scene: length of the scene embedding, which replaces the means; 0: means of the features.
    """

    reach = 2  # increase of the receptive field in pixels

    def __init__(self, channels: int, stride: int, scene: int = 0) -> None:
        super().__init__()
        self.norm1 = PixelNorm(channels)
        self.enter = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, 1, 1, groups=2 * channels)
        self.attention = SceneScale(channels, scene) if scene else MeanScale(channels, stride)
        self.leave = ScaledConv(channels)
        self.norm2 = PixelNorm(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.reduce = ScaledConv(channels)

    def forward(self, x: Tensor, scene: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` and, if used, ``(N, scene, 1, 1)`` -> the shape of ``x``."""
        y = gate(self.depthwise(self.enter(self.norm1(x))))
        x = x + self.leave(self.attention(y, scene))
        return x + self.reduce(gate(self.expand(self.norm2(x))))
