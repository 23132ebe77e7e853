"""Sampling of feature vectors at random positions."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_positions(height: int, width: int, count: int, rng: torch.Generator) -> Tensor:
    """Draw positions of a feature map without replacement.

    Args:
        height: height of the map.
        width: width of the map.
        count: number of positions; all of them, in random order, if the map has fewer.
        rng: random number generator on the CPU, so that ranks and devices draw the same.

    Returns:
        ``(P,)`` int64 indices into the flattened map.
    """
    return torch.randperm(height * width, generator=rng, device='cpu')[:count]


def gather_positions(x: Tensor, positions: Tensor) -> Tensor:
    """Gather the features at positions: ``(N, C, H, W)`` and ``(P,)`` -> ``(N, P, C)``."""
    return x.flatten(2)[:, :, positions.to(x.device)].transpose(1, 2)
