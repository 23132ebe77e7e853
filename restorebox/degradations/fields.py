"""Smooth random fields that vary the density of weather over an image."""

from __future__ import annotations

import cv2
import numpy as np


def smooth_field(size: tuple[int, int], knots: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random field, HW float32 in [0, 1].

    Args:
        size: (height, width) in pixels.
        knots: (rows, columns) of the random grid that is interpolated bicubically.
        rng: generator of the knot values.
    """
    coarse = rng.random(knots, dtype=np.float32)
    field = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).reshape(size)
    return np.clip((field - coarse.min()) / max(float(np.ptp(coarse)), 1e-6), 0, 1)


def cloud(size: tuple[int, int], grain: float, rng: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Return multi-octave value noise, HW float32 in [0, 1]; each octave has half the cell size and half the amplitude.

    Args:
        size: (height, width) in pixels.
        grain: cell size of the first octave as a fraction of the longer side.
        rng: generator of the knot values.
        octaves: number of octaves.
    """
    total, longer = np.zeros(size, np.float32), max(size)
    for octave in range(octaves):
        cell = max(grain * longer / 2**octave, 2.0)
        rows, columns = (min(int(np.ceil(side / cell)) + 2, side + 2) for side in size)
        total += smooth_field(size, (rows, columns), rng) / 2**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)
