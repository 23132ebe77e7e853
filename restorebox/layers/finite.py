"""Handling of numbers that are not finite."""

from __future__ import annotations

from torch import Tensor


def nan_where_infinite(x: Tensor) -> Tensor:
    """Replace infinite numbers by NaN: a later ``clamp`` keeps NaN, but would turn infinity into a plausible value."""
    return x + (x - x)  # arithmetic operations, which every export format supports
