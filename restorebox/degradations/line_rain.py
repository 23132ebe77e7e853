"""Line rain: bright, nearly parallel streaks added to a clear picture.

The additive model I = J + S that most single-image rain removal starts from. A simple renderer to begin with, without
veil, depth or camera: drops are points, and each is smeared into a line by its fall during the exposure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import BaseDegradation, as_range, to_float
from restorebox.registry import DEGRADATIONS

SHAPES = 8  # streaks differ: every drop takes one of that many lines


@DEGRADATIONS.register_module()
class LineRain(BaseDegradation):
    """I = clip(J + S, 0, 1), where S is sparse random drops convolved with short oriented lines.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        density: drops per pixel.
        length: of the longest streaks in pixels; single ones are down to half as long.
        width: of a streak in pixels, as the standard deviation of its profile across.
        angle: of the rain in degrees from vertical, positive leaning to the right at the top.
        spread: standard deviation of single streaks' angles around it, in degrees.
        brightness: of the brightest streaks, in [0, 1]; single ones are down to a fifth of it.
    """

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

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """One number per range, and the seed of the drops."""
        drawn: dict[str, Any] = {name: float(rng.uniform(*ends)) for name, ends in self.ranges.items()}
        drawn['seed'] = int(rng.integers(2**31))
        return drawn

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """HWC RGB -> 'lq' HWC and 'streak' HxWx1, both float32 in [0, 1]."""
        clear = to_float(picture)
        streak = self.streak(clear.shape[:2], parameters)[..., None]
        return {'lq': np.clip(clear + streak, 0, 1), 'streak': streak}

    @staticmethod
    def streak(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """The layer S of a picture of (height, width): HW float32 in [0, 1]."""
        height, width = size
        rng = np.random.default_rng(parameters['seed'])
        angles = parameters['angle'] + parameters['spread'] * rng.standard_normal(SHAPES)
        lengths = parameters['length'] * rng.uniform(0.5, 1, SHAPES)
        margin = int(np.ceil(parameters['length'] / 2 + 3 * parameters['width'])) + 1
        lines = [_line(a, n, parameters['width'], margin) for a, n in zip(angles, lengths, strict=True)]
        # Streaks enter from outside of the picture: drops fall on the picture and a margin of half a line around it.
        tall, wide = height + 2 * margin, width + 2 * margin
        # One row per drop, so that a higher density with the same seed keeps the drops of the lower one.
        drops = rng.random((round(parameters['density'] * tall * wide), 4), dtype=np.float32)
        tops = (drops[:, 0] * tall).astype(int).tolist()
        lefts = (drops[:, 1] * wide).astype(int).tolist()
        peaks = parameters['brightness'] * (0.2 + 0.8 * drops[:, 2] ** 2)  # many faint ones, few bright ones
        shapes = (drops[:, 3] * SHAPES).astype(int).tolist()
        reach = 2 * margin + 1
        canvas = np.zeros((tall + 2 * margin, wide + 2 * margin), np.float32)
        # A convolution with sparse points is a sum of shifted kernels: cheaper than filtering, exactly zero elsewhere.
        for top, left, peak, shape in zip(tops, lefts, peaks.astype(np.float32), shapes, strict=True):
            canvas[top : top + reach, left : left + reach] += peak * lines[shape]
        return np.minimum(canvas[2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width], 1)


def _line(angle: float, length: float, width: float, margin: int) -> np.ndarray:
    """A soft line through the middle of a square of 2 * margin + 1 pixels, float32, 1 along its axis.

    Args:
        angle: degrees from vertical, positive leaning to the right at the top.
        length: in pixels; an end fades over a quarter of it.
        width: standard deviation of the profile across, in pixels.
        margin: half the side of the square.
    """
    y, x = np.mgrid[-margin : margin + 1, -margin : margin + 1]
    across_x, across_y = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    across = x * across_x + y * across_y
    along = np.abs(y * across_x - x * across_y)
    line = np.clip((length / 2 - along) / (length / 4), 0, 1) * np.exp(-0.5 * (across / width) ** 2)
    return np.where(line > 1e-3, line, 0).astype(np.float32)  # no faint tails over the whole square
