"""Snow: flakes of several sizes in front of a scene; near flakes are large and out of focus.

Liu et al., 'DesnowNet: Context-Aware Deep Network for Snow Removal' (TIP 2018): I = J (1 - z) + z A with the flakes'
opacity z and brightness A. Their flakes were made in an image editor; here they are rendered at three distances, each
with its own size, defocus and motion blur.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import as_range
from restorebox.degradations.lines import motion_kernel, scatter
from restorebox.degradations.weather import Weather, constant_airlight
from restorebox.registry import DEGRADATIONS

SHAPES = 8  # number of different flakes per distance
# Per distance: factor on size, factor on opacity, fraction of all flakes. Nearer flakes are larger and fewer, and the
# nearest are less opaque, being out of focus.
DISTANCES = ((0.5, 0.9, 0.75), (1.0, 1.0, 0.22), (2.8, 0.75, 0.03))


@DEGRADATIONS.register_module()
class Snow(Weather):
    """I = T J + (1 - T) A, where 1 - T is the flakes' opacity.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        density: flakes per pixel, over all distances.
        size: radius of a flake at the middle distance, in pixels.
        defocus: blur of the nearest flakes, as a fraction of their radius; a third of it at the other distances.
        angle: falling direction in degrees from vertical, positive leaning to the right at the top.
        motion: length of the motion blur at the middle distance, in pixels.
        opacity: opacity of the most opaque flakes, in [0, 1].
        airlight: brightness of the flakes, in [0, 1].
    """

    strength = 'density'

    def __init__(
        self,
        density: Sequence[float] = (0.004, 0.015),
        size: Sequence[float] = (1.5, 3.5),
        defocus: Sequence[float] = (0.4, 0.8),
        angle: Sequence[float] = (-40, 40),
        motion: Sequence[float] = (1, 6),
        opacity: Sequence[float] = (0.8, 1),
        airlight: Sequence[float] = (0.85, 1),
    ) -> None:
        self.ranges = {
            'density': as_range(density, 'Snow: density', 0, 1),
            'size': as_range(size, 'Snow: size', 0.1, 100),
            'defocus': as_range(defocus, 'Snow: defocus', 0, 5),
            'angle': as_range(angle, 'Snow: angle', -90, 90),
            'motion': as_range(motion, 'Snow: motion', 0, 200),
            'opacity': as_range(opacity, 'Snow: opacity', 0, 1),
            'airlight': as_range(airlight, 'Snow: airlight', 0, 1),
        }

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'transmission' HxWx1 (1 minus the flakes' opacity) and 'airlight' HxWx3, float32 in [0, 1]."""
        return {
            'transmission': 1 - self.opacity(scene.shape[:2], parameters)[..., None],
            'airlight': constant_airlight(scene.shape, parameters['airlight']),
        }

    @staticmethod
    def opacity(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """Return the flakes' opacity z for a picture of (height, width): HW float32 in [0, parameters['opacity']]."""
        total = np.zeros(size, np.float32)
        for number, (factor, thinness, share) in enumerate(DISTANCES):
            rng = np.random.default_rng([parameters['seed'], number])
            flakes = _flakes(factor, parameters, rng)
            total += scatter(size, flakes, parameters['density'] * share, rng, parameters['opacity'] * thinness, 0.4)
        return np.minimum(total, np.float32(parameters['opacity']))


def _flakes(factor: float, parameters: dict[str, Any], rng: np.random.Generator) -> list[np.ndarray]:
    """Return square stamps of equal size with one flake each, float32 in [0, 1]."""
    radius = parameters['size'] * factor
    blur = max(0.35, radius * parameters['defocus'] * (1 if factor > 2 else 1 / 3))
    path = motion_kernel(max(1.0, parameters['motion'] * factor), parameters['angle'] + 10 * rng.standard_normal())
    margin = int(np.ceil(1.5 * radius + 3 * blur)) + path.shape[0] // 2 + 1
    y, x = np.mgrid[-margin : margin + 1, -margin : margin + 1].astype(np.float32)
    stamps = []
    for _ in range(SHAPES):
        size = radius * rng.uniform(0.6, 1)
        # Irregular outlines: a disc whose radius varies with the direction.
        lobes, phase, depth = rng.integers(2, 6), rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.35)
        outline = size * (1 + depth * np.cos(lobes * np.arctan2(y, x) + phase))
        flake = np.clip(outline + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
        flake = cv2.filter2D(cv2.GaussianBlur(flake, (0, 0), blur), cv2.CV_32F, path, borderType=cv2.BORDER_CONSTANT)
        stamps.append(np.where(flake > 1e-3, np.minimum(flake, 1), 0).astype(np.float32))
    return stamps
