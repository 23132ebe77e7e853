"""Detection of clean pictures with noise, JPEG blocking, blur or rain streaks, relative to the rest of the set.

A picture is reported if one of four measures is both far from the median of the set and beyond a fixed limit. With
these limits none of 365 photographs (BSDS500) is reported; docs/studies/data_faults.py measures the recall. The
findings are warnings, never errors.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from restorebox.datasets.inspection.luminance import blurred

MAX_SIZE = 1024  # pixels: height and width of the centre crop that is measured
MIN_SIZE = 48  # pixels: smaller pictures are not measured
MIN_PICTURES = 12  # a smaller set has no meaningful median

MEASURES = ('noisy', 'blocky', 'blurred', 'streaked')
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32) / 6


def measure(plane: np.ndarray) -> np.ndarray | None:
    """Measure noise, JPEG blocking, blur and streaks of a picture; higher is worse.

    Args:
        plane: HW float32 luminance in [0, 255].

    Returns:
        (4,) float32 in the order of ``MEASURES``; None if the picture is too small. Noise and blocking are in grey
        levels, blur is 1 / :func:`sharpness`.
    """
    plane = plane[tuple(slice(int(max(0, n - MAX_SIZE) // 2) // 8 * 8, None) for n in plane.shape)]
    plane = plane[:MAX_SIZE, :MAX_SIZE]
    if min(plane.shape) < MIN_SIZE:
        return None
    return np.array([noise(plane), blockiness(plane), 1 / sharpness(plane), streaks(plane)], dtype=np.float32)


def noise(plane: np.ndarray) -> float:
    """Return the noise level in grey levels: the 5 % quantile over blocks that are neither dark nor saturated.

    Per block the standard deviation is the median absolute response of Immerkaer's filter / 0.6745.
    """
    response = cv2.filter2D(plane, cv2.CV_32F, _IMMERKAER)[1:-1, 1:-1]
    mean = _blocks(plane[1:-1, 1:-1], 16).mean(axis=1)
    level = np.median(np.abs(_blocks(response, 16)), axis=1) / 0.6745
    exposed = (mean > 16) & (mean < 239)
    return float(np.quantile(level[exposed] if exposed.sum() > 8 else level, 0.05))


def blockiness(plane: np.ndarray) -> float:
    """Return the excess step in grey levels at every eighth column and row, at the phase where it is largest."""
    excess = []
    for oriented in (plane, plane.T):
        step = np.abs(np.diff(oriented, axis=1))
        relative = np.clip(step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2, -8, 8).mean(axis=0)
        phases = np.array([relative[k::8].mean() for k in range(8)])
        largest = int(phases.argmax())
        excess.append(float(phases[largest] - np.delete(phases, largest).mean()))
    return min(excess)


def sharpness(plane: np.ndarray) -> float:
    """Return the gradient of the strongest edges relative to that after a blur of sigma 1.5.

    At least 1; about 1.9 for photographs.
    """
    fine, coarse = (_gradient(each) for each in (plane, blurred(plane, 1.5)))
    strong = coarse >= max(1.0, float(np.quantile(coarse, 0.98)))
    return max(1.0, float(np.median(fine[strong] / coarse[strong]))) if strong.any() else 2.0


def streaks(plane: np.ndarray) -> float:
    """Return the strength of thin bright streaks of one direction, measured where the picture has little texture.

    0 for none, above 0.6 for heavy rain.
    """
    fine = blurred(plane, 0.7) - blurred(plane, 4.0)
    dx, dy = cv2.Sobel(fine, cv2.CV_32F, 1, 0), cv2.Sobel(fine, cv2.CV_32F, 0, 1)
    real, imaginary, energy = (_blocks(q, 24).mean(axis=1) for q in (dx * dx - dy * dy, 2 * dx * dy, dx * dx + dy * dy))
    order = np.argsort(energy)
    smooth = order[len(order) // 10 : max(1, len(order) * 6 // 10)]
    if not len(smooth):
        return 0.0
    # the direction of each block is normalised, so that all blocks have the same weight
    coherence = np.hypot(*((part[smooth] / (energy[smooth] + 1)).mean() for part in (real, imaginary)))
    values = _blocks(fine, 24)[smooth]
    cubed = (values - values.mean(axis=1, keepdims=True)) ** 3  # rain is brighter than its background
    skewness = float(np.median(cubed.mean(axis=1) / (values.std(axis=1) ** 3 + 0.05)))
    level = float(np.sqrt(np.quantile(energy, 0.1)))
    return float(coherence) * min(1.0, level / 10) * max(0.0, skewness)


def outliers(measured: Sequence[np.ndarray]) -> list[tuple[int, str, float]]:
    """Return the pictures that look degraded compared with the rest of the set.

    Args:
        measured: results of :func:`measure` for all clean pictures.

    Returns:
        (index, one of ``MEASURES``, value) for each; empty with fewer than ``MIN_PICTURES`` pictures.
    """
    if len(measured) < MIN_PICTURES:
        return []
    values = np.stack(measured)
    median = np.median(values, axis=0)
    limits = [
        max(10.0, 4 * median[0]),
        max(1.2, 3 * median[1]),
        1 / (1 + min(0.22, 0.2 * (1 / median[2] - 1))),
        max(0.6, 4 * median[3]),
    ]
    found = [np.flatnonzero(values[:, k] > limits[k]).tolist() for k in range(4)]
    return [(i, MEASURES[k], float(values[i, k])) for k in range(4) for i in found[k]]


def _gradient(plane: np.ndarray) -> np.ndarray:
    return np.hypot(cv2.Sobel(plane, cv2.CV_32F, 1, 0), cv2.Sobel(plane, cv2.CV_32F, 0, 1))


def _blocks(plane: np.ndarray, size: int) -> np.ndarray:
    """Divide a plane into complete square blocks: (number, size * size)."""
    rows, columns = (n // size for n in plane.shape)
    cut = plane[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return cut.swapaxes(1, 2).reshape(-1, size * size)
