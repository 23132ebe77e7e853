"""Template rain: streaks of several directions, lengths and widths, as in Rain100L and Rain100H.

The additive model of Yang et al. (CVPR 2017), I = J + sum_k S_k: one layer of streaks per direction, light rain with
one direction, heavy rain with up to five. Their streaks are photorealistic templates; ours are drawn, with the uneven
brightness along a streak that a drop's oscillation gives it (Garg and Nayar, SIGGRAPH 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import as_range, as_whole_range
from restorebox.degradations.lines import line_frame, scatter
from restorebox.degradations.weather import AdditiveRain
from restorebox.registry import DEGRADATIONS

TEMPLATES = 10  # per direction


@DEGRADATIONS.register_module()
class TemplateRain(AdditiveRain):
    """I = clip(J + S_1 + ... + S_n, 0, 1): n directions of rain, each scattered from templates of its own.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        directions: whole numbers; how many layers the rain has. All share length, width and brightness.
        density: streaks per pixel, over all directions.
        length: of the longest streaks in pixels; single ones are down to 0.4 of it.
        width: of the widest streaks in pixels, as the standard deviation of the profile across; down to 0.6 of it.
        angle: of a direction in degrees from vertical, positive leaning to the right at the top.
        spread: standard deviation of single streaks' angles around their direction's, in degrees.
        brightness: of the brightest streaks, in [0, 1]; single ones are down to a fifth of it.
        sheet: brightness in [0, 1] of the rain that is too far for streaks to be told apart, at its densest. Where it
            is not (0, 0), that and the streaks come and go smoothly over the picture, as gusts make them.
    """

    strength = 'density'

    def __init__(
        self,
        directions: Sequence[int] = (1, 1),
        density: Sequence[float] = (0.003, 0.04),
        length: Sequence[float] = (10, 40),
        width: Sequence[float] = (0.5, 1),
        angle: Sequence[float] = (-30, 30),
        spread: Sequence[float] = (1, 18),
        brightness: Sequence[float] = (0.12, 0.35),
        sheet: Sequence[float] = (0, 0),
    ) -> None:
        self.directions = as_whole_range(directions, 'TemplateRain: directions', 1, 20)
        self.angle = as_range(angle, 'TemplateRain: angle', -90, 90)
        self.sheet = as_range(sheet, 'TemplateRain: sheet', 0, 1)
        self.ranges = {
            'density': as_range(density, 'TemplateRain: density', 0, 1),
            'length': as_range(length, 'TemplateRain: length', 1, 1000),
            'width': as_range(width, 'TemplateRain: width', 0.1, 100),
            'spread': as_range(spread, 'TemplateRain: spread', 0, 90),
            'brightness': as_range(brightness, 'TemplateRain: brightness', 0, 1),
        }

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """A number per range, the directions' angles, and the seed of the streaks."""
        drawn = super().sample(rng, shape)
        count = int(rng.integers(*self.directions, endpoint=True))
        drawn['angles'] = rng.uniform(*self.angle, count).tolist()
        if self.sheet[1]:  # not drawn where there is none, so that rain without it stays what it was
            drawn['sheet'] = rng.uniform(*self.sheet)
        return drawn

    @staticmethod
    def streak(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """The sum S of the layers of a picture of (height, width): HW float32 in [0, 1]."""
        total = np.zeros(size, np.float32)
        density = parameters['density'] / len(parameters['angles'])
        for number, angle in enumerate(parameters['angles']):
            rng = np.random.default_rng([parameters['seed'], number])  # a layer does not depend on those before it
            templates = _templates(angle, parameters, rng)
            total += scatter(size, templates, density, rng, parameters['brightness'])
        if 'sheet' in parameters:
            rng = np.random.default_rng([parameters['seed'], len(parameters['angles'])])
            total = (total + parameters['sheet']) * _gusts(size, rng)
        return np.minimum(total, 1)


def _gusts(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Where rain is dense: HW float32 from 0 to 1, smooth, a few hills a picture."""
    coarse = rng.random((3, 4), dtype=np.float32)
    field = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return (field - field.min()) / max(float(np.ptp(field)), 1e-6)


def _templates(angle: float, parameters: dict[str, Any], rng: np.random.Generator) -> list[np.ndarray]:
    """Squares of one side with a streak in each, float32 in [0, 1]."""
    length, width = parameters['length'], parameters['width']
    margin = int(np.ceil(length / 2 + 3 * width)) + 1
    stamps = []
    for size in np.geomspace(0.4, 1, TEMPLATES):
        tilt = angle + parameters['spread'] * rng.standard_normal()
        across, along = line_frame(tilt, margin)
        profile = np.exp(-0.5 * (across / (width * rng.uniform(0.6, 1))) ** 2)
        place = np.clip(along / (length * size), -0.5, 0.5)  # -0.5 at one end, 0.5 at the other
        # Uneven along the streak: one or two darker places, less than half as dark.
        phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(1, 2)
        uneven = 0.8 + 0.2 * np.cos(phase + 2 * np.pi * waves * place)
        stamp = profile * np.cos(np.pi * place) * uneven
        stamps.append(np.where(stamp > 1e-3, stamp, 0).astype(np.float32))  # no faint tails over the whole square
    return stamps
