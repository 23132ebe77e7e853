"""Blocks of noise estimators: timestep embedding, residual blocks, attention, resampling.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020). Layer details follow the DDPM networks of
WeatherDiffusion (Özdenizci and Legenstein, TPAMI 2023).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32
EPS = 1e-6


def group_norm(channels: int) -> nn.GroupNorm:
    """Return a GroupNorm of 32 groups, or of fewer if 32 does not divide the channels."""
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=EPS)


class StepEmbedding(nn.Module):
    """Timestep embedding: sines and cosines of decreasing frequency, then linear, SiLU, linear.

    Args:
        size: number of sines and cosines together, even, at least 4.
        width: length of the vector.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.count = size // 2
        self.layers = nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, timestep: Tensor) -> Tensor:
        """Map ``(N,)`` timesteps to ``(N, width)``."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        weight = first.weight
        exponent = torch.arange(self.count, device=weight.device) * (-math.log(10000) / (self.count - 1))
        angle = timestep.to(weight.device).float()[:, None] * exponent.exp()
        return self.layers(torch.cat((angle.sin(), angle.cos()), 1).to(weight.dtype))


class StepBlock(nn.Module):
    """Residual block conditioned on the timestep.

    ::

            x -> norm -> SiLU -> 3x3 -> + linear(SiLU(step)) -> norm -> SiLU -> 3x3 -> + x (1x1 if the widths differ)

    Args:
        inside: channels of ``x``.
        outside: channels of the result.
        step_width: length of the timestep's vector.
    """

    def __init__(self, inside: int, outside: int, step_width: int) -> None:
        super().__init__()
        self.norm1 = group_norm(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, 1, 1)
        self.step = nn.Linear(step_width, outside)
        self.norm2 = group_norm(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1)
        self.shortcut = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Map ``(N, inside, H, W)`` and ``(N, step_width)`` to ``(N, outside, H, W)``."""
        y = self.conv1(F.silu(self.norm1(x)))
        y = y + self.step(F.silu(step))[:, :, None, None]
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class SelfAttention(nn.Module):
    """Single-head self-attention over all pixels, with a residual connection.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to the same shape."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        y = F.scaled_dot_product_attention(q.contiguous(), k.contiguous(), v.contiguous())
        return x + self.out(y.transpose(1, 2).reshape(x.shape))


class ConvHalve(nn.Module):
    """3x3 convolution of stride 2, padded by one pixel at the right and the bottom only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)``, H and W even, to ``(N, C, H / 2, W / 2)``."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class ConvDouble(nn.Module):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inside, H, W)`` to ``(N, outside, 2 H, 2 W)``."""
        return self.conv(F.interpolate(x, scale_factor=2, mode='nearest'))


class NoiseReadout(nn.Module):
    """Last layers of a noise estimator: norm, SiLU, 3x3 convolution.

    Args:
        channels: channels of the features.
        out_channels: channels of the noise.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.conv = nn.Conv2d(channels, out_channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to ``(N, out_channels, H, W)``."""
        return self.conv(F.silu(self.norm(x)))


class TopDown(nn.Module):
    """Merge feature maps of decreasing resolution into one map at full size.

    Starting at the coarsest level, the map is upsampled by 2, added to a 1x1 convolution of the next finer level, and
    passed through a :class:`StepBlock`.

    Args:
        channels: channels of the levels, finest first; each level halves the size, the first has full size.
        width: channels of the result.
        step_width: length of the timestep's vector.
    """

    def __init__(self, channels: list[int], width: int, step_width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.doubles = nn.ModuleList(ConvDouble(width, width) for _ in channels[1:])
        self.blocks = nn.ModuleList(StepBlock(width, width, step_width) for _ in channels[1:])

    def forward(self, levels: list[Tensor], step: Tensor) -> Tensor:
        """Map feature maps, finest first, and ``(N, step_width)`` to ``(N, width, H, W)``."""
        x = self.lateral[-1](levels[-1])
        for i in reversed(range(len(self.doubles))):
            x = self.blocks[i](self.doubles[i](x) + self.lateral[i](levels[i]), step)
        return x
