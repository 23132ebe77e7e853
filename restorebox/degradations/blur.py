"""Gaussian blur and motion blur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import RangedDegradation, as_range
from restorebox.degradations.lines import motion_kernel
from restorebox.errors import ConfigError
from restorebox.pixels import to_float
from restorebox.registry import DEGRADATIONS
from restorebox.values import Pixels


@DEGRADATIONS.register_module()
class GaussianBlur(RangedDegradation):
    """I = J * g with a normalised Gaussian kernel g in a square window and replicate padding.

    Args:
        sigma: range of the standard deviation in pixels.
        window: side of the window, an odd number of pixels; 21 in the generator of RL-Restore (Yu et al., CVPR 2018),
            which truncates Gaussians with sigma above about 3.
    """

    strength = 'sigma'

    def __init__(self, sigma: Sequence[float] = (0.5, 5), window: Pixels = 21) -> None:
        self.ranges = {'sigma': as_range(sigma, 'GaussianBlur: sigma', 0, 1000)}
        if not isinstance(window, int) or window < 1 or window % 2 == 0:
            raise ConfigError(f'GaussianBlur: window is an odd number of pixels; it is {window!r}')
        self.window = window

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw 'sigma' and return it with 'window'."""
        return {**super().sample(rng, shape), 'window': self.window}

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1]."""
        clear, side = to_float(picture), parameters['window']
        if parameters['sigma'] < 0.01:  # OpenCV derives sigma from the window if it is 0
            return {'lq': clear.copy()}
        blurred = cv2.GaussianBlur(clear, (side, side), parameters['sigma'], borderType=cv2.BORDER_REPLICATE)
        return {'lq': np.clip(blurred, 0, 1).reshape(clear.shape)}


@DEGRADATIONS.register_module()
class MotionBlur(RangedDegradation):
    """I = J * k with the kernel k of a linear motion of constant speed during exposure, and replicate padding.

    Args:
        length: range of the path length in pixels; 1 is no blur.
        angle: range of the path angle in degrees from vertical, positive leaning to the right at the top.
    """

    strength = 'length'

    def __init__(self, length: Sequence[float] = (5, 25), angle: Sequence[float] = (-90, 90)) -> None:
        self.ranges = {
            'length': as_range(length, 'MotionBlur: length', 1, 1000),
            'angle': as_range(angle, 'MotionBlur: angle', -90, 90),
        }

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1]."""
        clear = to_float(picture)
        kernel = motion_kernel(parameters['length'], parameters['angle'])
        blurred = cv2.filter2D(clear, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        return {'lq': np.clip(blurred, 0, 1).reshape(clear.shape)}
