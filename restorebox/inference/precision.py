"""Which numbers a network works with: float32, or bfloat16 where the hardware has it and the weights bear it."""

from __future__ import annotations

import torch

from restorebox.errors import ConfigError
from restorebox.layers.precision import has_bf16
from restorebox.registry import nearest

PRECISIONS = ('fp32', 'bf16')


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
