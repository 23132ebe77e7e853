"""Construction of data sets for a run, and numbering of samples to be scored."""

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
    """Build a data set, read its list of records and set its seed; with ``test_mode`` it keeps its own seed.

    Args:
        dataset: a data set or its config.
        seed: seed of the run.

    Raises:
        ConfigError: see :func:`~restorebox.datasets.base.check_keyed`.
    """
    if isinstance(dataset, dict):
        check_keyed(dataset)
        dataset = DATASETS.build(dataset)
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    if hasattr(dataset, 'seed') and not getattr(dataset, 'test_mode', False):
        dataset.seed = seed
    return dataset


def sets_of(dataset: Any) -> list[tuple[str, int]]:
    """Return the name and the number of pictures of each set of a mixture, in their order; else an empty list."""
    return list(getattr(dataset, 'metainfo', {}).get('sets', ()))


class Numbered(Dataset):
    """Wrapper for scoring that sets each sample's ``index`` to its position in the whole set.

    Metrics identify samples by ``index``, but each data set inside a ConcatPictures counts from 0.

    Args:
        dataset: sequence of samples as returned by :class:`~restorebox.datasets.transforms.Pack`.
    """

    def __init__(self, dataset: Sequence) -> None:
        self.dataset = dataset

    @property
    def metainfo(self) -> dict:
        """``metainfo`` of the wrapped data set, read by MMEngine."""
        return getattr(self.dataset, 'metainfo', {})

    @property
    def bad_picture(self) -> str:
        """``bad_picture`` of the wrapped data set."""
        return getattr(self.dataset, 'bad_picture', 'error')

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Any:
        """Return a sample with its position as ``index``.

        Raises:
            DataError: the data set replaced an unreadable picture, whose score would then be that of another picture.
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
