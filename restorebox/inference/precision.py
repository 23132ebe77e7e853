"""Which numbers a network works with: float32, or bfloat16 where the hardware has it and the weights bear it."""

from __future__ import annotations

import torch

from restorebox.errors import ConfigError
from restorebox.registry import nearest

PRECISIONS = ('fp32', 'bf16')


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself. Elsewhere it is emulated, which takes longer than float32."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == 'cpu':
        # torch says it under private names, of which it may have one or none: then float32 is safe
        asked = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
        return any(getattr(torch.cpu, name, bool)() for name in asked)
    return False


def choose_precision(asked: str, borne: str | None, device: torch.device) -> str:
    """``'fp32'`` or ``'bf16'``.

    Args:
        asked: ``'auto'`` for bf16 where both the weights bear it and the device has it.
        borne: the coarsest precision at which the weights were seen to lose less than 0.05 dB, as their metafile says;
            None where nobody has measured.
        device: where the network runs.

    Raises:
        ConfigError: no such precision.
    """
    if asked in PRECISIONS:
        return asked
    if asked != 'auto':
        raise ConfigError(f"there is no precision '{asked}'; {nearest(asked, ('auto', *PRECISIONS))}")
    return 'bf16' if borne == 'bf16' and has_bf16(device) else 'fp32'
