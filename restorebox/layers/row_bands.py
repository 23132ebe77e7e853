"""Large maps without large memory: a local function over bands of rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BAND_PIXELS = 2**18


def in_bands(function: Callable[..., Tensor], maps: tuple[Tensor, ...], reach: int) -> Tensor:
    """Call a function of maps, without a gradient in bands of about 512x512 pixels.

    What a function holds while it runs is then that of a band; the result is that of one call on the whole.

    Args:
        function: of maps of one size, with a result of this size too; pads with zeros.
        maps: ``(N, C, H, W)`` each.
        reach: rows above and below that a row of the result depends on.
    """
    height, width = maps[0].shape[-2:]
    rows = max(BAND_PIXELS // width, 2 * reach, 1)
    if torch.is_grad_enabled() or height <= rows:
        return function(*maps)
    whole = None
    for top in range(0, height, rows):
        first, last = max(top - reach, 0), min(top + rows + reach, height)
        band = function(*(x[..., first:last, :] for x in maps))[..., top - first : top - first + rows, :]
        if whole is None:
            whole = band.new_empty((*band.shape[:-2], height, width))
        whole[..., top : top + rows, :] = band
    return whole
