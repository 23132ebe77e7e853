"""Shared inputs of the checks: luminance, thumbnails, and band-pass detail."""

from __future__ import annotations

import cv2
import numpy as np

_WEIGHTS = np.float32([0.299, 0.587, 0.114])


def luminance(picture: np.ndarray) -> np.ndarray:
    """HWC RGB, uint8 or float32 in [0, 1] -> HW float32 in [0, 255]."""
    if picture.dtype == np.uint8:
        return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return (picture.astype(np.float32) @ _WEIGHTS) * 255


def shrunk(plane: np.ndarray, size: int) -> np.ndarray:
    """HW float32 -> (size, size) float32, whatever the proportions, averaged where it shrinks."""
    small = min(plane.shape) < size
    return cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR if small else cv2.INTER_AREA)


def soft(plane: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, borders reflected; float32."""
    return cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def detail(plane: np.ndarray, sigma: float) -> np.ndarray:
    """What a blur of ``sigma`` pixels takes away: HW float32 of about zero mean."""
    return plane - soft(plane, sigma)


def centre(plane: np.ndarray, size: int) -> np.ndarray:
    """The middle of a plane, at most ``size`` pixels high and wide; a view."""
    top, left = (max(0, n - size) // 2 for n in plane.shape)
    return plane[top : top + size, left : left + size]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Normalised correlation of two arrays of one shape, in [-1, 1]; 0 where one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    power = float((a * a).sum()) * float((b * b).sum())
    return float((a * b).sum()) / power**0.5 if power > 0 else 0.0
