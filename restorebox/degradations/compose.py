"""Several degradations one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import BaseDegradation
from restorebox.degradations.recipes import named_recipe
from restorebox.errors import ConfigError
from restorebox.pixels import to_float
from restorebox.registry import DEGRADATIONS

LEAST = np.float32(0.01)  # a streak behind a veil that lets less through than this is not told apart


@DEGRADATIONS.register_module()
class Compose(BaseDegradation):
    """Apply recipes in order, each to what the one before it gave, and merge their layers.

    Two layers of weather in front of each other are one again: of I1 = T1 (J + S1) + (1 - T1) A1, seen through the
    second, I = T2 (I1 + S2) + (1 - T2) A2, follows I = T (J + S) + (1 - T) A with

    .. code-block:: text

        T = T1 T2,  S = S1 + S2 / max(T1, 0.01),  (1 - T) A = T2 (1 - T1) A1 + (1 - T2) A2

    exact where T1 >= 0.01 and nothing was clipped in between. Blur, noise and JPEG have no layers and change none:
    after them, the layers are those of the weather, and the law holds no more. Depth is one for the whole scene: the
    first part that has one (or the given one) settles it for all after it.

    Args:
        recipes: configs of DEGRADATIONS or names of recipes, at least one.
    """

    takes_depth = True

    def __init__(self, recipes: Sequence[dict | str] = ('light_rain', 'haze')) -> None:
        if not isinstance(recipes, Sequence) or isinstance(recipes, str) or not recipes:
            raise ConfigError(f'Compose: recipes are a list of configs or names, at least one; they are {recipes!r}')
        self.parts = [build_degradation(recipe) for recipe in recipes]

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """'parts': the parameters of each, in order."""
        return {'parts': [part.sample(rng, shape) for part in self.parts]}

    def apply(
        self, picture: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """HWC RGB -> 'lq' HWC float32 in [0, 1] and the merged layers; ``depth`` is a measured one, HxW or HxWx1."""
        seen, layers = to_float(picture), {}
        for part, own in zip(self.parts, parameters['parts'], strict=True):
            rendered = part.apply(seen, own, depth) if part.takes_depth else part.apply(seen, own)
            seen = rendered.pop('lq')
            depth = rendered.get('depth', depth)
            layers = merge(layers, rendered)
        return {'lq': seen, **layers}


def build_degradation(recipe: dict | str) -> BaseDegradation:
    """Build from a config of DEGRADATIONS or from a recipe's name.

    Raises:
        ConfigError: no such recipe, type or key.
    """
    return DEGRADATIONS.build(named_recipe(recipe) if isinstance(recipe, str) else recipe)


def merge(behind: dict[str, np.ndarray], front: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Layers of two weathers in front of each other, as :class:`Compose` says; those nearer to the scene come first."""
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
        # Without any veil the airlight is arbitrary: the front one's, so that it is defined.
        whole = np.divide(veil, hidden, out=front['airlight'].copy(), where=np.broadcast_to(hidden > 0, veil.shape))
        merged['airlight'] = np.clip(whole, 0, 1)
    if 'depth' in behind:
        merged['depth'] = behind['depth']
    return _with_streaks(merged, behind.get('streak'), None if streak is None else streak / np.maximum(through, LEAST))


def _with_streaks(
    merged: dict[str, np.ndarray], behind: np.ndarray | None, front: np.ndarray | None
) -> dict[str, np.ndarray]:
    """``merged`` with the sum of two streak layers, of those that there are."""
    if behind is not None and front is not None:
        merged['streak'] = behind + front
    elif front is not None:
        merged['streak'] = front
    return merged
