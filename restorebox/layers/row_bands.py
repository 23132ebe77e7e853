"""Evaluation of local functions on large maps in bands of rows, to limit memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

BAND_PIXELS = 2**18


def in_bands(function: Callable[..., Tensor], maps: tuple[Tensor, ...], reach: int) -> Tensor:
    """Apply a local function to maps; without gradients in bands of about 512x512 pixels.

    The function's temporary memory is then that of one band; the result equals one call on the whole maps.

    Args:
        function: function of maps of one size, with a result of the same size; it pads with zeros.
        maps: ``(N, C, H, W)`` each.
        reach: number of rows above and below on which a row of the result depends.
    """
    height, width = maps[0].shape[-2:]
    rows = max(BAND_PIXELS // width, 2 * reach, 1)
    if torch.is_grad_enabled() or height <= rows:
        return function(*maps)
    whole: Any = None
    for top in range(0, height, rows):
        first, last = max(top - reach, 0), min(top + rows + reach, height)
        band = function(*(x[..., first:last, :] for x in maps))[..., top - first : top - first + rows, :]
        if whole is None:
            whole = band.new_empty((*band.shape[:-2], height, width))
        whole[..., top : top + rows, :] = band
    return whole
