"""The law that all weather here obeys, and the base class of what renders it.

A scene J is seen through streaks S and then through a veil that lets the share T of its light pass and adds airlight A:

    I = T (J + S) + (1 - T) A

Rain without a veil has T = 1, haze has S = 0, a snow flake is a small and nearly opaque piece of veil. The model is
that of Li, Cheong and Tan (CVPR 2019); haze alone is Koschmieder's law as He et al. (CVPR 2009) write it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from restorebox.degradations.base import RangedDegradation
from restorebox.degradations.depth import DepthSource
from restorebox.pixels import to_float


def compose(
    clear: np.ndarray,
    streak: np.ndarray | None = None,
    transmission: np.ndarray | None = None,
    airlight: np.ndarray | None = None,
) -> np.ndarray:
    """I = T (J + S) + (1 - T) A, not yet clipped. Arrays or tensors, whose shapes need only fit each other.

    Args:
        clear: J, HWC float32 in [0, 1].
        streak: S >= 0, HxWx1 or HWC; None is 0.
        transmission: T in [0, 1], HxWx1; None is 1.
        airlight: A in [0, 1], HxWx1 or HWC; only read where there is a transmission, None is 0.
    """
    seen = clear if streak is None else clear + streak
    if transmission is None:
        return seen
    return transmission * seen + (1 - transmission) * (0 if airlight is None else airlight)


def invert(
    seen: np.ndarray,
    streak: np.ndarray | None = None,
    transmission: np.ndarray | None = None,
    airlight: np.ndarray | None = None,
    eps: float = 0.0,
    t_min: float = 0.0,
) -> np.ndarray:
    """J = (I - (1 - T) A) / (max(T, t_min) + eps) - S: the inverse of :func:`compose`.

    Exact at ``eps=0`` where T > t_min and nothing was clipped. With an eps it gives (J + S) eps / (T + eps) too little.

    Args:
        seen: I. This and the layers as in :func:`compose`; tensors are taken as well, of shapes that fit.
        streak: S; None leaves it in the picture.
        transmission: T; where it is 0 and so are eps and t_min the result is infinite or NaN.
        airlight: A.
        eps: added to the divisor.
        t_min: least transmission that is divided by.
    """
    if transmission is not None:
        veil = (1 - transmission) * (0 if airlight is None else airlight)
        seen = (seen - veil) / (transmission.clip(t_min) + eps)
    return seen if streak is None else seen - streak


def law_layers(rendered: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of an operator's results that enter the law: arguments of :func:`compose` and :func:`invert`."""
    return {role: rendered[role] for role in ('streak', 'transmission', 'airlight') if role in rendered}


def constant_airlight(shape: tuple[int, ...], colour: float | list[float]) -> np.ndarray:
    """A as a layer, HxWx3 float32: the airlight is one colour in the whole picture."""
    return np.full((*shape[:2], 3), colour, np.float32)


class Weather(RangedDegradation):
    """Base of all weather: a subclass renders layers, the law does the rest.

    Attributes:
        depth: where the scene's depth comes from; None for weather that does not read it.
    """

    takes_depth = True
    seeded = True
    depth: DepthSource | None = None

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """A number per range, the seed, and the record of the depth where it is read."""
        drawn = super().sample(rng, shape)
        if self.depth is not None:
            drawn['depth'] = self.depth.sample(rng)
        return drawn

    def apply(
        self, picture: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """HWC RGB, uint8 or float32 in [0, 1] -> 'lq' HWC float32 in [0, 1] and the layers.

        Args:
            picture: the clear scene.
            parameters: as :meth:`sample` gives them.
            depth: HxW or HxWx1 relative depth in (0, 1], larger is farther: a measured one, instead of the one that the
                parameters record. Weather that reads no depth ignores it.
        """
        scene = self.scene(to_float(picture), parameters)
        layers = self.layers(scene, parameters, depth)
        seen = compose(scene, **law_layers(layers))
        return {'lq': np.clip(seen, 0, 1, out=None if seen is scene else seen), **layers}

    def scene(self, clear: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
        """The J of the law, HWC float32: the clear picture, unless a renderer softens it first."""
        return clear

    @abstractmethod
    def layers(self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None) -> dict[str, np.ndarray]:
        """The layers in front of the scene: 'streak', 'transmission', 'airlight', 'depth', those that are used."""


class AdditiveRain(Weather):
    """Rain without a veil, I = clip(J + S, 0, 1): a subclass renders S of a size, whatever the scene is."""

    @staticmethod
    @abstractmethod
    def streak(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """The layer S of a picture of (height, width): HW float32 in [0, 1]."""

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """'streak' HxWx1 float32 in [0, 1]; a depth is not read."""
        return {'streak': self.streak(scene.shape[:2], parameters)[..., None]}
