"""The contract of all degradations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.errors import ConfigError


class BaseDegradation(ABC):
    """An operator and, apart from it, a sampler of its parameters.

    :meth:`apply` is a function of the picture and the parameters alone: it holds no randomness of its own (noise comes
    from a seed among the parameters), so that a stored dict of parameters renders the same bytes again.

    Attributes:
        strength: the parameter that makes it worse as it grows, '-NAME' where less of it is worse, '' where no single
            one does.
        takes_depth: whether :meth:`apply` takes a third argument, ``depth``.
    """

    strength: str = ''
    takes_depth: bool = False

    @abstractmethod
    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw parameters for a picture of ``shape`` (height, width, ...): plain numbers, strings and lists."""

    @abstractmethod
    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade HWC RGB, float32 in [0, 1] or uint8 -> 'lq' (HWC float32 in [0, 1]) and the physics layers used.

        Layers have the picture's height and width.
        """

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        """Draw, then apply -> what :meth:`apply` gives, and 'parameters'."""
        parameters = self.sample(rng, picture.shape)
        return {**self.apply(picture, parameters), 'parameters': parameters}


class RangedDegradation(BaseDegradation):
    """One whose parameters are a number from each of its ranges and, where it draws noise or drops, a seed.

    Attributes:
        ranges: parameter -> (low, high), in the order of the draws.
        seeded: whether a seed is drawn last.
    """

    ranges: dict[str, tuple[float, float]]
    seeded: bool = False

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """One number per range, evenly distributed, and the seed where one is needed."""
        drawn: dict[str, Any] = {name: float(rng.uniform(*ends)) for name, ends in self.ranges.items()}
        if self.seeded:
            drawn['seed'] = draw_seed(rng)
        return drawn


def draw_seed(rng: np.random.Generator) -> int:
    """A seed for a generator that :meth:`BaseDegradation.apply` makes of it."""
    return int(rng.integers(2**31))


def as_range(value: Sequence[float], name: str, lowest: float, highest: float) -> tuple[float, float]:
    """Check a (low, high) pair of a constructor.

    Raises:
        ConfigError: not two numbers in order within [lowest, highest]; names the key.
    """
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    numbers = len(pair) == 2 and all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in pair)
    if not numbers or not lowest <= pair[0] <= pair[1] <= highest:
        raise ConfigError(f'{name} is a pair (low, high) within [{lowest:g}, {highest:g}]; it is {value!r}')
    return float(pair[0]), float(pair[1])


def as_whole_range(value: Sequence[int], name: str, lowest: int, highest: int) -> tuple[int, int]:
    """Check a (low, high) pair of whole numbers of a constructor.

    Raises:
        ConfigError: not two whole numbers in order within [lowest, highest]; names the key.
    """
    low, high = as_range(value, name, lowest, highest)
    if low != int(low) or high != int(high):
        raise ConfigError(f'{name} is a pair of whole numbers; it is {value!r}')
    return int(low), int(high)
