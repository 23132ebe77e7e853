"""Numbers that need care: what autocast must not reach, directions of vectors that have none, sizes, and bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """float32, or float64 where it is: losses and normalisation of vectors lose too much in bfloat16."""
    return x if x.dtype == torch.float64 else x.float()


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Keeps autocast away from what must stay in float32; on the meta device, which has none, it does nothing."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def unit_vectors(x: Tensor, shortest: float = 1e-12) -> Tensor:
    """Vectors of length 1 along the last axis.

    One that is shorter than ``shortest`` has no direction: it becomes zero and gets no gradient. (Dividing it by a
    small number instead gives gradients of 1e12, which leave nothing of all others once they are clipped.)
    """
    length = x.norm(dim=-1, keepdim=True)
    return torch.where(length > shortest, x / length.clamp_min(shortest), 0.0)


def traced() -> bool:
    """Whether a pass is being recorded for sizes other than its own: by an exporter, a compiler or a tracer.

    What asks for a size in Python would be fixed to the size at hand then.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself. Elsewhere it is emulated, which takes longer than float32."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == 'cpu':
        # torch says it under private names, of which it may have one or none: then float32 is safe
        asked = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
        return any(getattr(torch.cpu, name, bool)() for name in asked)
    return False
