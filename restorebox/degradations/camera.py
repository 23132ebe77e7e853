"""Camera noise: sensor noise that passes through demosaicing, sharpening and gamma correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import RangedDegradation, as_range
from restorebox.degradations.jpeg import JPEG
from restorebox.pixels import to_float
from restorebox.registry import DEGRADATIONS

GAMMA = 2.2
# Kernels of bilinear demosaicing, applied to colour planes that are zero where the Bayer pattern has another colour.
GREEN_KERNEL = np.asarray([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
RED_BLUE_KERNEL = np.asarray([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4


@DEGRADATIONS.register_module()
class CameraNoise(RangedDegradation):
    """I = J + develop(raw(J) + n) - develop(raw(J)): sensor noise n after the image processing of a camera.

    .. code-block:: text

        J -> linear light -> Bayer pattern before white balance -> photon noise and read noise
          -> white balance -> demosaicing -> smoothing -> sharpening -> gamma -> I -> JPEG

    The difference of the two developed images is added to J, so demosaicing does not degrade a noise-free picture. The
    resulting noise is spatially correlated and coloured, and stronger in dark regions. It is often weaker than one grey
    level, as in good cameras, and a network must not remove it together with detail.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        photons: decimal logarithm of the photon count of a white pixel.
        reading: standard deviation of the read noise, in photons.
        red: white-balance gain of red, relative to green.
        blue: white-balance gain of blue, relative to green.
        smoothing: standard deviation in pixels of the Gaussian filter for in-camera denoising.
        sharpening: strength of in-camera sharpening (unsharp masking).
        quality: JPEG quality, rounded to an integer; 100 means no JPEG compression.
    """

    strength = '-photons'
    seeded = True

    def __init__(
        self,
        photons: Sequence[float] = (2.2, 4.6),
        reading: Sequence[float] = (1, 8),
        red: Sequence[float] = (1.3, 2.4),
        blue: Sequence[float] = (1.2, 2.2),
        smoothing: Sequence[float] = (0, 0.9),
        sharpening: Sequence[float] = (0, 0.8),
        quality: Sequence[float] = (75, 100),
    ) -> None:
        self.ranges = {
            'photons': as_range(photons, 'CameraNoise: photons', 0, 9),
            'reading': as_range(reading, 'CameraNoise: reading', 0, 1000),
            'red': as_range(red, 'CameraNoise: red', 0.1, 10),
            'blue': as_range(blue, 'CameraNoise: blue', 0.1, 10),
            'smoothing': as_range(smoothing, 'CameraNoise: smoothing', 0, 20),
            'sharpening': as_range(sharpening, 'CameraNoise: sharpening', 0, 5),
            'quality': as_range(quality, 'CameraNoise: quality', 1, 100),
        }

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1]."""
        clear = to_float(picture)
        rng = np.random.default_rng(parameters['seed'])
        gains = np.asarray([parameters['red'], 1, parameters['blue']], np.float32)
        masks = bayer(clear.shape[:2])
        raw = ((clear**GAMMA) / gains * masks).sum(-1)
        count = np.float32(10 ** parameters['photons'])
        photons = raw * count
        # Normal approximation of the Poisson distribution: the counts are large. The variance includes read noise.
        noise = rng.standard_normal(raw.shape, dtype=np.float32) * np.sqrt(photons + parameters['reading'] ** 2)
        noisy = (photons + noise.astype(np.float32)) / count
        seen = clear + develop(noisy, masks, gains, parameters) - develop(raw, masks, gains, parameters)
        seen = np.clip(seen, 0, 1, out=seen)
        quality = round(parameters['quality'])
        return {'lq': seen} if quality == 100 else JPEG().apply(seen, {'quality': quality})


def bayer(size: tuple[int, int]) -> np.ndarray:
    """Return the masks of an RGGB Bayer pattern of (height, width): HxWx3 float32, 0 or 1."""
    masks = np.zeros((*size, 3), np.float32)
    masks[::2, ::2, 0] = 1
    masks[::2, 1::2, 1] = masks[1::2, ::2, 1] = 1
    masks[1::2, 1::2, 2] = 1
    return masks


def develop(raw: np.ndarray, masks: np.ndarray, gains: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
    """Develop a raw image into an RGB image.

    Args:
        raw: HxW Bayer image in linear light.
        masks: HxWx3 as :func:`bayer` returns them.
        gains: white-balance gains of R, G and B.
        parameters: 'smoothing' and 'sharpening' of :class:`CameraNoise`.

    Returns:
        HxWx3 float32 in [0, 1], gamma corrected.
    """
    sparse = raw[..., None] * masks * gains
    kernels = (RED_BLUE_KERNEL, GREEN_KERNEL, RED_BLUE_KERNEL)
    planes = [cv2.filter2D(sparse[..., c], cv2.CV_32F, kernels[c], borderType=cv2.BORDER_REFLECT_101) for c in range(3)]
    linear = np.stack(planes, -1).reshape(masks.shape)
    if parameters['smoothing'] > 0.2:
        linear = cv2.GaussianBlur(linear, (0, 0), parameters['smoothing']).reshape(masks.shape)
    if parameters['sharpening'] > 0:
        blurred = cv2.GaussianBlur(linear, (0, 0), 1.0).reshape(masks.shape)
        linear = linear + np.float32(parameters['sharpening']) * (linear - blurred)
    return np.clip(linear, 0, 1) ** np.float32(1 / GAMMA)
