"""Choice of the numeric precision for inference: float32 or bfloat16."""

from __future__ import annotations

import torch

from restorebox.errors import ConfigError
from restorebox.layers.precision import has_bf16
from restorebox.registry import nearest

PRECISIONS = ('fp32', 'bf16')


def choose_precision(requested: str, supported: str | None, device: torch.device) -> str:
    """Return ``'fp32'`` or ``'bf16'``.

    Args:
        requested: a precision, or ``'auto'`` for bf16 if both the weights and the device support it.
        supported: lowest precision at which the weights lose less than 0.1 dB, see metafiles; None if not measured.
        device: device of the network.

    Raises:
        ConfigError: no such precision.
    """
    if requested in PRECISIONS:
        return requested
    if requested != 'auto':
        raise ConfigError(f"there is no precision '{requested}'; {nearest(requested, ('auto', *PRECISIONS))}")
    return 'bf16' if supported == 'bf16' and has_bf16(device) else 'fp32'
