"""Noise as a camera makes it: at the sensor, before the colours are put together and the tones are bent."""

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
# Bilinear demosaicing of a Bayer pattern as convolutions of the planes that are zero where nothing was measured.
GREEN = np.float32([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
OTHERS = np.float32([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4


@DEGRADATIONS.register_module()
class CameraNoise(RangedDegradation):
    """I = J + develop(raw(J) + n) - develop(raw(J)): what the noise of a sensor becomes in a finished picture.

    .. code-block:: text

        J -> linear light -> a Bayer pattern of unbalanced colours -> noise of photons and of reading
          -> white balance -> demosaicing -> smoothing -> sharpening -> gamma -> I -> JPEG

    The difference of both developments is added, so that what demosaicing does to a picture without noise is no damage.
    The noise that comes out is coarse, coloured, stronger in dark places than gamma alone would have it, and often
    weaker than one grey level: what good cameras make and nobody wants to see removed together with detail.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        photons: decimal logarithm of the photons that a white pixel counts.
        reading: standard deviation of the reading noise, in photons.
        red: gain that white balance gives red; green has 1.
        blue: the same of blue.
        smoothing: standard deviation in pixels of the camera's own denoising.
        sharpening: strength of its sharpening.
        quality: of the JPEG file, whole numbers; 100 leaves it out.
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
        """HWC RGB -> 'lq' HWC float32 in [0, 1]."""
        clear = to_float(picture)
        rng = np.random.default_rng(parameters['seed'])
        gains = np.float32([parameters['red'], 1, parameters['blue']])
        masks = bayer(clear.shape[:2])
        raw = ((clear**GAMMA) / gains * masks).sum(-1)
        count = np.float32(10 ** parameters['photons'])
        photons = raw * count
        # by the normal distribution with the variance of both: photons are many
        noise = rng.standard_normal(raw.shape, dtype=np.float32) * np.sqrt(photons + parameters['reading'] ** 2)
        noisy = (photons + noise.astype(np.float32)) / count
        seen = clear + develop(noisy, masks, gains, parameters) - develop(raw, masks, gains, parameters)
        seen = np.clip(seen, 0, 1, out=seen)
        quality = round(parameters['quality'])
        return {'lq': seen} if quality == 100 else JPEG().apply(seen, {'quality': quality})


def bayer(size: tuple[int, int]) -> np.ndarray:
    """Which colour each pixel of (height, width) measures, by rows RG and GB: HxWx3 float32 of 0 and 1."""
    masks = np.zeros((*size, 3), np.float32)
    masks[::2, ::2, 0] = 1
    masks[::2, 1::2, 1] = masks[1::2, ::2, 1] = 1
    masks[1::2, 1::2, 2] = 1
    return masks


def develop(raw: np.ndarray, masks: np.ndarray, gains: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
    """A Bayer pattern in linear light -> HxWx3 float32 in [0, 1], as a camera shows it."""
    planes = raw[..., None] * masks * gains
    kernels = (OTHERS, GREEN, OTHERS)
    planes = [cv2.filter2D(planes[..., c], cv2.CV_32F, kernels[c], borderType=cv2.BORDER_REFLECT_101) for c in range(3)]
    linear = np.stack(planes, -1).reshape(masks.shape)
    if parameters['smoothing'] > 0.2:
        linear = cv2.GaussianBlur(linear, (0, 0), parameters['smoothing']).reshape(masks.shape)
    if parameters['sharpening'] > 0:
        blurred = cv2.GaussianBlur(linear, (0, 0), 1.0).reshape(masks.shape)
        linear = linear + np.float32(parameters['sharpening']) * (linear - blurred)
    return np.clip(linear, 0, 1) ** np.float32(1 / GAMMA)
