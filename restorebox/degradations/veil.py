"""Veil and haze by atmospheric scattering.

Koschmieder's law as in He, Sun and Tang (CVPR 2009): I = T J + (1 - T) A, T = exp(-beta d).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import as_range
from restorebox.degradations.depth import DepthSource
from restorebox.degradations.weather import Weather, constant_airlight
from restorebox.registry import DEGRADATIONS


@DEGRADATIONS.register_module()
class Veil(Weather):
    """I = T J + (1 - T) A with T = exp(-beta d) and a relative depth d in (0, 1].

    Args:
        beta: scattering coefficient per relative depth; the farthest point has T = exp(-beta). The default is that of
            RESIDE's outdoor set (Li et al., TIP 2019).
        airlight: A, brightness in [0, 1].
        tint: subtracted from the red and added to the blue channel of A, which is then clipped to [0, 1].
        depth: 'field' or the folder of a depth network, see :class:`~restorebox.degradations.depth.DepthSource`.
    """

    strength = 'beta'
    seeded = False  # only the depth needs a seed, which its record contains
    depth: DepthSource

    def __init__(
        self,
        beta: Sequence[float] = (0.6, 1.8),
        airlight: Sequence[float] = (0.7, 1),
        tint: Sequence[float] = (0, 0.03),
        depth: str = 'field',
    ) -> None:
        self.ranges = {
            'beta': as_range(beta, 'Veil: beta', 0, 100),
            'airlight': as_range(airlight, 'Veil: airlight', 0, 1),
            'tint': as_range(tint, 'Veil: tint', -1, 1),
        }
        self.depth = DepthSource(depth)

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'transmission' HxWx1, 'airlight' HxWx3 and 'depth' HxWx1, float32 in [0, 1]."""
        distance = self.depth.render(scene, parameters['depth'], depth)
        grey, tint = parameters['airlight'], parameters['tint']
        colour = [min(max(grey + part, 0), 1) for part in (-tint, 0, tint)]
        return {
            'transmission': np.exp(-np.float32(parameters['beta']) * distance),
            'airlight': constant_airlight(scene.shape, colour),
            'depth': distance,
        }
