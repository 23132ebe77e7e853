"""Estimate of noise and clean picture from a noisy picture; each follows from the other."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """Estimated noise and clean picture with ``x = sqrt(abar) clean + sqrt(1 - abar) noise``.

    Attributes:
        noise: ``(N, C, H, W)``, standard normal if the estimate is exact.
        clean: ``(N, C, H, W)`` in about [-1, 1].
    """

    noise: Tensor
    clean: Tensor

    @classmethod
    def of_noise(cls, x: Tensor, noise: Tensor, abar: float | Tensor) -> Estimate:
        """Create an estimate from the noise: ``clean = (x - sqrt(1 - abar) noise) / sqrt(abar)``.

        Args:
            x: the noisy picture.
            noise: its estimated noise, of the same shape.
            abar: fraction of the clean picture's variance in ``x``, in (0, 1].
        """
        return cls(noise, (x - (1 - abar) ** 0.5 * noise) / abar**0.5)

    @classmethod
    def of_clean(cls, x: Tensor, clean: Tensor, abar: float | Tensor) -> Estimate:
        """Create an estimate from the clean picture: ``noise = (x - sqrt(abar) clean) / sqrt(1 - abar)``.

        Args:
            x: the noisy picture.
            clean: the estimated picture, of the same shape.
            abar: see :meth:`of_noise`; below 1.
        """
        return cls((x - abar**0.5 * clean) / (1 - abar) ** 0.5, clean)
