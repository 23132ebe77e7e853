"""Blocks of noise estimators: a step of diffusion as a vector, residual blocks that read it, attention, resampling.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020). Layer details follow the public DDPM networks as
WeatherDiffusion (Özdenizci and Legenstein, TPAMI 2023) sets them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32
EPS = 1e-6


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm of 32 groups; of fewer where they don't divide a narrow network's channels."""
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=EPS)


class StepEmbedding(nn.Module):
    """A step of diffusion -> a vector: sines and cosines of falling frequency, then linear, SiLU, linear.

    Args:
        size: of the sines and cosines together, even, from 4.
        width: of the vector.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.count = size // 2
        self.layers = nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, timestep: Tensor) -> Tensor:
        """``(N,)`` steps -> ``(N, width)``."""
        weight = self.layers[0].weight
        place = torch.arange(self.count, device=weight.device) * (-math.log(10000) / (self.count - 1))
        angle = timestep.to(weight.device).float()[:, None] * place.exp()
        return self.layers(torch.cat((angle.sin(), angle.cos()), 1).to(weight.dtype))


class StepBlock(nn.Module):
    """Residual block that reads the step.

    ::

        x -> norm -> SiLU -> 3x3 -> + linear(SiLU(step)) -> norm -> SiLU -> 3x3 -> + x (1x1 where widths differ)

    Args:
        inside: channels of ``x``.
        outside: channels of the result.
        step_width: of the step's vector.
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
        """``(N, inside, H, W)`` and ``(N, step_width)`` -> ``(N, outside, H, W)``."""
        y = self.conv1(F.silu(self.norm1(x)))
        y = y + self.step(F.silu(step))[:, :, None, None]
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class SelfAttention(nn.Module):
    """Every pixel looks at every other, with one head, and adds what it finds.

    Args:
        channels: of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        y = F.scaled_dot_product_attention(q.contiguous(), k.contiguous(), v.contiguous())
        return x + self.out(y.transpose(1, 2).reshape(x.shape))


class ConvHalve(nn.Module):
    """3x3 convolution of stride 2, padded by one pixel at the right and at the bottom alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)``, even -> ``(N, C, H / 2, W / 2)``."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class ConvDouble(nn.Module):
    """Every pixel twice along both axes, then a 3x3 convolution."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inside, H, W)`` -> ``(N, outside, 2 H, 2 W)``."""
        return self.conv(F.interpolate(x, scale_factor=2, mode='nearest'))


class NoiseReadout(nn.Module):
    """The last layers of a noise estimator: norm, SiLU, 3x3 convolution.

    Args:
        channels: of the features.
        out_channels: of the noise.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.conv = nn.Conv2d(channels, out_channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` -> ``(N, out_channels, H, W)``."""
        return self.conv(F.silu(self.norm(x)))


class TopDown(nn.Module):
    """Features of falling resolution -> one map at full size.

    From the coarsest on: doubled, added to the next finer level through a 1x1 convolution, and passed through a
    block that reads the step.

    Args:
        channels: of the levels, finest first; each level has half the sides of the one before, the first is full size.
        width: of the result.
        step_width: of the step's vector.
    """

    def __init__(self, channels: list[int], width: int, step_width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.doubles = nn.ModuleList(ConvDouble(width, width) for _ in channels[1:])
        self.blocks = nn.ModuleList(StepBlock(width, width, step_width) for _ in channels[1:])

    def forward(self, levels: list[Tensor], step: Tensor) -> Tensor:
        """Maps, finest first, and ``(N, step_width)`` -> ``(N, width, H, W)``."""
        x = self.lateral[-1](levels[-1])
        for i in reversed(range(len(self.doubles))):
            x = self.blocks[i](self.doubles[i](x) + self.lateral[i](levels[i]), step)
        return x
