"""Numbers that need care: what autocast must not reach, and directions of vectors that have none."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """float32, or float64 where it is: losses and normalisation of vectors lose too much in bfloat16."""
    return x if x.dtype == torch.float64 else x.float()


def without_autocast(x: Tensor) -> AbstractContextManager:
    """A context in which autocast leaves what is computed on the device of ``x`` alone; the meta device has none."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def unit_vectors(x: Tensor, shortest: float = 1e-12) -> Tensor:
    """Vectors of length 1 along the last axis.

    One that is shorter than ``shortest`` has no direction: it becomes zero and gets no gradient. (Dividing it by a
    small number instead gives gradients of 1e12, which leave nothing of all others once they are clipped.)
    """
    length = x.norm(dim=-1, keepdim=True)
    return torch.where(length > shortest, x / length.clamp_min(shortest), 0.0)
