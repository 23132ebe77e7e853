"""Natural scene statistics: the features of BRISQUE (Mittal et al. 2012) and NIQE (Mittal et al. 2013).

A picture is normalised by its local mean and deviation. The distribution of the normalised values, and of the products
of neighbours, is close to a generalised Gaussian for undamaged photographs; its parameters are the features. Formulas
are from the papers. Where these leave a choice (boundaries, grey values, halving), the choice is that of the authors'
release, since the published parameters belong to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import gamma

Grey = NDArray[np.float64]

_SHAPES = np.arange(200, 10001) / 1000  # grid of shape parameters that the authors search
_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))  # E|x|^2 / E[x^2], rises with the shape

_WINDOW = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
_WINDOW /= _WINDOW.sum()

ROUNDING_ERROR = 1e-9
"""Bound of the rounding error of a local mean of grey values, far below the smallest true difference."""

_HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
"""Bicubic kernel (a = -0.5) stretched by 2 and sampled at +-0.5, +-1.5, +-2.5, +-3.5, as in MATLAB's imresize."""


def grey_of(saved: NDArray) -> Grey:
    """Return grey values as MATLAB's rgb2gray: ``0.299 R + 0.587 G + 0.114 B`` rounded to integers.

    Args:
        saved: ``(H, W, 3)`` RGB with integer values in [0, 255].

    Returns:
        ``(H, W)``.
    """
    weights = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
    return np.floor(saved @ weights + 0.5)


def half_size(picture: Grey) -> Grey:
    """Halve height and width (rounded up) bicubically with antialiasing, as MATLAB's ``imresize(picture, 0.5)``.

    Args:
        picture: ``(H, W)``.

    Returns:
        ``(ceil(H / 2), ceil(W / 2))``, not rounded.
    """
    for axis in (0, 1):
        size = picture.shape[axis]
        filtered = correlate1d(picture, _HALVING, axis=axis, mode='reflect', origin=-1)  # taps 2 i - 3 .. 2 i + 4
        picture = np.take(filtered, range(0, size, 2), axis=axis)
    return picture


def normalised(picture: Grey, boundary: str) -> Grey:
    """Subtract the local mean and divide by the local standard deviation + 1, with a 7x7 Gaussian of sigma 7/6.

    Args:
        picture: ``(H, W)`` in [0, 255].
        boundary: ``'nearest'`` repeats the edge (NIQE), ``'constant'`` pads with zeros (BRISQUE).

    Returns:
        ``(H, W)``: mean subtracted contrast normalised (MSCN) coefficients.
    """

    def blur(x: Grey) -> Grey:
        return correlate1d(correlate1d(x, _WINDOW, axis=0, mode=boundary), _WINDOW, axis=1, mode=boundary)

    mean = blur(picture)
    deviation = np.sqrt(np.abs(blur(picture * picture) - mean * mean))
    difference = picture - mean
    # exactly 0 where the picture is flat: a rounding error there would count as a negative or positive sample
    difference[np.abs(difference) < ROUNDING_ERROR] = 0
    return difference / (deviation + 1)


def _nearest_shape(ratio: NDArray) -> NDArray:
    """Return the shape parameters of the grid whose ratio is nearest; nan for nan."""
    after = np.clip(np.searchsorted(_RATIOS, ratio), 1, len(_RATIOS) - 1)
    before = after - 1
    nearest = np.where(ratio - _RATIOS[before] <= _RATIOS[after] - ratio, before, after)
    return np.where(np.isnan(ratio), np.nan, _SHAPES[nearest])


def symmetric_fit(values: NDArray) -> tuple[NDArray, NDArray]:
    """Fit generalised Gaussian distributions by moments.

    Args:
        values: ``(..., N)``: the samples of each distribution.

    Returns:
        Shape and variance, each ``(...)``; nan if all samples are 0.
    """
    variance = np.mean(values**2, axis=-1)
    with np.errstate(invalid='ignore', divide='ignore'):
        return _nearest_shape(np.mean(np.abs(values), axis=-1) ** 2 / variance), variance


def asymmetric_fit(values: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Fit asymmetric generalised Gaussian distributions by moments (Lasmar et al. 2009).

    Args:
        values: ``(..., N)``: the samples of each distribution.

    Returns:
        Shape, and the root mean square of the negative and of the positive samples, each ``(...)``; nan where a
        distribution has no negative or no positive sample.
    """
    with np.errstate(invalid='ignore', divide='ignore'):
        left, right = (
            np.sqrt(np.sum(np.where(side, values, 0) ** 2, axis=-1) / side.sum(axis=-1))
            for side in (values < 0, values > 0)
        )
        skew = left / right
        ratio = np.mean(np.abs(values), axis=-1) ** 2 / np.mean(values**2, axis=-1)
        ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    return _nearest_shape(ratio), left, right


def neighbour_products(values: NDArray, shifts: tuple[tuple[int, int], ...]) -> list[NDArray]:
    """Multiply the normalised values with their neighbours; rows and columns are cyclic, as in the authors' release.

    Args:
        values: ``(..., H, W)``.
        shifts: rows and columns of each shift.

    Returns:
        For each shift ``(..., H * W)``.
    """
    flat = (*values.shape[:-2], -1)
    return [(values * np.roll(values, shift, axis=(-2, -1))).reshape(flat) for shift in shifts]
