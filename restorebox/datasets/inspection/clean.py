"""Detection of clean pictures with noise, JPEG blocks, blur or rain streaks, relative to the rest of the set.

Four measures, each of which must be both far from the others' median and beyond a fixed limit. Limits are such that
none of 365 photographs (BSDS500) is named; what they miss for it is measured by docs/studies/data_faults.py. A report,
and never an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from restorebox.datasets.inspection.luminance import soft

LARGEST = 1024  # pixels looked at in each direction
SMALLEST = 48  # pixels; less says nothing
ENOUGH = 12  # pictures: with fewer there is no "the others"

MEASURES = ('noisy', 'blocky', 'blurred', 'streaked')
_IMMERKAER = np.float32([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6


def measure(plane: np.ndarray) -> np.ndarray | None:
    """How noisy, blocky, blurred and streaked a picture looks, more being worse.

    Args:
        plane: HW float32 luminance in [0, 255].

    Returns:
        (4,) float32 in the order of ``MEASURES``; None where it is too small. Noise and steps are in grey levels,
        blur is 1 / (steepness of the strong edges against their steepness after a blur of 1.5).
    """
    plane = plane[tuple(slice(int(max(0, n - LARGEST) // 2) // 8 * 8, None) for n in plane.shape)]
    plane = plane[:LARGEST, :LARGEST]
    if min(plane.shape) < SMALLEST:
        return None
    return np.float32([noise(plane), blockiness(plane), 1 / sharpness(plane), streaks(plane)])


def noise(plane: np.ndarray) -> float:
    """Standard deviation in grey levels of the noise in the quietest twentieth of the lit blocks."""
    rest = cv2.filter2D(plane, cv2.CV_32F, _IMMERKAER)[1:-1, 1:-1]
    mean = _blocks(plane[1:-1, 1:-1], 16).mean(axis=1)
    level = np.median(np.abs(_blocks(rest, 16)), axis=1) / 0.6745
    lit = (mean > 16) & (mean < 239)
    return float(np.quantile(level[lit] if lit.sum() > 8 else level, 0.05))


def blockiness(plane: np.ndarray) -> float:
    """Extra step in grey levels at every eighth column and row, at the phase where it is largest."""
    steps = []
    for turned in (plane, plane.T):
        step = np.abs(np.diff(turned, axis=1))
        extra = np.clip(step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2, -8, 8).mean(axis=0)
        phases = np.array([extra[k::8].mean() for k in range(8)])
        largest = int(phases.argmax())
        steps.append(float(phases[largest] - np.delete(phases, largest).mean()))
    return min(steps)


def sharpness(plane: np.ndarray) -> float:
    """Steepness of the strongest edges against that after a blur of 1.5 pixels: from 1, about 1.9 for photographs."""
    fine, coarse = (_steepness(each) for each in (plane, soft(plane, 1.5)))
    strong = coarse >= max(1.0, float(np.quantile(coarse, 0.98)))
    return max(1.0, float(np.median(fine[strong] / coarse[strong]))) if strong.any() else 2.0


def streaks(plane: np.ndarray) -> float:
    """Bright thin things of one direction in the quieter half of the picture: 0 for none, above 0.6 for heavy rain."""
    fine = soft(plane, 0.7) - soft(plane, 4.0)
    dx, dy = cv2.Sobel(fine, cv2.CV_32F, 1, 0), cv2.Sobel(fine, cv2.CV_32F, 0, 1)
    real, imaginary, energy = (_blocks(q, 24).mean(axis=1) for q in (dx * dx - dy * dy, 2 * dx * dy, dx * dx + dy * dy))
    order = np.argsort(energy)
    quiet = order[len(order) // 10 : max(1, len(order) * 6 // 10)]
    if not len(quiet):
        return 0.0
    # each block has one vote for its direction, however strong it is
    one_way = np.hypot(*((part[quiet] / (energy[quiet] + 1)).mean() for part in (real, imaginary)))
    values = _blocks(fine, 24)[quiet]
    bright = (values - values.mean(axis=1, keepdims=True)) ** 3  # a skew: rain is bright on dark
    skew = float(np.median(bright.mean(axis=1) / (values.std(axis=1) ** 3 + 0.05)))
    level = float(np.sqrt(np.quantile(energy, 0.1)))
    return float(one_way) * min(1.0, level / 10) * max(0.0, skew)


def outliers(measured: Sequence[np.ndarray]) -> list[tuple[int, str, float]]:
    """Pictures that look degraded beside the others.

    Args:
        measured: what :func:`measure` gives, of all clean pictures.

    Returns:
        (index, one of ``MEASURES``, value) each; empty with fewer than ``ENOUGH`` pictures.
    """
    if len(measured) < ENOUGH:
        return []
    values = np.stack(measured)
    usual = np.median(values, axis=0)
    limits = [
        max(10.0, 4 * usual[0]),
        max(1.2, 3 * usual[1]),
        1 / (1 + min(0.22, 0.2 * (1 / usual[2] - 1))),
        max(0.6, 4 * usual[3]),
    ]
    return [(i, MEASURES[k], float(values[i, k])) for k in range(4) for i in np.flatnonzero(values[:, k] > limits[k])]


def _steepness(plane: np.ndarray) -> np.ndarray:
    return np.hypot(cv2.Sobel(plane, cv2.CV_32F, 1, 0), cv2.Sobel(plane, cv2.CV_32F, 0, 1))


def _blocks(plane: np.ndarray, size: int) -> np.ndarray:
    """Whole blocks of a plane: (number, size * size)."""
    rows, columns = (n // size for n in plane.shape)
    cut = plane[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return cut.swapaxes(1, 2).reshape(-1, size * size)
