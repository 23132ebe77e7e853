"""Where autocast must not reach."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """float32, or float64 where it is: losses and normalisation of vectors lose too much in bfloat16."""
    return x if x.dtype == torch.float64 else x.float()
