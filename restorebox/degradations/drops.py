"""Raindrops in the air, and spray near the ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import as_range
from restorebox.degradations.fields import cloud
from restorebox.degradations.lines import line_frame, scatter
from restorebox.degradations.varied_rain import gathered_light
from restorebox.degradations.weather import Weather
from restorebox.registry import DEGRADATIONS

SHAPES = 12  # number of different drops per picture


@DEGRADATIONS.register_module()
class Drops(Weather):
    """I = T J + (1 - T) A: short thick drops, as with a short exposure or a flash.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        density: drops per pixel.
        size: radius of the largest drops in pixels; the smallest have a quarter of it.
        stretch: ratio of a drop's length to its width.
        angle: falling direction in degrees from vertical, positive leaning to the right at the top.
        softness: blur of the edges, as a fraction of the radius.
        opacity: opacity of the most opaque drops, in [0, 1].
        light: see :class:`~restorebox.degradations.varied_rain.VariedRain`.
        gathered: see :class:`~restorebox.degradations.varied_rain.VariedRain`.
    """

    strength = 'density'

    def __init__(
        self,
        density: Sequence[float] = (0.0004, 0.01),
        size: Sequence[float] = (1.2, 5),
        stretch: Sequence[float] = (1, 5),
        angle: Sequence[float] = (-35, 35),
        softness: Sequence[float] = (0.15, 0.8),
        opacity: Sequence[float] = (0.3, 0.95),
        light: Sequence[float] = (0.65, 1),
        gathered: Sequence[float] = (0, 0.6),
    ) -> None:
        self.ranges = {
            'density': as_range(density, 'Drops: density', 0, 1),
            'size': as_range(size, 'Drops: size', 0.1, 100),
            'stretch': as_range(stretch, 'Drops: stretch', 1, 20),
            'angle': as_range(angle, 'Drops: angle', -90, 90),
            'softness': as_range(softness, 'Drops: softness', 0.05, 5),
            'opacity': as_range(opacity, 'Drops: opacity', 0, 1),
            'light': as_range(light, 'Drops: light', 0, 1),
            'gathered': as_range(gathered, 'Drops: gathered', 0, 1),
        }

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'transmission' HxWx1 (1 minus the opacity) and 'airlight' HxWx3, float32 in [0, 1]."""
        rng = np.random.default_rng(parameters['seed'])
        stamps = _drops(parameters, rng)
        total = scatter(scene.shape[:2], stamps, parameters['density'], rng, parameters['opacity'], 0.3)
        return {
            'transmission': 1 - np.minimum(total, np.float32(parameters['opacity']))[..., None],
            'airlight': gathered_light(scene, parameters['light'], parameters['gathered']),
        }


def _drops(parameters: dict[str, Any], rng: np.random.Generator) -> list[np.ndarray]:
    """Return square stamps of equal size with one drop each, float32 in [0, 1]; one in four is large."""
    largest = parameters['size']
    margin = int(np.ceil(largest * max(parameters['stretch'], 1) + 3 * largest * parameters['softness'])) + 2
    stamps = []
    for number in range(SHAPES):
        radius = largest * (rng.uniform(0.6, 1) if number % 4 == 0 else rng.uniform(0.25, 0.5))
        stretch = 1 + (parameters['stretch'] - 1) * rng.uniform(0.5, 1)
        across, along = line_frame(parameters['angle'] + 6 * rng.standard_normal(), margin)
        distance = np.hypot(across, along / stretch) / radius
        edge = max(parameters['softness'], 0.5 / radius)
        drop = np.clip((1 - distance) / edge + 0.5, 0, 1)
        # A drop refracts light: its rim is darker or brighter than its centre.
        rim, outer = rng.uniform(-0.4, 0.4), np.minimum(distance, 1) ** 2
        drop = drop * (1 - abs(rim) * (outer if rim > 0 else 1 - outer))
        stamps.append(np.where(drop > 2e-3, drop, 0).astype(np.float32))
    return stamps


@DEGRADATIONS.register_module()
class Spray(Weather):
    """I = T J + (1 - T) A: a cloud of fine drops above the ground, with some individually visible droplets.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        opacity: maximum opacity, in [0, 1].
        height: height of the cloud above the picture's lower edge, as a fraction of the picture's height.
        grain: size of its largest structures, as a fraction of the picture's longer side.
        droplets: bright dots per pixel within it.
        light: see :class:`~restorebox.degradations.varied_rain.VariedRain`.
        gathered: see :class:`~restorebox.degradations.varied_rain.VariedRain`.
    """

    strength = 'opacity'

    def __init__(
        self,
        opacity: Sequence[float] = (0.4, 0.95),
        height: Sequence[float] = (0.2, 0.9),
        grain: Sequence[float] = (0.05, 0.4),
        droplets: Sequence[float] = (0, 0.01),
        light: Sequence[float] = (0.55, 1),
        gathered: Sequence[float] = (0, 0.6),
    ) -> None:
        self.ranges = {
            'opacity': as_range(opacity, 'Spray: opacity', 0, 1),
            'height': as_range(height, 'Spray: height', 0, 1),
            'grain': as_range(grain, 'Spray: grain', 0.01, 1),
            'droplets': as_range(droplets, 'Spray: droplets', 0, 1),
            'light': as_range(light, 'Spray: light', 0, 1),
            'gathered': as_range(gathered, 'Spray: gathered', 0, 1),
        }

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'transmission' HxWx1 (1 minus the opacity) and 'airlight' HxWx3, float32 in [0, 1]."""
        rng, size = np.random.default_rng(parameters['seed']), scene.shape[:2]
        up = np.linspace(1, 0, size[0], dtype=np.float32)[:, None]  # 1 at the upper edge
        edge = parameters['height'] * (0.6 + 0.8 * cv2.resize(rng.random((1, 5), dtype=np.float32), (size[1], 1)))
        low = np.clip(2.5 * (1 - up / np.maximum(edge.reshape(1, -1), 1e-3)), 0, 1)
        thickness = low * (0.35 + 0.65 * cloud(size, parameters['grain'], rng))
        points = rng.random(size, dtype=np.float32) < np.float32(parameters['droplets'])
        dots = cv2.GaussianBlur(points.astype(np.float32), (0, 0), 0.8).reshape(size)
        opacity = np.float32(parameters['opacity']) * np.minimum(thickness + 1.5 * dots * (thickness > 0.05), 1)
        return {
            'transmission': 1 - opacity[..., None],
            'airlight': gathered_light(scene, parameters['light'], parameters['gathered']),
        }
