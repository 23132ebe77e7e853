"""The same few positions of several feature maps."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_positions(height: int, width: int, count: int, rng: torch.Generator) -> Tensor:
    """Draw positions of a map without repetition.

    Args:
        height: of the map.
        width: of the map.
        count: how many; all of them, in random order, where the map has fewer.
        rng: on the CPU, so that ranks and devices draw the same.

    Returns:
        ``(P,)`` int64 indices into the flattened map.
    """
    return torch.randperm(height * width, generator=rng, device='cpu')[:count]


def gather_positions(x: Tensor, positions: Tensor) -> Tensor:
    """Features at positions: ``(N, C, H, W)`` and ``(P,)`` -> ``(N, P, C)``."""
    return x.flatten(2)[:, :, positions.to(x.device)].transpose(1, 2)
