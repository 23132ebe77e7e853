"""Depth-aware rain and fog, as in RainCityscapes: streaks dominate near the camera, fog at a distance.

Hu, Fu, Zhu and Heng, 'Depth-Attentional Features for Single-Image Rain Removal' (CVPR 2019):

    I = J (1 - R - F) + R + F A,  R = P exp(-alpha max(d1, d)),  F = 1 - exp(-beta d)

P is a pattern of streaks, d the depth in metres, d1 the distance up to which streaks do not fade. The data set has
(alpha, beta) of (0.01, 0.005), (0.02, 0.01) and (0.03, 0.015) per metre.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import as_range
from restorebox.degradations.depth import DepthSource
from restorebox.degradations.template_rain import TemplateRain
from restorebox.degradations.weather import Weather, constant_airlight
from restorebox.errors import ConfigError
from restorebox.registry import DEGRADATIONS


@DEGRADATIONS.register_module()
class RainFog(Weather):
    """I = J (1 - R - F) + R + F A, which is I = T (J + S) + (1 - T) A with T = 1 - F and S = R (1 - J) / T.

    The layers are returned in the second form, as for all weather here. R is limited to T, so that 1 - R - F >= 0.

    Args:
        beta: scattering coefficient of fog per metre; streaks fade with alpha = 2 beta, as in the data set.
        far: depth of the farthest point, in metres.
        near: d1 in metres: the distance at which a drop is one pixel wide, 2 x focal length in pixels x its radius.
        airlight: A, grey, in [0, 1].
        rain: arguments of :class:`~restorebox.degradations.template_rain.TemplateRain`, which renders the pattern P.
        depth: 'field' or the folder of a depth network, see :class:`~restorebox.degradations.depth.DepthSource`.
    """

    strength = 'beta'
    seeded = False  # the records of pattern and depth contain seeds
    depth: DepthSource

    def __init__(
        self,
        beta: Sequence[float] = (0.005, 0.015),
        far: Sequence[float] = (80, 200),
        near: Sequence[float] = (9, 45),
        airlight: Sequence[float] = (0.6, 0.9),
        rain: dict | None = None,
        depth: str = 'field',
    ) -> None:
        self.ranges = {
            'beta': as_range(beta, 'RainFog: beta', 0, 10),
            'far': as_range(far, 'RainFog: far', 1, 10000),
            'near': as_range(near, 'RainFog: near', 0, 10000),
            'airlight': as_range(airlight, 'RainFog: airlight', 0, 1),
        }
        if not isinstance(rain or {}, dict) or 'type' in (rain or {}):
            raise ConfigError(f'RainFog: rain is a dict of keys of TemplateRain, without type; it is {rain!r}')
        pattern = {'density': (0.008, 0.02), 'length': (16, 40), 'spread': (1, 4), 'brightness': (0.6, 1)}
        self.rain = DEGRADATIONS.build({'type': 'TemplateRain', **pattern, **(rain or {})})
        self.depth = DepthSource(depth)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw one number per range, and the records of depth and pattern."""
        return {**super().sample(rng, shape), 'rain': self.rain.sample(rng, shape)}

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'streak' HxWx3, 'transmission' HxWx1, 'airlight' HxWx3 and 'depth' HxWx1, float32 in [0, 1]."""
        relative = self.depth.render(scene, parameters['depth'], depth)
        metres = np.float32(parameters['far']) * relative
        transmission = np.exp(-np.float32(parameters['beta']) * metres)
        pattern = TemplateRain.streak(scene.shape[:2], parameters['rain'])[..., None]
        rain = pattern * np.exp(
            -np.float32(2 * parameters['beta']) * np.maximum(metres, np.float32(parameters['near']))
        )
        return {
            'streak': np.minimum(rain / transmission, 1) * (1 - scene),
            'transmission': transmission,
            'airlight': constant_airlight(scene.shape, parameters['airlight']),
            'depth': relative,
        }
