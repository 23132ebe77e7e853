"""What a network says of a noisy picture: the noise in it and the picture behind it, one of which implies the other."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """Noise and clean picture, so that ``x = sqrt(abar) clean + sqrt(1 - abar) noise``.

    Attributes:
        noise: ``(N, C, H, W)``, standard normal where the estimate is right.
        clean: ``(N, C, H, W)`` in about [-1, 1].
    """

    noise: Tensor
    clean: Tensor

    @classmethod
    def of_noise(cls, x: Tensor, noise: Tensor, abar: float | Tensor) -> Estimate:
        """From the noise: ``clean = (x - sqrt(1 - abar) noise) / sqrt(abar)``.

        Args:
            x: the noisy picture.
            noise: its estimated noise, of the same shape.
            abar: share of the picture's variance that is left in ``x``, in (0, 1].
        """
        return cls(noise, (x - (1 - abar) ** 0.5 * noise) / abar**0.5)

    @classmethod
    def of_clean(cls, x: Tensor, clean: Tensor, abar: float | Tensor) -> Estimate:
        """From the clean picture: ``noise = (x - sqrt(abar) clean) / sqrt(1 - abar)``.

        Args:
            x: the noisy picture.
            clean: the estimated picture, of the same shape.
            abar: see :meth:`of_noise`; less than 1.
        """
        return cls((x - abar**0.5 * clean) / (1 - abar) ** 0.5, clean)
