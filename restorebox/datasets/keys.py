"""Keys of samples. The random draws of a sample depend on its key and the seed only, not on worker or rank."""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np


class SampleKey(NamedTuple):
    """Key of one sample of a training run.

    Attributes:
        index: index of the record in the data set.
        epoch: number of the pass over the data set.
        position: position in the infinite stream of samples of all ranks together.
    """

    index: int  # type: ignore[assignment]  # overrides tuple.index, which is not used
    epoch: int = 0
    position: int = 0

    def rng(self, seed: int, attempt: int = 0) -> np.random.Generator:
        """Return the generator for all random draws of this sample.

        Args:
            seed: seed of the run, 0 or more.
            attempt: number of replacements of unreadable pictures so far.
        """
        return np.random.default_rng([seed, self.epoch, self.position] + ([attempt] if attempt else []))


def as_key(key: int | SampleKey, length: int) -> SampleKey:
    """Convert an integer index ``i`` (test time) to ``SampleKey(i, 0, i)``; negative ones count from the end.

    Args:
        key: index or key.
        length: number of records.

    Raises:
        IndexError: the index is out of range.
    """
    if not isinstance(key, SampleKey):
        index = operator.index(key)
        index += length if index < 0 else 0
        key = SampleKey(index, 0, index)
    if not 0 <= key.index < length:
        raise IndexError(f'index {key.index} of a data set with {length} records')
    return key
