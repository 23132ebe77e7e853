"""Numbers that are not finite must stay visible."""

from __future__ import annotations

from torch import Tensor


def nan_where_infinite(x: Tensor) -> Tensor:
    """Infinite numbers become NaN, which a later ``clamp`` keeps; it would make a plausible 0 or 1 of infinity."""
    return x + (x - x)  # plain arithmetic, which every export format has
