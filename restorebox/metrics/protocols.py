"""Named protocols of full-reference scores.

Values depend on colour space, rounding and window, so each combination has its own name. The prediction is clamped and
rounded to 8 bits first, as it would be saved. PSNR is limited to 100 dB, the value of identical pictures.

==================  =========================================================================================
``psnr_rgb``        over all pixels and channels
``psnr_y``          studio-swing BT.601 luma (as in MATLAB and BasicSR), not rounded again, peak 255
``psnr_y_full_u8``  full-range BT.601 luma rounded to 8 bits, peak 255 (code of the heavy-rain authors)
``psnr_owan``       RGB, ``10 log10(1 / (mse + 1e-10))`` (hybrid-distortion papers; meant for patches)
``ssim_rgb``        11x11 Gaussian, sigma 1.5, valid region, mean of the channels (Wang et al. 2004)
``ssim_y``          the same on studio-swing luma
``ssim_skimage``    uniform 7x7 window, sample covariance, mean of the channels (scikit-image's default)
==================  =========================================================================================

For the same error, PSNR on full-range luma is 20 log10(255/219) = 1.32 dB lower than on studio-swing luma.
Estimated layers have separate protocols, see :class:`~restorebox.metrics.layer_scores.LayerScores`:

=====================  ======================================================================================
``psnr_streak``        PSNR of the streaks S, over all pixels and channels
``psnr_transmission``  PSNR of the transmission T
``psnr_physics``       PSNR of J0, the inversion of the physics model, against the clean picture
``mae_airlight``       mean absolute error of the airlight A in [0, 1], not rounded
=====================  ======================================================================================

``NAME@SIZE`` first resizes both 8-bit pictures to SIZE x SIZE (bicubic), as some papers do; ``NAME@HxW`` to height x
width. SSIM of a picture smaller than its window is nan.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from restorebox.errors import ConfigError
from restorebox.pixels import whole_numbers
from restorebox.registry import nearest

Picture = NDArray[np.float64]
Protocol = Callable[[Picture, Picture], float]

CAP = 100.0
"""Upper limit of PSNR in dB, the value of identical pictures."""

NETWORK_PROTOCOLS = {'lpips_alex': 'alex', 'lpips_vgg': 'vgg'}
"""Protocols that need a network -> its LPIPS backbone, see :class:`restorebox.metrics.picture_scores.PictureScores`."""

LOWER_IS_BETTER = ('lpips_alex', 'lpips_vgg', 'fid', 'mae_airlight')


def lower_is_better(name: str) -> bool:
    """Return whether lower values of a score are better; ``'input/'``, a set and ``'@...'`` in the name are ignored."""
    return name.rpartition('/')[2].partition('@')[0] in LOWER_IS_BETTER


def as_saved(picture: NDArray) -> Picture:
    """Clamp a picture in [0, 1] and round it to 8 bits: integers in [0, 255] as float64; NaN where it is not finite."""
    values = np.asarray(picture, dtype=np.float64)
    saved = np.asarray(whole_numbers(values), dtype=np.float64)
    saved[np.isinf(values)] = np.nan  # clamping would turn it into black or white
    return saved


def luma_studio(saved: Picture) -> Picture:
    """Return BT.601 luma in [16, 235]: ``16 + (65.481 R + 128.553 G + 24.966 B) / 255`` for RGB in [0, 255]."""
    return 16 + saved @ (np.array([65.481, 128.553, 24.966]) / 255)


def luma_full_u8(saved: Picture) -> Picture:
    """Return BT.601 luma in [0, 255], rounded half up: ``0.299 R + 0.587 G + 0.114 B`` for RGB in [0, 255]."""
    return np.floor((saved @ np.array([299.0, 587.0, 114.0]) + 500) / 1000)  # integer weights: exact at .5


def _psnr(a: Picture, b: Picture) -> float:
    mse = np.mean((a - b) ** 2)
    return CAP if mse == 0 else float(np.minimum(10 * np.log10(255**2 / mse), CAP))  # np.minimum keeps NaN


def _ssim(a: Picture, b: Picture, blur: Callable[[Picture], Picture], window: int, unbias: float) -> float:
    """Return the mean SSIM (Wang et al. 2004, eq. 13) over all positions with the window inside the picture."""
    if min(a.shape[:2]) < window:
        return float('nan')
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mu_a, mu_b = blur(a), blur(b)
    var_a = unbias * (blur(a * a) - mu_a * mu_a)
    var_b = unbias * (blur(b * b) - mu_b * mu_b)
    cov = unbias * (blur(a * b) - mu_a * mu_b)
    index = (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    edge = window // 2
    return float(index[edge : a.shape[0] - edge, edge : a.shape[1] - edge].mean())


def _ssim_gaussian(a: Picture, b: Picture) -> float:
    # truncate 3.5 at sigma 1.5 gives a radius of 5: 11 taps
    return _ssim(a, b, lambda x: gaussian_filter(x, 1.5, truncate=3.5, axes=(0, 1)), window=11, unbias=1.0)


def psnr_rgb(pred: Picture, gt: Picture) -> float:
    """Return PSNR in dB of ``(H, W, 3)`` RGB in [0, 1]; for details of all protocols see the module docstring."""
    return _psnr(as_saved(pred), as_saved(gt))


def psnr_y(pred: Picture, gt: Picture) -> float:
    """Return PSNR in dB on studio-swing luma."""
    return _psnr(luma_studio(as_saved(pred)), luma_studio(as_saved(gt)))


def psnr_y_full_u8(pred: Picture, gt: Picture) -> float:
    """Return PSNR in dB on full-range luma rounded to 8 bits."""
    return _psnr(luma_full_u8(as_saved(pred)), luma_full_u8(as_saved(gt)))


def psnr_owan(pred: Picture, gt: Picture) -> float:
    """Return PSNR in dB as in hybrid-distortion papers (Suganuma et al. 2019)."""
    mse = np.mean(((as_saved(pred) - as_saved(gt)) / 255) ** 2)
    return float(np.minimum(10 * np.log10(1 / (mse + 1e-10)), CAP))


def ssim_rgb(pred: Picture, gt: Picture) -> float:
    """Return SSIM of RGB with a Gaussian window; nan below 11x11 pixels."""
    return _ssim_gaussian(as_saved(pred), as_saved(gt))


def ssim_y(pred: Picture, gt: Picture) -> float:
    """Return SSIM of studio-swing luma with a Gaussian window; nan below 11x11 pixels."""
    return _ssim_gaussian(luma_studio(as_saved(pred)), luma_studio(as_saved(gt)))


def ssim_skimage(pred: Picture, gt: Picture) -> float:
    """Return SSIM of RGB with the defaults of scikit-image; nan below 7x7 pixels."""
    samples = 7 * 7
    unbias = samples / (samples - 1)  # sample covariance
    return _ssim(as_saved(pred), as_saved(gt), lambda x: uniform_filter(x, 7, axes=(0, 1)), window=7, unbias=unbias)


PROTOCOLS: dict[str, Protocol] = {
    'psnr_rgb': psnr_rgb,
    'ssim_rgb': ssim_rgb,
    'psnr_y': psnr_y,
    'ssim_y': ssim_y,
    'ssim_skimage': ssim_skimage,
    'psnr_owan': psnr_owan,
    'psnr_y_full_u8': psnr_y_full_u8,
}


def mae(pred: Picture, gt: Picture) -> float:
    """Return the mean absolute error of two arrays of equal shape, without rounding."""
    return float(np.abs(np.asarray(pred, np.float64) - np.asarray(gt, np.float64)).mean())


# name -> (key of the estimate in a sample, key of the ground truth, score function)
LAYER_PROTOCOLS: dict[str, tuple[str, str, Protocol]] = {
    'psnr_streak': ('streak', 'true_streak', psnr_rgb),
    'psnr_transmission': ('transmission', 'true_transmission', psnr_rgb),
    'psnr_physics': ('physics', 'gt', psnr_rgb),
    'mae_airlight': ('airlight', 'true_airlight', mae),
}


def resize_saved(picture: NDArray, size: tuple[int, int]) -> Picture:
    """Round a picture in [0, 1] to 8 bits and resize it bicubically to ``size``, (height, width) in pixels."""
    saved = as_saved(picture)
    if not np.isfinite(saved).all():  # NaN has no 8-bit value, but must reach the score
        return np.full((*size, saved.shape[2]), np.nan)
    resized = cv2.resize(saved.astype(np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)
    return resized.astype(np.float64) / 255


def parse_protocol(name: str) -> tuple[str, tuple[int, int] | None]:
    """Split ``'psnr_y@448x672'`` into ``('psnr_y', (448, 672))``, height first; ``'@256'`` is ``(256, 256)``.

    The size is None if there is none.

    Raises:
        ConfigError: unknown name (the message suggests the nearest), or the size is not one or two positive integers.
    """
    base, at, size = name.partition('@')
    known = [*PROTOCOLS, *NETWORK_PROTOCOLS]
    if base == 'fid':
        raise ConfigError("'fid' is not a score of single pictures; add the metric dict(type='FID')")
    if base not in known:
        raise ConfigError(f"no protocol is called '{base}'; {nearest(base, known)}")
    if not at:
        return base, None
    sides = re.fullmatch('([1-9][0-9]*)(?:x([1-9][0-9]*))?', size)
    if not sides:
        raise ConfigError(
            f"protocol '{name}': '{size}' is not a size in pixels; write e.g. '{base}@256', or '{base}@448x672' for "
            'height x width'
        )
    return base, (int(sides[1]), int(sides[2] or sides[1]))


def protocol(name: str) -> Protocol:
    """Return the score function of a protocol, with or without ``@SIZE`` or ``@HxW``.

    Returns:
        ``f(pred, gt) -> float`` on ``(H, W, 3)`` RGB arrays in [0, 1].

    Raises:
        ConfigError: see :func:`parse_protocol`; or the name needs a network.
    """
    base, size = parse_protocol(name)
    if base in NETWORK_PROTOCOLS:
        raise ConfigError(f"protocol '{name}' needs a network; use the metric dict(type='PictureScores')")

    score = PROTOCOLS[base]
    if size is None:
        return score
    return lambda pred, gt: score(resize_saved(pred, size), resize_saved(gt, size))
