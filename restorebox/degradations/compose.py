"""Sequential composition of degradations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import BaseDegradation
from restorebox.degradations.recipes import named_recipe
from restorebox.errors import ConfigError
from restorebox.pixels import to_float
from restorebox.registry import DEGRADATIONS

MIN_TRANSMISSION = np.float32(0.01)  # avoids division by zero; streaks behind a denser veil are invisible


@DEGRADATIONS.register_module()
class Compose(BaseDegradation):
    """Apply recipes in order, each to the output of the previous one, and merge their physics layers.

    Two weather layers combine into one of the same form. I1 = T1 (J + S1) + (1 - T1) A1 and
    I = T2 (I1 + S2) + (1 - T2) A2 give I = T (J + S) + (1 - T) A with

    .. code-block:: text

        T = T1 T2,  S = S1 + S2 / max(T1, 0.01),  (1 - T) A = T2 (1 - T1) A1 + (1 - T2) A2

    This is exact where T1 >= 0.01 and no intermediate result was clipped. Blur, noise and JPEG have no layers and leave
    the layers unchanged; after them the equation no longer holds. The scene has one depth: the given one, or that of
    the first part that has one, is used by all later parts.

    Args:
        recipes: configs of DEGRADATIONS or recipe names, at least one.
    """

    takes_depth = True

    def __init__(self, recipes: Sequence[dict | str] = ('light_rain', 'haze')) -> None:
        if not isinstance(recipes, Sequence) or isinstance(recipes, str) or not recipes:
            raise ConfigError(f'Compose: recipes are a list of configs or names, at least one; they are {recipes!r}')
        self.parts = [build_degradation(recipe) for recipe in recipes]

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw 'parts': the parameters of each part, in order."""
        return {'parts': [part.sample(rng, shape) for part in self.parts]}

    def apply(
        self, picture: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1] and the merged layers; ``depth`` is measured, HxW or HxWx1."""
        degraded: np.ndarray = to_float(picture)
        layers: dict[str, np.ndarray] = {}
        for part, own in zip(self.parts, parameters['parts'], strict=True):
            rendered = part.apply(degraded, own, **({'depth': depth} if part.takes_depth else {}))
            degraded = rendered.pop('lq')
            depth = rendered.get('depth', depth)
            layers = merge(layers, rendered)
        return {'lq': degraded, **layers}


def build_degradation(recipe: dict | str) -> BaseDegradation:
    """Build a degradation from a config of DEGRADATIONS or from a recipe name.

    Raises:
        ConfigError: unknown recipe, type or key.
    """
    return DEGRADATIONS.build(named_recipe(recipe) if isinstance(recipe, str) else recipe)


def merge(behind: dict[str, np.ndarray], front: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Merge the layers of two weather degradations with the equations of :class:`Compose`.

    Args:
        behind: layers nearer to the scene.
        front: layers nearer to the camera.
    """
    if not front:
        return behind
    merged = {**behind, **front}
    through = behind.get('transmission')
    if through is None:
        return _with_streaks(merged, behind.get('streak'), front.get('streak'))
    streak = front.get('streak')
    if 'transmission' in front:
        merged['transmission'] = through * front['transmission']
        veil = front['transmission'] * (1 - through) * behind['airlight']
        veil = veil + (1 - front['transmission']) * front['airlight']
        hidden = 1 - merged['transmission']
        # Without a veil the airlight is arbitrary; use the front one so that it is defined.
        whole = np.divide(veil, hidden, out=front['airlight'].copy(), where=np.broadcast_to(hidden > 0, veil.shape))
        merged['airlight'] = np.clip(whole, 0, 1)
    if 'depth' in behind:
        merged['depth'] = behind['depth']
    scaled = None if streak is None else streak / np.maximum(through, MIN_TRANSMISSION)
    return _with_streaks(merged, behind.get('streak'), scaled)


def _with_streaks(
    merged: dict[str, np.ndarray], behind: np.ndarray | None, front: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Set 'streak' of ``merged`` to the sum of the given streak layers."""
    if behind is not None and front is not None:
        merged['streak'] = behind + front
    elif front is not None:
        merged['streak'] = front
    return merged
