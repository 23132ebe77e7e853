"""Base class of all data sets: records of picture files, deterministic random draws, handling of unreadable files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from restorebox.datasets.keys import SampleKey, as_key
from restorebox.datasets.subsets import select
from restorebox.errors import ConfigError, DataError, PictureError
from restorebox.registry import DATASETS, TRANSFORMS
from restorebox.sample import RestorationSample
from restorebox.values import Fraction, Samples, Whole

ATTEMPTS = 20  # maximum number of replacements for an unreadable picture


class BasePictures(BaseDataset):
    """Base class of data sets with a list of records; each record names the picture files of one sample.

    A subclass sets :attr:`roles` and implements :meth:`load_data_list`. Its constructor stores its own arguments and
    then calls this constructor, which reads the list unless ``lazy_init`` is set.

    ``len(dataset)`` is the number of records. ``dataset[key]`` is one sample after the pipeline, for a
    :class:`~restorebox.datasets.keys.SampleKey` (training) or an integer (test). The sample depends only on key and
    seed, not on worker or rank.

    The pipeline receives a dict with ``paths`` (role -> file), ``name``, ``index`` (of the record), ``key``, ``rng``
    (generator of all random draws of this sample), ``bad`` (list of 'path: reason') and further keys of the record.
    :class:`~restorebox.datasets.transforms.LoadPictures` adds a picture for each role of ``paths``: HWC RGB, uint8, or
    float32 in [0, 1] for files with more than 8 bits. :class:`~restorebox.datasets.transforms.Pack` is the last step.

    Attributes:
        roles: picture roles of every record: ``'lq'`` degraded, ``'gt'`` its clean counterpart, ``'hq'`` an unrelated
            clean picture, or a physics layer. A restorer that needs other roles can't be combined with this data set.
        folders: role -> folder in the split, for data sets in folders; ``data_prefix`` contains their paths.

    Args:
        data_root: folder of the data set.
        split: sub-folder of ``data_root``, '' for none.
        pipeline: transforms or their configs.
        bad_picture: handling of unreadable files. 'error' raises an error. 'skip' replaces the sample by another one in
            training and records the file in the sample's ``bad``; at test time the sample has no inputs and
            ``collate_roles`` drops it.
        seed: seed of all random draws; set by a Runner.
        test_mode: don't replace unreadable pictures.
        lazy_init: don't read the list of files before it is needed.
        limit: keep the first N records.
        names: keep the records that a text file names, see :func:`restorebox.datasets.subsets.select`. A relative path
            is below ``data_root``.
        fraction: keep this fraction of the records, the same ones each time.

    Raises:
        ConfigError: ``bad_picture``, ``limit`` or ``fraction`` is invalid, or the class declares no roles.
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
        names: str | Path | None = None,
        fraction: Fraction | None = None,
    ) -> None:
        if not self.roles:
            raise ConfigError(f"{type(self).__name__} declares no roles; write e.g. roles = ('lq', 'gt') in the class")
        if bad_picture not in ('error', 'skip'):
            raise ConfigError(f"bad_picture is 'error' or 'skip', not {bad_picture!r}")
        if limit is not None and limit < 1:
            raise ConfigError(f'limit is the number of records to keep, 1 or more, or None; it is {limit}')
        if fraction is not None and not 0 < fraction <= 1:
            raise ConfigError(f'fraction is {fraction}; it must be above 0 and at most 1, or None')
        self.names = None if names is None else str(Path(data_root, names))
        self.fraction = fraction
        self.limit = limit
        self.split = split
        self.bad_picture = bad_picture
        self.seed = seed
        super().__init__(
            data_root=str(data_root),
            data_prefix={role: os.path.join(split, folder) for role, folder in self.folders.items()},
            # built here, since MMEngine's Compose finds our transforms only within the default scope of a Runner
            pipeline=[TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline],
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    def __getitem__(self, key: int | SampleKey) -> Any:
        """Return one sample; it depends only on key and seed.

        Raises:
            PictureError: a picture can't be read and ``bad_picture='error'``.
            DataError: all replacements are unreadable too, or the pictures of the sample don't match.
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
            if self.test_mode:  # a replacement would be scored instead
                known = {field: results[field] for field in ('name', 'index', 'paths', 'bad')}
                return {'inputs': {}, 'data_samples': RestorationSample(metainfo=known)}
        raise DataError(f"{self.place}: {len(bad)} pictures in a row can't be read; the last: {bad[-1]}")

    def load_data_list(self) -> list[dict]:
        """List the records in an order that does not depend on the machine.

        Returns:
            Dicts with ``name`` (unique in the split; used for scores and restored files) and ``paths`` (role -> file,
            for every role of :attr:`roles`). Further keys are passed to the pipeline; they must be plain data, since
            each worker has a copy.

        Raises:
            DataError: a folder is missing or empty, or a picture has no counterpart.
        """
        raise NotImplementedError

    def filter_data(self) -> list[dict]:
        """Check that every record is complete; called once by MMEngine after the list is read.

        Raises:
            DataError: no records, or one without a name or without a file for each role.
        """
        kind = type(self).__name__
        if not self.data_list:
            raise DataError(f'{self.place}: {kind} lists no pictures')
        for number, record in enumerate(self.data_list):
            missing = [key for key in ('name', 'paths') if key not in record]
            missing += [f'paths.{role}' for role in self.roles if role not in record.get('paths', {})]
            if missing:
                raise DataError(f"{kind}: record {number} of load_data_list has no '{missing[0]}'")
        records = self.select(self.data_list)
        self._digest = digest_of(
            f'{r["name"]} {[os.path.basename(str(path)) for path in r["paths"].values()]}' for r in records
        )
        return records

    @property
    def place(self) -> str:
        """The set's name in messages: folder, and split if it has one."""
        return f"split '{self.split}' of {self.data_root}" if self.split else str(self.data_root)

    @property
    def digest(self) -> str:
        """Hash of the names of all records in their order, without folders: tells whether a set has changed."""
        self.full_init()
        return self._digest

    def select(self, records: list[dict]) -> list[dict]:
        """Return the records of the subset that ``names``, ``fraction`` and ``limit`` select.

        Raises:
            DataError: see :func:`restorebox.datasets.subsets.select`.
        """
        return select(records, self.place, self.names, self.fraction)[: self.limit]

    def prepare_data(self, idx: int | SampleKey) -> Any:
        """Return the sample of an index or key after the pipeline, as in MMEngine."""
        return self[idx]

    def complete(self, results: dict[str, Any]) -> None:
        """Add randomly drawn entries to a sample, using ``results['rng']``; for subclasses."""

    def _through_pipeline(self, results: dict[str, Any]) -> Any:
        name = results['name']
        sample = self.pipeline(results)
        if sample is None:  # in MMEngine a request for another sample, which would not be deterministic
            raise DataError(f'{self.place}: a transform of the pipeline returned None for {name}')
        return sample


def digest_of(texts: Iterable[str]) -> str:
    """Return 16 hexadecimal digits of a hash of texts in their order."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode('utf-8', 'surrogateescape') + b'\n')
    return found.hexdigest()[:16]


def leaves(dataset: dict) -> Iterator[dict]:
    """Yield the configs of the data sets inside mixtures."""
    for _, leaf in named_leaves(dataset):
        yield leaf


def named_leaves(dataset: dict, name: str = '') -> Iterator[tuple[str, dict]]:
    """Yield the name and the config of each data set inside ConcatPictures and RepeatPictures; '' without a name."""
    inner = dataset.get('datasets')
    if isinstance(inner, dict):
        for key, each in inner.items():
            yield from named_leaves(each, key)
    elif isinstance(dataset.get('dataset'), dict):
        yield from named_leaves(dataset['dataset'], name)
    else:
        yield name, dataset


def check_keyed(dataset: dict) -> None:
    """Check, before it is built, that the class in a data set's config is derived from :class:`BasePictures`.

    A plain torch Dataset or MMEngine's BaseDataset accepts only integer indices and has no roles.

    Raises:
        ConfigError: the class has another base.
    """
    for leaf in leaves(dataset):
        kind = DATASETS.get(leaf['type']) if isinstance(leaf.get('type'), str) else leaf.get('type')
        if isinstance(kind, type) and not issubclass(kind, BasePictures):
            raise ConfigError(no_base(kind))


def no_base(kind: type) -> str:
    """Return the error message for a class that is not derived from :class:`BasePictures`."""
    return (
        f"{kind.__name__} doesn't accept a SampleKey, which determines the random draws of a sample; derive it from "
        'restorebox.datasets.BasePictures (docs/add_a_method.md)'
    )
