"""Rain as in photographs: in focus at middle distance, out of focus near the camera, with varying angle and density.

A drop refracts the light of its surroundings. So streaks are bright in front of dark objects and invisible in front of
the sky, and at night rain is visible near lamps (Garg and Nayar, "Vision and rain", IJCV 2007). The opacity of a streak
grows with its width and decreases with the drop's speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import as_range
from restorebox.degradations.fields import smooth_field
from restorebox.degradations.lines import line_frame, trimmed
from restorebox.degradations.weather import Weather
from restorebox.registry import DEGRADATIONS

ANGLES = 9  # number of mean streak angles per distance, evenly spaced over the range of the picture
SHAPES = 4  # number of different streaks per angle
# Per distance (far, middle, near): factor on size, factor on opacity, fraction of all streaks, whether out of focus.
DISTANCES = ((0.5, 0.6, 0.68, False), (1.0, 1.0, 0.3, False), (2.6, 0.5, 0.02, True))


@DEGRADATIONS.register_module()
class VariedRain(Weather):
    """I = T J + (1 - T) A, where 1 - T is the opacity of the streaks and A the light refracted by the drops.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        density: maximum number of streaks per pixel, over all distances.
        length: length of streaks in focus, in pixels: the drop's path during exposure.
        width: standard deviation of the cross profile of streaks in focus, in pixels.
        angle: mean angle in degrees from vertical, positive leaning to the right at the top.
        swing: largest deviation from the mean angle over the picture in degrees, an effect of wind and perspective.
        spread: standard deviation of the streaks' angles around the local angle, in degrees.
        opacity: opacity of the most opaque streaks in focus, in [0, 1].
        patchiness: relative decrease of the density at its minimum over the picture, in [0, 1].
        defocus: radius of the defocus blur of near streaks, as a multiple of ``width``.
        light: brightness of the ambient light that does not come from the picture, in [0, 1].
        gathered: fraction of the picture's own light, blurred, in the light of the drops, in [0, 1].
        mist: maximum opacity of distant rain in which streaks are not resolved, in [0, 1].
    """

    strength = 'density'

    def __init__(
        self,
        density: Sequence[float] = (0.002, 0.05),
        length: Sequence[float] = (8, 50),
        width: Sequence[float] = (0.6, 1.8),
        angle: Sequence[float] = (-35, 35),
        swing: Sequence[float] = (0, 25),
        spread: Sequence[float] = (0.5, 8),
        opacity: Sequence[float] = (0.3, 0.9),
        patchiness: Sequence[float] = (0, 0.9),
        defocus: Sequence[float] = (0.5, 3),
        light: Sequence[float] = (0.6, 1),
        gathered: Sequence[float] = (0, 0.6),
        mist: Sequence[float] = (0, 0.4),
    ) -> None:
        name = type(self).__name__
        self.ranges = {
            'density': as_range(density, f'{name}: density', 0, 1),
            'length': as_range(length, f'{name}: length', 1, 1000),
            'width': as_range(width, f'{name}: width', 0.1, 100),
            'angle': as_range(angle, f'{name}: angle', -90, 90),
            'swing': as_range(swing, f'{name}: swing', 0, 90),
            'spread': as_range(spread, f'{name}: spread', 0, 90),
            'opacity': as_range(opacity, f'{name}: opacity', 0, 1),
            'patchiness': as_range(patchiness, f'{name}: patchiness', 0, 1),
            'defocus': as_range(defocus, f'{name}: defocus', 0, 20),
            'light': as_range(light, f'{name}: light', 0, 1),
            'gathered': as_range(gathered, f'{name}: gathered', 0, 1),
            'mist': as_range(mist, f'{name}: mist', 0, 1),
        }

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'transmission' HxWx1 (1 minus the opacity) and 'airlight' HxWx3, float32 in [0, 1]."""
        return {
            'transmission': 1 - self.opacity(scene.shape[:2], parameters)[..., None],
            'airlight': gathered_light(scene, parameters['light'], parameters['gathered']),
        }

    @staticmethod
    def opacity(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """Return the opacity of the streaks for a picture of (height, width): HW float32 in [0, 1]."""
        rng = np.random.default_rng(parameters['seed'])
        density = 1 - np.float32(parameters['patchiness']) * smooth_field(size, (3, 4), rng)
        angle = smooth_field(size, (2, 3), rng)
        transmission = 1 - np.float32(parameters['mist']) * density * smooth_field(size, (4, 5), rng)
        for number, (factor, thinness, share, blurred) in enumerate(DISTANCES):
            # Each distance has its own generator, so that more streaks at one distance do not change the others.
            rng = np.random.default_rng([parameters['seed'], number + 1])
            stamps = _stamps(factor, blurred, parameters, rng)
            layer = _scatter_by_field(size, stamps, parameters['density'] * share, density, angle, rng)
            transmission *= 1 - np.minimum(layer * np.float32(parameters['opacity'] * thinness), 1)
        return 1 - transmission


def gathered_light(scene: np.ndarray, light: float, share: float) -> np.ndarray:
    """Return the light refracted by drops, HxWx3 float32 in [0, 1].

    It is a mixture of grey ambient light and the blurred scene. The scene is averaged as a root mean square over about
    an eighth of the picture, so that bright regions have a larger weight.

    Args:
        scene: HxWx3 float32 in [0, 1].
        light: brightness of the ambient light, in [0, 1].
        share: weight of the scene's light, in [0, 1].
    """
    reach = max(min(scene.shape[:2]) / 8, 1.0)
    small = cv2.resize(scene, (32, 32), interpolation=cv2.INTER_AREA)
    around = cv2.GaussianBlur(small**2, (0, 0), max(32 * reach / max(scene.shape[:2]), 0.5)) ** 0.5
    enlarged = cv2.resize(around, scene.shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(scene.shape)
    weight = np.float32(share)
    return np.clip((1 - weight) * np.float32(light) + weight * np.minimum(1.3 * enlarged, 1), 0, 1).astype(np.float32)


def _stamps(
    factor: float, blurred: bool, parameters: dict[str, Any], rng: np.random.Generator
) -> list[list[np.ndarray]]:
    """Return ``ANGLES`` lists of square stamps with one streak each, float32 in [0, 1]."""
    length, width = parameters['length'] * factor, parameters['width'] * factor
    blur = parameters['defocus'] * parameters['width'] * factor if blurred else 0.0
    margin = int(np.ceil(length / 2 + 3 * width + 2 * blur)) + 1
    by_angle = []
    for offset in np.linspace(-1, 1, ANGLES):
        stamps = []
        for _ in range(SHAPES):
            tilt = parameters['angle'] + offset * parameters['swing'] + parameters['spread'] * rng.standard_normal()
            across, along = line_frame(tilt, margin)
            reach = length * rng.uniform(0.5, 1)
            place = np.clip(along / reach, -0.5, 0.5)
            # A falling drop oscillates: brightness and width vary along its path.
            phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 2)
            oscillation = np.cos(phase + 2 * np.pi * waves * place)
            sigma = width * rng.uniform(0.6, 1) * (1 + 0.15 * oscillation)
            stamp = np.exp(-0.5 * (across / sigma) ** 2) * np.cos(np.pi * place) ** 0.7 * (0.85 + 0.15 * oscillation)
            stamp = stamp.astype(np.float32)
            if blur > 0.3:  # disc kernel: the defocus blur of a circular aperture
                radius = int(np.ceil(blur))
                y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
                disc = np.clip(blur + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
                stamp = cv2.filter2D(stamp, cv2.CV_32F, disc / disc.sum(), borderType=cv2.BORDER_CONSTANT)
            stamps.append(np.where(stamp > 2e-3, stamp, 0).astype(np.float32))
        by_angle.append(stamps)
    return by_angle


def _scatter_by_field(
    size: tuple[int, int],
    stamps: list[list[np.ndarray]],
    density: float,
    density_field: np.ndarray,
    angle_field: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the sum of stamps at random positions with spatially varying density and angle.

    Args:
        size: (height, width) of the picture.
        stamps: as :func:`_stamps` returns them.
        density: maximum number of streaks per pixel.
        density_field: HW in [0, 1], probability to keep a streak.
        angle_field: HW in [0, 1], selects one of the ``ANGLES`` lists of stamps.
        rng: generator of positions, stamps and opacities.

    Returns:
        HW float32 >= 0, without upper bound.
    """
    (height, width), margin = size, stamps[0][0].shape[0] // 2
    tall, wide = height + 2 * margin, width + 2 * margin
    # One row per position, so that a higher density with the same seed keeps the positions of the lower one.
    places = rng.random((round(density * tall * wide), 5), dtype=np.float32)
    tops, lefts = (places[:, 0] * tall).astype(int), (places[:, 1] * wide).astype(int)
    rows, columns = np.clip(tops - margin, 0, height - 1), np.clip(lefts - margin, 0, width - 1)
    kept = places[:, 4] < density_field[rows, columns]
    angles = np.clip(angle_field[rows, columns] * ANGLES, 0, ANGLES - 1).astype(int)[kept].tolist()
    peaks = (0.25 + 0.75 * places[:, 2] ** 2)[kept].tolist()
    shapes = (places[:, 3] * SHAPES).astype(int)[kept].tolist()
    cut = [[trimmed(stamp) for stamp in each] for each in stamps]
    canvas = np.zeros((tall + 2 * margin, wide + 2 * margin), np.float32)
    listed = zip(tops[kept].tolist(), lefts[kept].tolist(), peaks, angles, shapes, strict=True)
    for top, left, peak, angle, shape in listed:
        down, right, stamp = cut[angle][shape]
        y, x = top + down, left + right
        canvas[y : y + stamp.shape[0], x : x + stamp.shape[1]] += peak * stamp
    return canvas[2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width]
