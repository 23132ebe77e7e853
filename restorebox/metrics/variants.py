"""Variants of PSNR and SSIM as they occur in papers and their code, computed together for a pair of pictures.

A variant is a colour conversion and settings. Its name is that of the score, then each setting that differs from the
usual: ``psnr_y+crop4``, ``ssim_rgb+zeros``. The variants without settings are those of
:mod:`restorebox.metrics.protocols`, where these have the same name.

===================  ==================================================================================================
colour
``rgb``              all channels together
``y``                studio-swing BT.601 luma, not rounded (BasicSR; MATLAB's rgb2ycbcr of floats)
``y_u8``             the same rounded to 8 bits (MATLAB's rgb2ycbcr of uint8)
``y_full``           full-range BT.601 luma, not rounded
``y_full_u8``        the same rounded to 8 bits (Pillow's and OpenCV's grey; MATLAB's rgb2gray but for rounding at .5)
SSIM window          default: 11x11 Gaussian of sigma 1.5 at positions where it is inside the picture
``+replicate``       at all positions, edges repeated (MATLAB's ssim)
``+zeros``           at all positions, zeros outside (convolution with padding, common in PyTorch code)
``+sample``          sample covariance (scikit-image with ``gaussian_weights`` only)
``+uniform7``        uniform 7x7, sample covariance (scikit-image's default); of RGB it is called ``ssim_skimage``
``+volume``          11x11x11 Gaussian over rows, columns and channels, edges repeated (MATLAB's ssim of an RGB array)
``+range2``          ``+uniform7`` of values in [0, 1] with a data range of 2 (old scikit-image's default for floats)
other settings
``+cropN``           N pixels of each border are left out
``+multipleN``       the centre whose sides are multiples of N
``+unrounded``       pictures of more than 8 bits are not rounded to 8 bits
``+pooled``          PSNR of the mean squared error over the set, instead of the mean of the pictures' PSNR
===================  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from restorebox.metrics.protocols import CAP, Picture, as_saved, luma_full_u8, luma_studio

COLOURS = ('rgb', 'y', 'y_u8', 'y_full', 'y_full_u8')
WINDOWS = ('', 'replicate', 'zeros', 'sample', 'uniform7', 'volume', 'range2')
CROPS = (2, 3, 4, 8)
MULTIPLE = 16

_GAUSSIAN = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
_GAUSSIAN /= _GAUSSIAN.sum()
_UNIFORM = np.full(7, 1 / 7)


@dataclass(frozen=True)
class Variant:
    """A score with its settings.

    Attributes:
        score: ``'psnr'`` or ``'ssim'``.
        colour: one of ``COLOURS``.
        window: one of ``WINDOWS``; ``''`` for PSNR.
        crop: ``''``, ``'cropN'`` or ``'multipleN'``.
        unrounded: whether deeper pictures are not rounded to 8 bits.
        pooled: whether the squared errors of the set are averaged.
    """

    score: str
    colour: str
    window: str = ''
    crop: str = ''
    unrounded: bool = False
    pooled: bool = False

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings that differ from the usual, besides the colour."""
        flags = ('unrounded' if self.unrounded else '', 'pooled' if self.pooled else '')
        return tuple(each for each in (self.window, self.crop, *flags) if each)

    @property
    def name(self) -> str:
        """Unique name, see the module docstring."""
        if (self.score, self.colour, self.window) == ('ssim', 'rgb', 'uniform7'):
            return '+'.join(('ssim_skimage', *self.settings[1:]))
        return '+'.join((f'{self.score}_{self.colour}', *self.settings))

    def differences(self, other: Variant) -> tuple[str, ...]:
        """Return the kinds of settings in which two variants differ: colour, window, crop, rounding, mean."""
        kinds = {'colour': 'colour', 'window': 'window', 'crop': 'crop', 'unrounded': 'rounding', 'pooled': 'mean'}
        return tuple(kind for key, kind in kinds.items() if getattr(self, key) != getattr(other, key))


def variants(crops: tuple[int, ...] = CROPS, deep: bool = False) -> list[Variant]:
    """Return all variants, the usual settings first.

    Args:
        crops: numbers of border pixels.
        deep: whether some pictures have more than 8 bits; without them ``+unrounded`` makes no difference.
    """
    cuts = ('', *(f'crop{n}' for n in crops), f'multiple{MULTIPLE}')
    depths = (False, True) if deep else (False,)
    found = [
        Variant('psnr', colour, '', cut, unrounded, pooled)
        for pooled in (False, True)
        for unrounded in depths
        for cut in cuts
        for colour in COLOURS
        if not (unrounded and colour.endswith('u8'))
    ]
    for unrounded in depths:
        floats = [colour for colour in COLOURS if not (unrounded and colour.endswith('u8'))]
        found += [Variant('ssim', colour, '', cut, unrounded) for cut in cuts for colour in floats]
        found += [
            Variant('ssim', colour, window, '', unrounded)
            for window in WINDOWS[1:]
            for colour in ('rgb', 'y')
            if colour == 'rgb' or window not in ('volume', 'range2')
        ]
    return found


def measure(pred: NDArray, gt: NDArray, wanted: list[Variant]) -> tuple[dict[str, float], dict[str, float]]:
    """Compute variants for a pair.

    Args:
        pred: result, ``(H, W, 3)`` RGB in [0, 1].
        gt: clean picture of the same shape.
        wanted: variants that are not pooled.

    Returns:
        Name -> value, and name of each PSNR -> mean squared error on [0, 255]. SSIM is nan if its window, or the crop,
        does not fit into the picture.
    """
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    groups: dict[tuple, list[Variant]] = {}  # variants with the same pair of pictures, then with the same map
    for each in wanted:
        groups.setdefault((each.colour, each.unrounded, each.score, each.window), []).append(each)
    converted: tuple[tuple, Picture, Picture] | None = None
    for (colour, unrounded, score, window), members in sorted(groups.items()):
        if converted is None or converted[0] != (colour, unrounded):
            converted = (colour, unrounded), _convert(pred, colour, unrounded), _convert(gt, colour, unrounded)
        _, a, b = converted
        found = np.zeros(len(members))
        maps = [((a - b) ** 2, 0)] if score == 'psnr' else _ssim_maps(a, b, window)
        count = 0
        for values_map, border in maps:  # one at a time: a map of a large picture takes much memory
            parts = [_cut(values_map, border, each.crop) for each in members]
            found += [part.mean() if part.size else np.nan for part in parts]
            count += 1
        for each, value in zip(members, found / count, strict=True):
            values[each.name] = float(value)
            if score == 'psnr':
                errors[each.name] = float(value)
                values[each.name] = psnr_of_mse(float(value))
    return {each.name: values[each.name] for each in wanted}, errors


def psnr_of_mse(mse: float) -> float:
    """Return PSNR in dB, at most 100, of a mean squared error on values in [0, 255]; nan for nan."""
    return CAP if mse == 0 else float(np.minimum(10 * np.log10(255**2 / mse), CAP))  # np.minimum keeps NaN


def ssim_map(a: Picture, b: Picture, blur: Callable[[Picture], Picture], unbias: float = 1.0) -> Picture:
    """Return the SSIM index (Wang et al. 2004, eq. 13) of each position, in the shape of ``a``.

    Args:
        a: picture in [0, 255].
        b: picture of the same shape.
        blur: weighted mean over the window at each position; it decides what is outside the picture.
        unbias: factor of variances and covariance: 1, or N / (N - 1) for the sample covariance.
    """
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = blur(a), blur(b)
    variances = unbias * (blur(a * a + b * b) - mean_a**2 - mean_b**2)
    covariance = unbias * (blur(a * b) - mean_a * mean_b)
    return (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))


def _convert(picture: NDArray, colour: str, unrounded: bool) -> Picture:
    values = np.clip(picture, 0, 1).astype(np.float64) * 255 if unrounded else as_saved(picture)
    if colour == 'rgb':
        return values
    if colour == 'y_full_u8':
        return luma_full_u8(values)
    if colour == 'y_full':
        return values @ np.array([0.299, 0.587, 0.114])
    luma = luma_studio(values)
    return np.floor(luma + 0.5) if colour == 'y_u8' else luma


def _cut(values: NDArray, border: int, crop: str) -> NDArray:
    """Cut a crop of a picture out of its map; ``border`` pixels at each side of the map are not valid."""
    height, width = values.shape[:2]
    top = bottom = left = right = int(crop.removeprefix('crop')) if crop.startswith('crop') else 0
    if crop.startswith('multiple'):
        number = int(crop.removeprefix('multiple'))
        top, left = (side % number // 2 for side in (height, width))
        bottom, right = height % number - top, width % number - left
    top, bottom, left, right = (each + border for each in (top, bottom, left, right))
    return values[top : max(height - bottom, top), left : max(width - right, left)]


def _ssim_maps(a: Picture, b: Picture, window: str) -> Iterator[tuple[NDArray, int]]:
    """Yield the SSIM map of each channel, or of all together, and the number of border pixels that do not count."""
    if window == 'volume':
        plane = _blur(_GAUSSIAN, cv2.BORDER_REPLICATE)
        yield ssim_map(a, b, lambda x: plane(x) @ _across_channels(x.shape[2])), 0
        return
    kernel, border, unbias, edge = {
        '': (_GAUSSIAN, cv2.BORDER_REFLECT, 1.0, 5),
        'replicate': (_GAUSSIAN, cv2.BORDER_REPLICATE, 1.0, 0),
        'zeros': (_GAUSSIAN, cv2.BORDER_CONSTANT, 1.0, 0),
        'sample': (_GAUSSIAN, cv2.BORDER_REFLECT, 121 / 120, 5),
        'uniform7': (_UNIFORM, cv2.BORDER_REFLECT, 49 / 48, 3),
        'range2': (_UNIFORM, cv2.BORDER_REFLECT, 49 / 48, 3),
    }[window]
    scale = 0.5 if window == 'range2' else 1  # the constants are for a range of 255, of which the values fill half
    for first, second in zip(_channels(a), _channels(b), strict=True):
        yield ssim_map(first * scale, second * scale, _blur(kernel, border), unbias), edge


def _channels(picture: Picture) -> list[Picture]:
    return [picture] if picture.ndim == 2 else [*np.ascontiguousarray(picture.transpose(2, 0, 1))]


def _blur(kernel: NDArray, border: int) -> Callable[[Picture], Picture]:
    return lambda x: np.asarray(cv2.sepFilter2D(x, -1, kernel, kernel, borderType=border), np.float64)


def _across_channels(count: int) -> NDArray:
    """Return the Gaussian window along the channels, edges repeated, as a ``(count, count)`` matrix."""
    weights = np.zeros((count, count))
    for channel in range(count):
        for offset, weight in zip(range(-5, 6), _GAUSSIAN, strict=True):
            weights[np.clip(channel + offset, 0, count - 1), channel] += weight
    return weights
