"""Rain as a photograph shows it: sharp in the middle distance, out of focus near by, slanted and dense by place.

A drop is a small lens: what it shows is the light of all its surroundings, so that streaks are bright before dark
things and vanish before the sky, and rain at night is seen where lamps are (Garg and Nayar, "Vision and rain", IJCV
2007). A streak covers what is behind it, by a share that grows with its width and falls with the time it stays there.
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

BEARINGS = 9  # angles that streaks of one distance are drawn at, spread over those of the picture
SHAPES = 4  # per bearing
# Streaks at a distance: size and opacity as factors, the share of all streaks that are there, and whether they are out
# of focus: far and fine, in focus, near and blurred.
DISTANCES = ((0.5, 0.6, 0.68, False), (1.0, 1.0, 0.3, False), (2.6, 0.5, 0.02, True))


@DEGRADATIONS.register_module()
class VariedRain(Weather):
    """I = T J + (1 - T) A, where 1 - T is the streaks' opacity and A the light that drops gather.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        density: streaks per pixel where the rain is densest, over all distances.
        length: of streaks in focus, in pixels: what a drop falls during the exposure. Short ones are drops, not lines.
        width: of streaks in focus, as the standard deviation of the profile across, in pixels.
        angle: in degrees from vertical in the middle of the picture, positive leaning to the right at the top.
        swing: by how many degrees that differs over the picture, as wind and perspective make it.
        spread: standard deviation of single streaks' angles around that, in degrees.
        opacity: of the most opaque streaks in focus, in [0, 1].
        patchiness: how much less dense the rain is where it is least dense, in [0, 1].
        defocus: blur of near streaks, as a multiple of ``width``.
        light: brightness of the drops that does not come from the picture, in [0, 1].
        gathered: share of the picture's own light, blurred, in theirs, in [0, 1].
        mist: opacity of the rain too far to be told apart, where it is densest, in [0, 1].
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
        who = type(self).__name__
        self.ranges = {
            'density': as_range(density, f'{who}: density', 0, 1),
            'length': as_range(length, f'{who}: length', 1, 1000),
            'width': as_range(width, f'{who}: width', 0.1, 100),
            'angle': as_range(angle, f'{who}: angle', -90, 90),
            'swing': as_range(swing, f'{who}: swing', 0, 90),
            'spread': as_range(spread, f'{who}: spread', 0, 90),
            'opacity': as_range(opacity, f'{who}: opacity', 0, 1),
            'patchiness': as_range(patchiness, f'{who}: patchiness', 0, 1),
            'defocus': as_range(defocus, f'{who}: defocus', 0, 20),
            'light': as_range(light, f'{who}: light', 0, 1),
            'gathered': as_range(gathered, f'{who}: gathered', 0, 1),
            'mist': as_range(mist, f'{who}: mist', 0, 1),
        }

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """'transmission' HxWx1 (1 minus the opacity) and 'airlight' HxWx3, float32 in [0, 1]."""
        return {
            'transmission': 1 - self.opacity(scene.shape[:2], parameters)[..., None],
            'airlight': gathered_light(scene, parameters['light'], parameters['gathered']),
        }

    @staticmethod
    def opacity(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """The streaks' opacity in a picture of (height, width): HW float32 in [0, 1]."""
        rng = np.random.default_rng(parameters['seed'])
        gusts = 1 - np.float32(parameters['patchiness']) * smooth_field(size, (3, 4), rng)
        wind = smooth_field(size, (2, 3), rng)
        through = 1 - np.float32(parameters['mist']) * gusts * smooth_field(size, (4, 5), rng)
        for number, (factor, thinness, share, blurred) in enumerate(DISTANCES):
            # places, sizes and tilts of a distance have their own generator: more of one do not move the others
            own = np.random.default_rng([parameters['seed'], number + 1])
            stamps = _stamps(factor, blurred, parameters, own)
            layer = _scatter_by_place(size, stamps, parameters, parameters['density'] * share, gusts, wind, own)
            through *= 1 - np.minimum(layer * np.float32(parameters['opacity'] * thinness), 1)
        return 1 - through


def gathered_light(scene: np.ndarray, light: float, share: float) -> np.ndarray:
    """What drops shine with: a grey light, and a share of what is around them in the scene, HxWx3 float32 in [0, 1].

    The scene's part is its brightest channel-wise mean over an eighth of the picture, since bright things count most.
    """
    reach = max(min(scene.shape[:2]) / 8, 1.0)
    small = cv2.resize(scene, (32, 32), interpolation=cv2.INTER_AREA)
    around = cv2.GaussianBlur(small**2, (0, 0), max(32 * reach / max(scene.shape[:2]), 0.5)) ** 0.5
    around = cv2.resize(around, scene.shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(scene.shape)
    share = np.float32(share)
    return np.clip((1 - share) * np.float32(light) + share * np.minimum(1.3 * around, 1), 0, 1).astype(np.float32)


def _stamps(
    factor: float, blurred: bool, parameters: dict[str, Any], rng: np.random.Generator
) -> list[list[np.ndarray]]:
    """Per bearing, squares with a streak in each, float32 in [0, 1]."""
    length, width = parameters['length'] * factor, parameters['width'] * factor
    blur = parameters['defocus'] * parameters['width'] * factor if blurred else 0.0
    margin = int(np.ceil(length / 2 + 3 * width + 2 * blur)) + 1
    every = []
    for bearing in np.linspace(-1, 1, BEARINGS):
        stamps = []
        for _ in range(SHAPES):
            tilt = parameters['angle'] + bearing * parameters['swing'] + parameters['spread'] * rng.standard_normal()
            across, along = line_frame(tilt, margin)
            reach = length * rng.uniform(0.5, 1)
            place = np.clip(along / reach, -0.5, 0.5)
            # a drop wobbles as it falls: brightness and width waver along its path
            phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 2)
            waver = np.cos(phase + 2 * np.pi * waves * place)
            sigma = width * rng.uniform(0.6, 1) * (1 + 0.15 * waver)
            stamp = np.exp(-0.5 * (across / sigma) ** 2) * np.cos(np.pi * place) ** 0.7 * (0.85 + 0.15 * waver)
            stamp = stamp.astype(np.float32)
            if blur > 0.3:  # the aperture is a disc: an even blur with an edge, not a Gaussian
                radius = int(np.ceil(blur))
                y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
                disc = np.clip(blur + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
                stamp = cv2.filter2D(stamp, cv2.CV_32F, disc / disc.sum(), borderType=cv2.BORDER_CONSTANT)
            stamps.append(np.where(stamp > 2e-3, stamp, 0).astype(np.float32))
        every.append(stamps)
    return every


def _scatter_by_place(
    size: tuple[int, int],
    stamps: list[list[np.ndarray]],
    parameters: dict[str, Any],
    density: float,
    gusts: np.ndarray,
    wind: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sum of stamps at random places, as many as the gusts there allow, each of the bearing that the wind has there.

    Returns:
        HW float32 >= 0, not limited above.
    """
    (height, width), margin = size, stamps[0][0].shape[0] // 2
    tall, wide = height + 2 * margin, width + 2 * margin
    # One row per place, so that a higher density with the same seed keeps the places of the lower one.
    places = rng.random((round(density * tall * wide), 5), dtype=np.float32)
    tops, lefts = (places[:, 0] * tall).astype(int), (places[:, 1] * wide).astype(int)
    rows, columns = np.clip(tops - margin, 0, height - 1), np.clip(lefts - margin, 0, width - 1)
    kept = places[:, 4] < gusts[rows, columns]
    bearings = np.clip(wind[rows, columns] * BEARINGS, 0, BEARINGS - 1).astype(int)[kept].tolist()
    peaks = (0.25 + 0.75 * places[:, 2] ** 2)[kept].tolist()
    shapes = (places[:, 3] * SHAPES).astype(int)[kept].tolist()
    cut = [[trimmed(stamp) for stamp in each] for each in stamps]
    canvas = np.zeros((tall + 2 * margin, wide + 2 * margin), np.float32)
    listed = zip(tops[kept].tolist(), lefts[kept].tolist(), peaks, bearings, shapes, strict=True)
    for top, left, peak, bearing, shape in listed:
        down, right, stamp = cut[bearing][shape]
        y, x = top + down, left + right
        canvas[y : y + stamp.shape[0], x : x + stamp.shape[1]] += peak * stamp
    return canvas[2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width]
