"""Statistics of a whole picture, which some models read beside each tile; needs NumPy alone."""

import numpy as np


def scene_statistics(picture: np.ndarray) -> np.ndarray:
    """Return (1, 7, 32, 32) of a picture (3, H, W) in [0, 1], as restorebox.layers.global_statistics does."""
    grey = picture.mean(0)
    beside, below = (10 * np.abs(np.diff(grey, axis=axis, append=grey.take([-1], axis))) for axis in (1, 0))
    rows, columns = ([(i * n // 32, -(-(i + 1) * n // 32)) for i in range(32)] for n in grey.shape)
    out = np.empty((1, 7, 32, 32), np.float32)
    for i, (top, bottom) in enumerate(rows):
        for j, (left, right) in enumerate(columns):
            cell, *rest = (layer[..., top:bottom, left:right] for layer in (picture, grey, beside, below))
            out[0, :, i, j] = *cell.mean((1, 2)), rest[0].std(), rest[1].mean(), rest[2].mean(), cell.min()
    return out
