"""Means of features over a whole picture that is restored in tiles, from a first pass over the tiles.

::

    tile -> network as far as the taps in needs.feature_means -> sum over the tile's own pixels -+
                                                                       ... of all tiles ---------+-> mean per channel

Overlapping tiles share their overlap at its middle, so that every pixel of a feature is counted once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise

import torch
from torch import Tensor

from restorebox.layers import pad_to_multiple
from restorebox.restorers.base import BaseRestorer

Spans = list[tuple[int, int]]


def reads_feature_means(restorer: BaseRestorer) -> bool:
    """Return whether a restorer's network uses means of features over the whole picture."""
    return bool(restorer.needs.feature_means) and restorer.statistics_window is None


def own_spans(tiles: Spans, stride: int) -> Spans:
    """Return (start, end) of the part of each tile that no other tile has, from the tile's start.

    Args:
        tiles: (start, end) along an axis, see :func:`axis_tiles <restorebox.inference.tiles.axis_tiles>`.
        stride: the parts start and end at multiples of it, except the end of the last.
    """
    cuts = [(end + start) // 2 // stride * stride for (_, end), (start, _) in pairwise(tiles)]
    ends = zip((tiles[0][0], *cuts), (*cuts, tiles[-1][1]), strict=True)
    return [(first - start, last - start) for (start, _), (first, last) in zip(tiles, ends, strict=True)]


@torch.no_grad()
def feature_means(
    restorer: BaseRestorer,
    tile: Callable[[int, int, int, int], Tensor],
    rows: Spans,
    columns: Spans,
    shared: dict[str, Tensor] | None,
    autocast: Callable[[], AbstractContextManager],
    done: Callable[[], None] | None = None,
) -> dict[str, Tensor]:
    """Return the means over the whole picture of the taps in ``needs.feature_means``.

    Args:
        restorer: in evaluation mode; see :func:`reads_feature_means`.
        tile: function of (top, bottom, left, right) that returns this part of the pictures, ``(N, 3, H, W)`` in [0, 1].
        rows: (start, end) of the rows of tiles; they start at multiples of the stride.
        columns: of the columns of tiles.
        shared: result of :meth:`BaseRestorer.estimate_shared` for the whole picture.
        autocast: returns the context of the network's passes.
        done: called after every tile.

    Returns:
        Tap -> ``(N, C, 1, 1)`` float32, for ``shared`` of :meth:`BaseRestorer.restore`.
    """
    needs, network = restorer.needs, restorer.role('generator')
    given = {name: shared[name] for name in network.backbone.given if name in shared} if shared else {}
    own_rows, own_columns = own_spans(rows, needs.stride), own_spans(columns, needs.stride)
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(needs.feature_means, 0)
    for (top, bottom), (first, last) in zip(rows, own_rows, strict=True):
        for (left, right), (begin, end) in zip(columns, own_columns, strict=True):
            x = pad_to_multiple(restorer.to_range(tile(top, bottom, left, right)), needs.stride, needs.min_size)
            with autocast():
                taps = network(x, taps=needs.feature_means, only_taps=True, **given)
            for name, features in taps.items():
                scale = x.shape[-1] // features.shape[-1]
                # to the end of the last tile, since the mean over the whole picture includes its padding
                down = slice(first // scale, None if last == bottom - top else last // scale)
                across = slice(begin // scale, None if end == right - left else end // scale)
                own = features[..., down, across]
                counts[name] += own.shape[-2] * own.shape[-1]
                in_rows = own.sum(-1, keepdim=True, dtype=torch.float32)  # less memory than all in double precision
                sums[name] = sums.get(name, 0) + in_rows.sum(-2, keepdim=True, dtype=torch.float64)
            if done:
                done()
    return {name: (total / counts[name]).float() for name, total in sums.items()}
