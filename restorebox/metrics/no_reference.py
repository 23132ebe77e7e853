"""Scores of single pictures without a reference: NIQE and BRISQUE. Lower is better.

===========  ==========================================================================================================
``niqe``     Mittal, Soundararajan, Bovik: Making a "completely blind" image quality analyzer (IEEE SPL 2013): distance
             between the statistics of the picture's 96x96 blocks and those of undamaged photographs. Grey values as in
             the authors' release
``niqe_y``   the same on studio-swing BT.601 luma rounded to 8 bits, as BasicSR and papers that use it compute it
``brisque``  Mittal, Moorthy, Bovik: No-reference image quality assessment in the spatial domain (IEEE TIP 2012):
             regression of human ratings of the LIVE database; about 0 (undamaged) to 100
===========  ==========================================================================================================

Parameters are those that the authors published, see ``parameters/LICENSE.md``. MATLAB's built-in functions of the same
names have parameters of their own and give other values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma

from restorebox.metrics.protocols import as_saved, luma_studio
from restorebox.metrics.scene_statistics import (
    Grey,
    asymmetric_fit,
    grey_of,
    half_size,
    neighbour_products,
    normalised,
    symmetric_fit,
)

BLOCK = 96
"""Side of NIQE's blocks in pixels; rows and columns beyond a multiple of it are not used."""

BRISQUE_MIN_SIDE = 16
"""Smallest side for BRISQUE in pixels; below it, most of the 7x7 windows at half size are outside the picture."""

_NIQE_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_BRISQUE_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))


@cache
def _parameters(name: str) -> dict[str, NDArray[np.float64]]:
    with np.load(Path(__file__).parent / 'parameters' / f'{name}.npz', allow_pickle=False) as stored:
        return {key: stored[key].astype(np.float64) for key in stored}


def niqe_features(grey: Grey) -> NDArray[np.float64]:
    """Return the features of NIQE's blocks at full and half size.

    Args:
        grey: ``(H, W)`` in [0, 255].

    Returns:
        ``(blocks, 36)``; nan where a block is flat.
    """
    rows, columns = (side // BLOCK for side in grey.shape)
    picture = grey[: rows * BLOCK, : columns * BLOCK]
    found: list[NDArray] = []
    for side in (BLOCK, BLOCK // 2):
        values = normalised(picture, 'nearest').reshape(rows, side, columns, side)
        blocks = values.transpose(0, 2, 1, 3).reshape(-1, side, side)
        shape, left, right = asymmetric_fit(blocks.reshape(len(blocks), -1))
        scale = _scale(shape)
        found += [shape, (left + right) * scale / 2]
        for products in neighbour_products(blocks, _NIQE_SHIFTS):
            shape, left, right = asymmetric_fit(products)
            scale = _scale(shape)
            found += [shape, (right - left) * scale * gamma(2 / shape) / gamma(1 / shape), left * scale, right * scale]
        picture = half_size(picture)
    return np.stack(found, axis=1)


def _scale(shape: NDArray) -> NDArray:
    return np.sqrt(gamma(1 / shape) / gamma(3 / shape))


def niqe_of_grey(grey: Grey) -> float:
    """Return NIQE of grey values ``(H, W)`` in [0, 255]; nan if fewer than two blocks of 96x96 have texture."""
    if min(grey.shape) < BLOCK:
        return float('nan')
    features = niqe_features(grey)
    textured = features[~np.isnan(features).any(axis=1)]
    if len(textured) < 2:
        return float('nan')
    model = _parameters('niqe')
    difference = model['mean'] - np.nanmean(features, axis=0)  # also of blocks with some features, as the authors do
    covariance = (model['covariance'] + np.cov(textured, rowvar=False)) / 2
    inverse = np.linalg.pinv(covariance, rcond=len(covariance) * np.finfo(np.float64).eps)  # MATLAB's tolerance
    return float(np.sqrt(difference @ inverse @ difference))


def brisque_features(grey: Grey) -> NDArray[np.float64]:
    """Return the 36 features of BRISQUE, 18 at full and 18 at half size.

    Args:
        grey: ``(H, W)`` in [0, 255].

    Returns:
        ``(36,)``; nan if the picture is flat.
    """
    found: list[NDArray] = []
    for half in (False, True):
        grey = half_size(grey) if half else grey
        values = normalised(grey, 'constant')
        found += symmetric_fit(values.ravel())
        for products in neighbour_products(values, _BRISQUE_SHIFTS):
            shape, left, right = asymmetric_fit(products)
            mean = (right - left) * _scale(shape) * gamma(2 / shape) / gamma(1 / shape)
            found += [shape, mean, left**2, right**2]
    return np.array(found)


def brisque_of_grey(grey: Grey) -> float:
    """Return BRISQUE of grey values ``(H, W)`` in [0, 255]; nan for flat pictures, and below 16 pixels."""
    if min(grey.shape) < BRISQUE_MIN_SIDE:
        return float('nan')
    model = _parameters('brisque')
    lower, upper = model['lower'], model['upper']
    features = 2 * (brisque_features(grey) - lower) / (upper - lower) - 1
    squares = np.sum((model['vectors'] - features) ** 2, axis=1)
    return float(model['weights'] @ np.exp(-model['gamma'] * squares) - model['rho'])


def niqe(picture: NDArray) -> float:
    """Return NIQE of ``(H, W, 3)`` RGB in [0, 1], rounded to 8 bits first; nan below two 96x96 blocks."""
    return niqe_of_grey(grey_of(as_saved(picture)))


def niqe_y(picture: NDArray) -> float:
    """Return NIQE of the luma of ``(H, W, 3)`` RGB in [0, 1]; nan below two 96x96 blocks."""
    return niqe_of_grey(np.rint(luma_studio(as_saved(picture))))


def brisque(picture: NDArray) -> float:
    """Return BRISQUE of ``(H, W, 3)`` RGB in [0, 1], rounded to 8 bits first; nan below 16 pixels."""
    return brisque_of_grey(grey_of(as_saved(picture)))


NO_REFERENCE: dict[str, Callable[[NDArray], float]] = {'niqe': niqe, 'niqe_y': niqe_y, 'brisque': brisque}


def why_without_number(name: str, picture: NDArray) -> str:
    """Return the reason why a score is nan.

    Args:
        name: a key of :data:`NO_REFERENCE`.
        picture: ``(H, W, 3)`` RGB.
    """
    if not np.isfinite(picture).all():
        return 'the picture has nan or infinite values'
    height, width = picture.shape[:2]
    if name == 'brisque':
        if min(height, width) < BRISQUE_MIN_SIDE:
            return f'{width}x{height} is too small: it needs {BRISQUE_MIN_SIDE}x{BRISQUE_MIN_SIDE}'
    elif (height // BLOCK) * (width // BLOCK) < 2:
        return f'{width}x{height} is too small: it needs two blocks of {BLOCK}x{BLOCK}'
    return 'the picture is flat'
