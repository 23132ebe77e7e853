"""Physics model of all weather degradations, and the base classes of their renderers.

A scene J is degraded by streaks S and a veil with transmission T and airlight A:

    I = T (J + S) + (1 - T) A

Rain without a veil has T = 1, haze has S = 0, and snow flakes are small regions of low T. The model is from Li, Cheong
and Tan (CVPR 2019); for haze alone it is Koschmieder's law as in He et al. (CVPR 2009).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from restorebox.degradations.base import RangedDegradation
from restorebox.degradations.depth import DepthSource
from restorebox.pixels import to_float

if TYPE_CHECKING:
    from torch import Tensor

Layer = TypeVar('Layer', np.ndarray, 'Tensor')


def compose(
    clear: Layer,
    streak: Layer | None = None,
    transmission: Layer | None = None,
    airlight: Layer | None = None,
) -> Layer:
    """Return I = T (J + S) + (1 - T) A, not clipped; arrays or tensors of any shapes that broadcast.

    Args:
        clear: J, HWC float32 in [0, 1].
        streak: S >= 0, HxWx1 or HWC; None means 0.
        transmission: T in [0, 1], HxWx1; None means 1.
        airlight: A in [0, 1], HxWx1 or HWC; None means 0. Ignored without a transmission.
    """
    if not isinstance(clear, np.ndarray):
        seen = clear if streak is None else clear + streak
        if transmission is None:
            return seen
        return transmission * seen + (1 - transmission) * (0 if airlight is None else airlight)
    seen = clear if streak is None else by_channel(np.add, clear, streak)
    if transmission is None:
        return seen
    # reuse memory: pages that the system must provide anew take longer than the arithmetic
    seen = by_channel(np.multiply, seen, transmission, None if seen is clear else seen)
    if airlight is None:
        return seen
    return by_channel(np.add, seen, by_channel(np.multiply, airlight, 1 - transmission), seen)


def by_channel(
    operation: np.ufunc, picture: np.ndarray, layer: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Apply an operation to HWC and HxWx1 channel by channel, since NumPy broadcasts one channel slowly.

    Args:
        operation: such as ``np.add``.
        picture: HWC.
        layer: HxWx1; arrays of other shapes are broadcast by NumPy.
        out: memory for the result, used if shape and dtype fit.
    """
    shape, kind = np.broadcast_shapes(picture.shape, layer.shape), np.result_type(picture, layer)
    if out is None or (out.shape, out.dtype) != (shape, kind):
        out = np.empty(shape, kind)
    if picture.shape == shape and len(shape) == 3 and layer.shape == (*shape[:2], 1):
        for channel in range(shape[2]):
            operation(picture[..., channel], layer[..., 0], out=out[..., channel])
    else:
        operation(picture, layer, out=out)
    return out


def invert(
    seen: Layer,
    streak: Layer | None = None,
    transmission: Layer | None = None,
    airlight: Layer | None = None,
    eps: float = 0.0,
    t_min: float = 0.0,
) -> Layer:
    """Return J = (I - (1 - T) A) / (max(T, t_min) + eps) - S, the inverse of :func:`compose`.

    Exact for ``eps=0`` where T > t_min and I was not clipped. A positive eps biases the result by
    -(J + S) eps / (T + eps).

    Args:
        seen: I; this and the layers are arrays or tensors as in :func:`compose`.
        streak: S; None means that it is not subtracted.
        transmission: T; if it, eps and t_min are 0, the result is infinite or NaN.
        airlight: A.
        eps: added to the divisor.
        t_min: lower bound of the transmission in the divisor.
    """
    if transmission is not None:
        veil = (1 - transmission) * (0 if airlight is None else airlight)
        seen = (seen - veil) / (transmission.clip(t_min) + eps)
    return seen if streak is None else seen - streak


def equation_layers(rendered: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Select the rendered layers that are arguments of :func:`compose` and :func:`invert`."""
    return {role: rendered[role] for role in ('streak', 'transmission', 'airlight') if role in rendered}


def constant_airlight(shape: tuple[int, ...], colour: float | list[float]) -> np.ndarray:
    """Return an airlight of one colour as a layer, HxWx3 float32."""
    return np.full((*shape[:2], 3), colour, np.float32)


class Weather(RangedDegradation):
    """Base class of weather degradations: subclasses render layers, this class composes them.

    Attributes:
        depth: source of the scene's depth; None for weather that does not depend on depth.
    """

    takes_depth = True
    seeded = True
    depth: DepthSource | None = None

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw one number per range, the seed, and the record of the depth if it is used."""
        drawn = super().sample(rng, shape)
        if self.depth is not None:
            drawn['depth'] = self.depth.sample(rng)
        return drawn

    def apply(
        self, picture: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Degrade a picture -> 'lq' HWC float32 in [0, 1] and the layers.

        Args:
            picture: the clean picture, HWC RGB, uint8 or float32 in [0, 1].
            parameters: as :meth:`sample` returns them.
            depth: measured relative depth, HxW or HxWx1 in (0, 1], larger is farther; it replaces the recorded depth.
                Ignored by weather that does not depend on depth.
        """
        scene = self.scene(to_float(picture), parameters)
        layers = self.layers(scene, parameters, depth)
        seen = compose(scene, **equation_layers(layers))
        return {'lq': np.clip(seen, 0, 1, out=None if seen is scene else seen), **layers}

    def scene(self, clear: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
        """Return J, HWC float32: the clean picture, or a softened version in subclasses."""
        return clear

    @abstractmethod
    def layers(self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None) -> dict[str, np.ndarray]:
        """Render the layers that are used, of 'streak', 'transmission', 'airlight' and 'depth'."""


class AdditiveRain(Weather):
    """Base class of rain without a veil, I = clip(J + S, 0, 1); S does not depend on the scene."""

    @staticmethod
    @abstractmethod
    def streak(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """Return the layer S for a picture of (height, width): HW float32 in [0, 1]."""

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'streak' HxWx1, float32 in [0, 1]; ``depth`` is ignored."""
        return {'streak': self.streak(scene.shape[:2], parameters)[..., None]}
