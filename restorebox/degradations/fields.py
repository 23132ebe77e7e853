"""Smooth random fields that weather comes and goes by."""

from __future__ import annotations

import cv2
import numpy as np


def smooth_field(size: tuple[int, int], knots: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A smooth random field of (height, width) through (rows, columns) of random knots: HW float32 from 0 to 1."""
    coarse = rng.random(knots, dtype=np.float32)
    field = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).reshape(size)
    return np.clip((field - coarse.min()) / max(float(np.ptp(coarse)), 1e-6), 0, 1)


def cloud(size: tuple[int, int], grain: float, rng: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Swirls of many sizes, each half as large and half as strong as the one before: HW float32 from 0 to 1.

    Args:
        size: (height, width) in pixels.
        grain: the largest swirls, as a share of the longer side.
        rng: gives the knots.
        octaves: how many sizes.
    """
    total, longer = np.zeros(size, np.float32), max(size)
    for octave in range(octaves):
        cell = max(grain * longer / 2**octave, 2.0)
        knots = tuple(min(int(np.ceil(side / cell)) + 2, side + 2) for side in size)
        total += smooth_field(size, knots, rng) / 2**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)
