"""Random choice between degradations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import BaseDegradation
from restorebox.degradations.compose import build_degradation
from restorebox.errors import ConfigError
from restorebox.pixels import to_float
from restorebox.registry import DEGRADATIONS
from restorebox.values import NotNegative


@DEGRADATIONS.register_module()
class OneOf(BaseDegradation):
    """Draw one recipe per picture, for training all-in-one restoration networks.

    The physics layers depend on the recipe drawn. A data set that packs layers needs recipes that all have them.

    Args:
        recipes: configs of DEGRADATIONS, recipe names, or None for an unchanged picture.
        weights: relative probability of each recipe; None means equal probabilities.
    """

    takes_depth = True

    def __init__(
        self, recipes: Sequence[dict | str | None] = (None, 'light_rain'), weights: Sequence[NotNegative] | None = None
    ) -> None:
        if not isinstance(recipes, Sequence) or isinstance(recipes, str) or not recipes:
            raise ConfigError(f'OneOf: recipes are a list of configs or names, at least one; they are {recipes!r}')
        weights = [1.0] * len(recipes) if weights is None else list(weights)
        if len(weights) != len(recipes):
            raise ConfigError(f'OneOf: {len(weights)} weights for {len(recipes)} recipes; each needs one')
        if not all(isinstance(weight, (int, float)) and weight >= 0 for weight in weights) or not sum(weights) > 0:
            raise ConfigError(f'OneOf: weights are numbers from 0, not all of them 0; they are {weights!r}')
        self.parts = [None if recipe is None else build_degradation(recipe) for recipe in recipes]
        self.chances = np.asarray(weights, np.float64) / sum(weights)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw 'choice', the index of the recipe, and 'parameters', the parameters of that recipe."""
        choice = int(rng.choice(len(self.parts), p=self.chances))
        part = self.parts[choice]
        return {'choice': choice, 'parameters': {} if part is None else part.sample(rng, shape)}

    def apply(
        self, picture: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1] and the layers of the drawn recipe."""
        part = self.parts[parameters['choice']]
        if part is None:
            return {'lq': to_float(picture).copy()}
        return part.apply(picture, parameters['parameters'], **({'depth': depth} if part.takes_depth else {}))
