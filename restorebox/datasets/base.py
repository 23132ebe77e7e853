"""The base of every data set: records of picture files, keyed random draws, unreadable pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from restorebox.datasets.keys import SampleKey, as_key
from restorebox.errors import ConfigError, DataError, PictureError
from restorebox.registry import DATASETS, TRANSFORMS
from restorebox.sample import RestorationSample
from restorebox.values import Samples, Whole

ATTEMPTS = 20  # replacements tried for one unreadable picture; that many in a row means that the folder is broken


class BasePictures(BaseDataset):
    """Base class of data sets: a list of records, each of which names the picture files of one sample.

    A subclass sets :attr:`roles` and writes :meth:`load_data_list`. It takes further arguments before it calls this
    constructor, which reads the list unless ``lazy_init`` is set.

    ``len(dataset)`` is the number of records. ``dataset[key]`` is one sample after the pipeline, for a
    :class:`~restorebox.datasets.keys.SampleKey` (training) or a whole number (test). The same key and seed give the
    same sample, whichever worker or rank asks.

    The pipeline receives a dict with ``paths`` (role -> file), ``name``, ``index`` (of the record), ``key``, ``rng``
    (the generator of all random draws of this sample), ``bad`` (list of 'path: reason') and what else the record has.
    :class:`~restorebox.datasets.transforms.LoadPictures` adds a picture for each role of ``paths``: HWC RGB, uint8, or
    float32 in [0, 1] of files with more than 8 bits. :class:`~restorebox.datasets.transforms.Pack` ends the pipeline.

    Attributes:
        roles: the picture roles that every record gives: ``'lq'`` degraded, ``'gt'`` its clean partner, ``'hq'`` an
            unrelated clean picture, or a layer. A restorer that trains on another role is refused with this data set.
        folders: role -> folder in the split, of a data set in folders; ``data_prefix`` then has their paths.

    Args:
        data_root: folder of the data set.
        split: folder inside of it, '' for none.
        pipeline: transforms or their configs.
        bad_picture: what to do with a file that can't be read. 'error' raises; 'skip' takes another one in training,
            noted in the sample's ``bad``; at test time it gives a sample without inputs, which ``collate_roles`` drops.
        seed: of all random draws; a Runner sets it.
        test_mode: don't replace unreadable pictures.
        lazy_init: don't touch the disk before it is needed.
        limit: keep the first N records.

    Raises:
        ConfigError: ``bad_picture`` or ``limit`` is none of the values above, or the class declares no roles.
    """

    roles: tuple[str, ...] = ()
    folders: dict[str, str] = {}

    def __init__(
        self,
        data_root: str | Path,
        split: str = '',
        pipeline: Sequence[dict | Callable] = (),
        bad_picture: str = 'error',
        seed: Whole = 0,
        test_mode: bool = False,
        lazy_init: bool = False,
        limit: Samples | None = None,
    ) -> None:
        if not self.roles:
            raise ConfigError(f"{type(self).__name__} declares no roles; write e.g. roles = ('lq', 'gt') in the class")
        if bad_picture not in ('error', 'skip'):
            raise ConfigError(f"bad_picture is 'error' or 'skip', not {bad_picture!r}")
        if limit is not None and limit < 1:
            raise ConfigError(f'limit is the number of records to keep, 1 or more, or None; it is {limit}')
        self.split = split
        self.bad_picture = bad_picture
        self.seed = seed
        super().__init__(
            data_root=str(data_root),
            data_prefix={role: os.path.join(split, folder) for role, folder in self.folders.items()},
            indices=limit,
            # built here, since MMEngine's Compose finds our transforms only inside of a Runner's default scope
            pipeline=[TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline],
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    def __getitem__(self, key: int | SampleKey) -> Any:
        """Make one sample. The same key and seed give the same sample, whichever worker or rank asks.

        Raises:
            PictureError: a picture can't be read and ``bad_picture='error'``.
            DataError: nothing readable after many replacements, or pictures that don't fit each other.
        """
        self.full_init()
        key = as_key(key, len(self))
        bad: list[str] = []
        for attempt in range(ATTEMPTS + 1):
            rng = key.rng(self.seed, attempt)
            index = int(rng.integers(len(self))) if attempt else key.index
            results = self.get_data_info(index)
            results.update(index=results.pop('sample_idx'), key=key, rng=rng, bad=bad)
            self.complete(results)
            try:
                return self._through_pipeline(results)
            except PictureError as error:
                if self.bad_picture == 'error':
                    raise
                bad.append(str(error))
            if self.test_mode:  # another picture would be scored in its place: hand out none
                known = {field: results[field] for field in ('name', 'index', 'paths', 'bad')}
                return {'inputs': {}, 'data_samples': RestorationSample(metainfo=known)}
        raise DataError(
            f"split '{self.split}' of {self.data_root}: {len(bad)} pictures in a row can't be read; the last: {bad[-1]}"
        )

    def load_data_list(self) -> list[dict]:
        """List the records, in an order that is the same on every machine.

        Returns:
            For each record ``name`` (unique in the split; scores and restored files are called so) and ``paths``
            (role -> file, for every role of :attr:`roles`). Further keys reach the pipeline as they are; they must be
            plain data, since each worker has a copy.

        Raises:
            DataError: a missing or empty folder, or a picture without a partner.
        """
        raise NotImplementedError

    def filter_data(self) -> list[dict]:
        """See that every record is complete; MMEngine calls it once, after the list is read.

        Raises:
            DataError: no records, or one without a name or without a file for each role.
        """
        kind = type(self).__name__
        if not self.data_list:
            raise DataError(f"split '{self.split}' of {self.data_root}: {kind} lists no pictures")
        for number, record in enumerate(self.data_list):
            missing = [key for key in ('name', 'paths') if key not in record]
            missing += [f'paths.{role}' for role in self.roles if role not in record.get('paths', {})]
            if missing:
                raise DataError(f"{kind}: record {number} of load_data_list has no '{missing[0]}'")
        return self.data_list

    def prepare_data(self, idx: int | SampleKey) -> Any:
        """As in MMEngine: the sample of an index or key after the pipeline."""
        return self[idx]

    def complete(self, results: dict[str, Any]) -> None:
        """Add what a subclass draws at random for each sample, from ``results['rng']``."""

    def _through_pipeline(self, results: dict[str, Any]) -> Any:
        name = results['name']
        sample = self.pipeline(results)
        if sample is None:  # MMEngine's way of asking for another sample, which would not be repeatable
            raise DataError(f"split '{self.split}': a transform of the pipeline returned None for {name}")
        return sample


def leaves(dataset: dict) -> Iterator[dict]:
    """The configs of the data sets inside of wrappers such as MMEngine's ConcatDataset and RepeatDataset."""
    inner = dataset.get('datasets') or dataset.get('dataset')
    if inner is None:
        yield dataset
    for each in [inner] if isinstance(inner, dict) else inner or ():
        yield from leaves(each)


def check_keyed(dataset: dict) -> None:
    """Refuse a data set's config whose class is not derived from :class:`BasePictures`, before it is built.

    A plain torch Dataset or MMEngine's BaseDataset takes an index alone, and knows nothing of roles.

    Raises:
        ConfigError: names the class and the base.
    """
    for leaf in leaves(dataset):
        kind = DATASETS.get(leaf['type']) if isinstance(leaf.get('type'), str) else leaf.get('type')
        if isinstance(kind, type) and not issubclass(kind, BasePictures):
            raise ConfigError(no_base(kind))


def no_base(kind: type) -> str:
    """The line about a class that is no data set of ours."""
    return (
        f"{kind.__name__} can't take the key of a sample, which its random draws depend on; derive it from "
        'restorebox.datasets.BasePictures (docs/add_a_method.md)'
    )
