"""Numerical precision: autocast exceptions, unit vectors, tracing, bfloat16 support."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Convert to float32, or keep float64: bfloat16 is too imprecise for losses and vector norms."""
    return x if x.dtype == torch.float64 else x.float()


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Return a context that disables autocast; on the meta device, which has none, it does nothing."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def unit_vectors(x: Tensor, shortest: float = 1e-12) -> Tensor:
    """Normalise vectors along the last axis to length 1.

    Vectors shorter than ``shortest`` become zero without gradient. Division by a small number would give gradients of
    1e12, and gradient clipping would then suppress all others.
    """
    length = x.norm(dim=-1, keepdim=True)
    return torch.where(length > shortest, x / length.clamp_min(shortest), 0.0)


def traced() -> bool:
    """Whether a pass is being recorded for other sizes as well, by an exporter, a compiler or a tracer.

    Sizes read in Python would then be fixed to the current ones.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def has_bf16(device: torch.device) -> bool:
    """Whether a device supports bfloat16 natively. Emulation is slower than float32."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == 'cpu':
        # torch has private names for this, which may be missing: float32 is then the safe choice
        names = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
        return any(getattr(torch.cpu, name, bool)() for name in names)
    return False
