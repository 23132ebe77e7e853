"""Partial and extrapolated restoration: a strength S between the degraded picture (0) and the restored one (1).

S above 1 extrapolates, up to ``MAX_STRENGTH``. Results are clipped to [0, 1].
"""

from __future__ import annotations

from numbers import Real

from torch import Tensor

from restorebox.degradations.weather import invert
from restorebox.errors import ConfigError
from restorebox.heads.physics import PhysicsHead

MAX_STRENGTH = 2.0  # beyond it errors of the network exceed what it restores


def checked_strength(strength: float) -> float:
    """Return a strength as a float.

    Raises:
        ConfigError: it is no number from 0 to ``MAX_STRENGTH``.
    """
    number = isinstance(strength, Real) and not isinstance(strength, bool)
    if not number or not 0 <= strength <= MAX_STRENGTH:  # NaN is refused by the comparison
        raise ConfigError(f'strength is {strength}; it must be a number from 0 to {MAX_STRENGTH:g}')
    return float(strength)


def mix(lq: Tensor, pred: Tensor, strength: float) -> Tensor:
    """Return lq + S (pred - lq), clipped to [0, 1].

    Args:
        lq: degraded pictures, ``(N, 3, H, W)`` in [0, 1].
        pred: restored pictures, likewise.
        strength: S, 0 to ``MAX_STRENGTH``.
    """
    return lq.lerp(pred, strength).clamp_(0, 1)


def mix_layers(head: PhysicsHead, lq: Tensor, out: dict[str, Tensor], strength: float) -> Tensor:
    """Return a prediction at strength S from estimated rain layers, clipped to [0, 1].

    Streaks and veil are removed in part: S times the streaks, and the veil of S times its optical depth -ln T::

        J0(S) = (I - (1 - T^S) A) / (max(T^S, t_min) + S eps) - S streak
        result = J0(S) + S (pred - J0(1))

    T^S is 1 at S = 0 and T at S = 1, and stays positive above 1, unlike 1 - S (1 - T). J0 is clipped to [0, 1]. The
    second term is what else the prediction contains: the work of a network that refines J0. The result is I at S = 0
    and ``pred`` at S = 1.

    Args:
        head: inversion of the rain model, with its t_min and eps.
        lq: I, ``(N, 3, H, W)`` in [0, 1].
        out: ``pred``, ``streak``, ``transmission`` and ``airlight`` of the same shape, in [0, 1].
        strength: S, 0 to ``MAX_STRENGTH``.
    """

    def j0(part: float) -> Tensor:
        streak = part * out['streak'] if head.subtract_streak else None
        transmission = out['transmission'] ** part
        return invert(lq, streak, transmission, out['airlight'], part * head.eps, head.t_min).clamp_(0, 1)

    return (j0(strength) + strength * (out['pred'] - j0(1.0))).clamp_(0, 1)
