"""Inversion of the rain model: estimated layers -> clean picture."""

from __future__ import annotations

from torch import Tensor

from restorebox.degradations.weather import invert
from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.layers.finite import nan_where_infinite
from restorebox.layers.precision import at_least_float32
from restorebox.registry import HEADS
from restorebox.values import Count, Fraction, NotNegative, ValueRange, Width


@HEADS.register_module()
class PhysicsHead(BaseHead):
    """J0 = (I - (1 - T) A) / (max(T, t_min) + eps) - S, see :func:`invert <restorebox.degradations.weather.invert>`.

    Li, Cheong and Tan (CVPR 2019). It has no parameters. Inputs are the taps ``streak``, ``transmission`` and
    ``airlight``; I is the network's input.

    Args:
        in_channels: unused; the network passes it to every head.
        scale: unused, see ``in_channels``.
        subtract_streak: False: S is not subtracted, as in the published equation.
        t_min: lower bound of the divisor T. The smallest T in synthetic heavy rain is 0.01.
        eps: added to the divisor.
        limits: range that J0 is clamped to, since it is unbounded for small T; None: no clamping.

    Raises:
        ConfigError: a negative ``t_min`` or ``eps``.
    """

    output = 'picture'
    taps = ('streak', 'transmission', 'airlight')

    def __init__(
        self,
        in_channels: Width | None = None,
        scale: Count = 1,
        subtract_streak: bool = True,
        t_min: Fraction = 0.01,
        eps: NotNegative = 1e-3,
        limits: ValueRange | None = (-1.0, 2.0),
    ) -> None:
        super().__init__()
        if t_min < 0 or eps < 0:
            raise ConfigError(f'PhysicsHead: t_min is {t_min} and eps {eps}; they must be 0 or more')
        self.subtract_streak = subtract_streak
        self.t_min = t_min
        self.eps = eps
        self.limits = limits

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return J0 ``(N, 3, H, W)``, float32 also under autocast.

        Args:
            features: ``streak`` and ``transmission`` ``(N, 1, H, W)``, ``airlight`` ``(N, 3, 1, 1)``.
            x: I ``(N, 3, H, W)`` in [0, 1].
        """
        streak, transmission, airlight = (nan_where_infinite(at_least_float32(features[tap])) for tap in self.taps)
        subtracted = streak if self.subtract_streak else None
        picture = invert(at_least_float32(x), subtracted, transmission, airlight, self.eps, self.t_min)
        return picture if self.limits is None else picture.clamp(*self.limits)
