"""Base classes of all degradations and checks of their constructor arguments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.errors import ConfigError


class BaseDegradation(ABC):
    """A degradation operator with a separate sampler of its parameters.

    :meth:`apply` is deterministic: it depends only on the picture and the parameters. Noise is generated from a seed
    among the parameters, so a stored parameter dict reproduces the same bytes.

    Attributes:
        strength: name of the parameter that controls the severity; '-NAME' if severity increases as it decreases, ''
            if no single parameter controls it.
        takes_depth: whether :meth:`apply` accepts a third argument, ``depth``.
    """

    strength: str = ''
    takes_depth: bool = False

    @abstractmethod
    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw the parameters for a picture of ``shape`` (height, width, ...): a dict that JSON can store."""

    @abstractmethod
    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade a picture.

        Args:
            picture: HWC RGB, float32 in [0, 1] or uint8.
            parameters: as :meth:`sample` returns them.

        Returns:
            'lq' (HWC float32 in [0, 1]) and the physics layers used, which have the picture's height and width.
        """

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        """Draw parameters and apply them; return the result of :meth:`apply` and 'parameters'."""
        parameters = self.sample(rng, picture.shape)
        return {**self.apply(picture, parameters), 'parameters': parameters}


class RangedDegradation(BaseDegradation):
    """Base of degradations whose parameters are one number per range and, if needed, a random seed.

    Attributes:
        ranges: parameter name -> (low, high), in drawing order.
        seeded: whether a seed is drawn after the ranges.
    """

    ranges: dict[str, tuple[float, float]]
    seeded: bool = False

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw one uniformly distributed number per range, and 'seed' if ``seeded``."""
        drawn: dict[str, Any] = {name: float(rng.uniform(*ends)) for name, ends in self.ranges.items()}
        if self.seeded:
            drawn['seed'] = draw_seed(rng)
        return drawn


def draw_seed(rng: np.random.Generator) -> int:
    """Draw a seed in [0, 2^31) for the generator that :meth:`BaseDegradation.apply` creates."""
    return int(rng.integers(2**31))


def as_range(value: Sequence[float], name: str, lowest: float, highest: float) -> tuple[float, float]:
    """Validate a (low, high) constructor argument and return it as floats.

    Args:
        value: the pair.
        name: class and argument name for the error message.
        lowest: smallest permitted value.
        highest: largest permitted value.

    Raises:
        ConfigError: not two numbers with lowest <= low <= high <= highest.
    """
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    numbers = len(pair) == 2 and all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in pair)
    if not numbers or not lowest <= pair[0] <= pair[1] <= highest:
        raise ConfigError(f'{name} is a pair (low, high) within [{lowest:g}, {highest:g}]; it is {value!r}')
    return float(pair[0]), float(pair[1])


def as_whole_range(value: Sequence[int], name: str, lowest: int, highest: int) -> tuple[int, int]:
    """Validate a (low, high) constructor argument of integers; arguments as in :func:`as_range`.

    Raises:
        ConfigError: not two integers with lowest <= low <= high <= highest.
    """
    low, high = as_range(value, name, lowest, highest)
    if low != int(low) or high != int(high):
        raise ConfigError(f'{name} is a pair of whole numbers; it is {value!r}')
    return int(low), int(high)
