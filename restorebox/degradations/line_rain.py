"""Line rain: bright, nearly parallel streaks added to a clean picture.

The additive model I = J + S of most single-image deraining methods, without veil, depth or camera model. Drops are
points that motion blur turns into lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import as_range
from restorebox.degradations.lines import scatter, soft_line
from restorebox.degradations.weather import AdditiveRain
from restorebox.registry import DEGRADATIONS

SHAPES = 8  # number of different streaks per picture


@DEGRADATIONS.register_module()
class LineRain(AdditiveRain):
    """I = clip(J + S, 0, 1), where S is a sparse set of random points convolved with short oriented lines.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        density: drops per pixel.
        length: length of the longest streaks in pixels; the shortest are half as long.
        width: standard deviation of a streak's cross profile, in pixels.
        angle: mean angle in degrees from vertical, positive leaning to the right at the top.
        spread: standard deviation of the streaks' angles around it, in degrees.
        brightness: brightness of the brightest streaks, in [0, 1]; the faintest have a fifth of it.
    """

    strength = 'density'

    def __init__(
        self,
        density: Sequence[float] = (0.002, 0.004),
        length: Sequence[float] = (16, 36),
        width: Sequence[float] = (0.5, 0.8),
        angle: Sequence[float] = (-30, 30),
        spread: Sequence[float] = (0.5, 2.5),
        brightness: Sequence[float] = (0.4, 0.6),
    ) -> None:
        self.ranges = {
            'density': as_range(density, 'LineRain: density', 0, 1),
            'length': as_range(length, 'LineRain: length', 1, 1000),
            'width': as_range(width, 'LineRain: width', 0.1, 100),
            'angle': as_range(angle, 'LineRain: angle', -90, 90),
            'spread': as_range(spread, 'LineRain: spread', 0, 90),
            'brightness': as_range(brightness, 'LineRain: brightness', 0, 1),
        }

    @staticmethod
    def streak(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """Return the layer S for a picture of (height, width): HW float32 in [0, 1]."""
        rng = np.random.default_rng(parameters['seed'])
        angles = parameters['angle'] + parameters['spread'] * rng.standard_normal(SHAPES)
        lengths = parameters['length'] * rng.uniform(0.5, 1, SHAPES)
        margin = int(np.ceil(parameters['length'] / 2 + 3 * parameters['width'])) + 1
        lines = [soft_line(a, n, parameters['width'], margin) for a, n in zip(angles, lengths, strict=True)]
        return np.minimum(scatter(size, lines, parameters['density'], rng, parameters['brightness']), 1)
