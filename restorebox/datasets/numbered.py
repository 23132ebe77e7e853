"""Data sets as a run's loaders get them: with its seed, and numbered where they are scored."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from restorebox.datasets.base import check_keyed
from restorebox.errors import DataError
from restorebox.registry import DATASETS


def build_set(dataset: Any, seed: int) -> Any:
    """A data set, listed, with the seed of a run. One of ``test_mode`` stays the same whatever the run's seed is.

    Args:
        dataset: or its config.
        seed: of the run.

    Raises:
        ConfigError: a config of a class that takes no keys, see :func:`~restorebox.datasets.base.check_keyed`.
    """
    if isinstance(dataset, dict):
        check_keyed(dataset)
        dataset = DATASETS.build(dataset)
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    if hasattr(dataset, 'seed') and not getattr(dataset, 'test_mode', False):
        dataset.seed = seed
    return dataset


class Numbered(Dataset):
    """A set to be scored: each sample's ``index`` is its position in this set.

    The data sets inside of a ConcatDataset or RepeatDataset count from 0 each, and scores are told apart by ``index``.

    Args:
        dataset: anything with a length and positions, whose samples are what
            :class:`~restorebox.datasets.transforms.Pack` gives.
    """

    def __init__(self, dataset: Sequence) -> None:
        self.dataset = dataset

    @property
    def metainfo(self) -> dict:
        """The set's own, for MMEngine."""
        return getattr(self.dataset, 'metainfo', {})

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Any:
        """A sample with its position as ``index``.

        Raises:
            DataError: another picture stands in for an unreadable one, as training wants it; its score would count as
                that one's.
        """
        sample = self.dataset[position]
        facts = sample.get('data_samples') if isinstance(sample, dict) else None
        if isinstance(facts, BaseDataElement):
            if facts.get('bad') and sample['inputs']:
                raise DataError(
                    f"{facts.bad[0]}; picture '{facts.name}' would be scored in its place: "
                    'set test_mode=True in the data set'
                )
            facts.set_metainfo({'index': operator.index(position)})
        return sample
