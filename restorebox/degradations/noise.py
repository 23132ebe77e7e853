"""Sensor noise: Gaussian per channel, grey Gaussian, and Poisson."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import RangedDegradation, as_range
from restorebox.pixels import to_float
from restorebox.registry import DEGRADATIONS


@DEGRADATIONS.register_module()
class GaussianNoise(RangedDegradation):
    """I = clip(J + n, 0, 1), n ~ N(0, (sigma / 255)^2), independent per pixel and channel.

    Args:
        sigma: range of the standard deviation, on the scale 0 to 255.
    """

    strength = 'sigma'
    seeded = True
    grey = False  # one value for all channels of a pixel

    def __init__(self, sigma: Sequence[float] = (5, 50)) -> None:
        self.ranges = {'sigma': as_range(sigma, f'{type(self).__name__}: sigma', 0, 1000)}

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1]."""
        clear = to_float(picture)
        shape = (*clear.shape[:2], 1) if self.grey else clear.shape
        noise = np.random.default_rng(parameters['seed']).standard_normal(shape, dtype=np.float32)
        noise *= np.float32(parameters['sigma'] / 255)
        noisy = clear + noise
        return {'lq': np.clip(noisy, 0, 1, out=noisy)}


@DEGRADATIONS.register_module()
class GreyNoise(GaussianNoise):
    """I = clip(J + n, 0, 1), n ~ N(0, (sigma / 255)^2) with the same value in all channels of a pixel.

    Li, Cheong and Tan (CVPR 2019) add it with sigma 1 to their training inputs. Arguments as in
    :class:`GaussianNoise`.
    """

    grey = True


@DEGRADATIONS.register_module()
class PoissonNoise(RangedDegradation):
    """I = clip(k / n, 0, 1), k ~ Poisson(n J), where n is the photon count of a white pixel.

    Args:
        photons: range of n; a smaller n gives stronger noise.
    """

    strength = '-photons'
    seeded = True

    def __init__(self, photons: Sequence[float] = (30, 300)) -> None:
        self.ranges = {'photons': as_range(photons, 'PoissonNoise: photons', 1, 1e9)}

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1]."""
        counts = np.random.default_rng(parameters['seed']).poisson(to_float(picture) * parameters['photons'])
        return {'lq': np.clip(counts / parameters['photons'], 0, 1).astype(np.float32)}
