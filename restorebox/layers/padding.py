"""Padding for pictures of any size from 1x1."""

from __future__ import annotations

import torch
from torch import Tensor


def reflect_index(size: int, before: int, after: int) -> Tensor:
    """Return indices that extend an axis by reflection, repeated if necessary.

    Reflection does not repeat the edge sample (``c b | a b c | b a``). An axis of one sample repeats it.

    Args:
        size: length of the axis, at least 1.
        before: samples to add before the first.
        after: samples to add after the last.

    Returns:
        ``before + size + after`` int64 indices in ``[0, size)``.
    """
    period = max(2 * size - 2, 1)
    index = torch.arange(-before, size + after) % period
    return torch.where(index < size, index, period - index)


def pad_to_multiple(x: Tensor, multiple: int, minimum: int = 1) -> Tensor:
    """Pad height and width at the bottom and the right by reflection.

    Args:
        x: ``(..., H, W)``.
        multiple: the padded height and width are multiples of it.
        minimum: minimum of the padded height and width.

    Returns:
        ``(..., H', W')``; ``x`` itself if no padding is needed. Crop with ``y[..., :H, :W]``.
    """
    for axis in (-2, -1):
        size = x.shape[axis]
        target = -(-max(size, minimum) // multiple) * multiple
        if target != size:
            x = x.index_select(x.dim() + axis, reflect_index(size, 0, target - size).to(x.device))
    return x
