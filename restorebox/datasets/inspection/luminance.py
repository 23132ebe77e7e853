"""Luminance, resizing, blur, band-pass detail and correlation, as used by all checks."""

from __future__ import annotations

import cv2
import numpy as np

_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def luminance(picture: np.ndarray) -> np.ndarray:
    """Convert HWC RGB, uint8 or float32 in [0, 1], to HW float32 luminance in [0, 255]."""
    if picture.dtype == np.uint8:
        return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return (picture.astype(np.float32) @ _WEIGHTS) * 255


def resized(plane: np.ndarray, size: int) -> np.ndarray:
    """Resize HW float32 to (size, size) float32 by area averaging, or bilinearly if it is enlarged."""
    small = min(plane.shape) < size
    return cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR if small else cv2.INTER_AREA)


def blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    """Return the Gaussian blur with reflected borders: HW float32."""
    return cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def detail(plane: np.ndarray, sigma: float) -> np.ndarray:
    """Return the plane minus its Gaussian blur of ``sigma`` pixels: HW float32 with a mean of about zero."""
    return plane - blurred(plane, sigma)


def centre_crop(plane: np.ndarray, size: int) -> np.ndarray:
    """Return the centre of a plane, at most ``size`` pixels high and wide, as a view."""
    top, left = (max(0, n - size) // 2 for n in plane.shape)
    return plane[top : top + size, left : left + size]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the normalised correlation of two arrays of one shape, in [-1, 1]; 0 if one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    power = float((a * a).sum()) * float((b * b).sum())
    return float((a * b).sum()) / power**0.5 if power > 0 else 0.0
