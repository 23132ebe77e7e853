"""Template rain: streaks of several directions, lengths and widths, as in Rain100L and Rain100H.

The additive model of Yang et al. (CVPR 2017), I = J + sum_k S_k, has one layer of streaks per direction: one direction
for light rain, up to five for heavy rain. Their streaks are photorealistic templates; here they are rendered, with the
brightness variation along a streak that a drop's oscillation causes (Garg and Nayar, SIGGRAPH 2006).
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

TEMPLATES = 10  # number of different streaks per direction


@DEGRADATIONS.register_module()
class TemplateRain(AdditiveRain):
    """I = clip(J + S_1 + ... + S_n, 0, 1): n directions of rain, each with its own streak templates.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        directions: number n of directions, integers. All share length, width and brightness.
        density: streaks per pixel, over all directions.
        length: length of the longest streaks in pixels; the shortest have 0.4 of it.
        width: standard deviation of the widest streaks' cross profile, in pixels; the narrowest have 0.6 of it.
        angle: angle of a direction in degrees from vertical, positive leaning to the right at the top.
        spread: standard deviation of the streaks' angles around that of their direction, in degrees.
        brightness: brightness of the brightest streaks, in [0, 1]; the faintest have a fifth of it.
        sheet: maximum brightness in [0, 1] of distant rain in which streaks are not resolved. Unless it is (0, 0), the
            density of all rain varies smoothly over the picture.
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
        """Draw one number per range, the angles of the directions, and the seed of the streaks."""
        drawn = super().sample(rng, shape)
        count = int(rng.integers(*self.directions, endpoint=True))
        drawn['angles'] = rng.uniform(*self.angle, count).tolist()
        if self.sheet[1]:  # no draw without a sheet, so that the results of existing seeds do not change
            drawn['sheet'] = rng.uniform(*self.sheet)
        return drawn

    @staticmethod
    def streak(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """Return the sum S of the layers for a picture of (height, width): HW float32 in [0, 1]."""
        total = np.zeros(size, np.float32)
        density = parameters['density'] / len(parameters['angles'])
        for number, angle in enumerate(parameters['angles']):
            rng = np.random.default_rng([parameters['seed'], number])  # layers are independent of each other
            templates = _templates(angle, parameters, rng)
            total += scatter(size, templates, density, rng, parameters['brightness'])
        if 'sheet' in parameters:
            rng = np.random.default_rng([parameters['seed'], len(parameters['angles'])])
            total = (total + parameters['sheet']) * _density_field(size, rng)
        return np.minimum(total, 1)


def _density_field(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random field of relative rain density, HW float32 in [0, 1], with a few maxima per picture."""
    coarse = rng.random((3, 4), dtype=np.float32)
    field = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return (field - field.min()) / max(float(np.ptp(field)), 1e-6)


def _templates(angle: float, parameters: dict[str, Any], rng: np.random.Generator) -> list[np.ndarray]:
    """Return square stamps of equal size with one streak each, float32 in [0, 1]."""
    length, width = parameters['length'], parameters['width']
    margin = int(np.ceil(length / 2 + 3 * width)) + 1
    stamps = []
    for size in np.geomspace(0.4, 1, TEMPLATES):
        tilt = angle + parameters['spread'] * rng.standard_normal()
        across, along = line_frame(tilt, margin)
        profile = np.exp(-0.5 * (across / (width * rng.uniform(0.6, 1))) ** 2)
        place = np.clip(along / (length * size), -0.5, 0.5)  # -0.5 at one end, 0.5 at the other
        # Brightness varies along the streak by one or two periods between 0.6 and 1.
        phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(1, 2)
        uneven = 0.8 + 0.2 * np.cos(phase + 2 * np.pi * waves * place)
        stamp = profile * np.cos(np.pi * place) * uneven
        stamps.append(np.where(stamp > 1e-3, stamp, 0).astype(np.float32))  # cut off the tails for trimmed()
    return stamps
