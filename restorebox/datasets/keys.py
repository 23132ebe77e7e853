"""What a sample's random draws depend on: its key and the seed, not the worker or the rank that makes it."""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np


class SampleKey(NamedTuple):
    """Names one sample of a training run.

    ``index`` is the record in the data set, ``epoch`` the pass over it, ``position`` the place in the endless stream of
    samples that all ranks together consume.
    """

    index: int
    epoch: int = 0
    position: int = 0

    def rng(self, seed: int, attempt: int = 0) -> np.random.Generator:
        """The random number generator of all draws of this sample.

        Args:
            seed: of the run, 0 or more.
            attempt: 0, or the how-manieth replacement of an unreadable picture this is.
        """
        return np.random.default_rng([seed, self.epoch, self.position] + ([attempt] if attempt else []))


def as_key(key: int | SampleKey, length: int) -> SampleKey:
    """A plain index ``i`` (test time) means ``SampleKey(i, 0, i)``; negative ones count from the end.

    Raises:
        IndexError: outside of ``length`` records.
    """
    if not isinstance(key, SampleKey):
        index = operator.index(key)
        index += length if index < 0 else 0
        key = SampleKey(index, 0, index)
    if not 0 <= key.index < length:
        raise IndexError(f'index {key.index} of a data set with {length} records')
    return key
