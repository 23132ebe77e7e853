"""Mixtures of data sets: several sets in one, in given shares, with draws that depend on the sample's key only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from restorebox.datasets.base import BasePictures, digest_of
from restorebox.datasets.keys import SampleKey, as_key
from restorebox.errors import ConfigError, printable
from restorebox.registry import DATASETS, nearest
from restorebox.values import NotEmpty, Positive, Samples, Whole

SET_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')
# Added to the numbers that seed a generator, so that its draws differ from those of the sample itself
CHOICE, PASSES = 1_000_003, 1_000_033

Share = Annotated[dict[str, Positive], NotEmpty()]


@DATASETS.register_module()
class ConcatPictures(Dataset):
    """Several named data sets in one, each with its own pipeline.

    In training one of three options sets the shares of the sets. Without one, each set is passed through once an epoch.

    - ``epochs``: passes over a set in one epoch of the mixture. Of 2.5 passes, two are complete. The half is the next
      part of a permutation of the set, so that two epochs of the mixture have each picture five times.
    - ``ratios``: shares of the samples of an epoch, whose length is the number of all records; passes as above.
    - ``weights``: the set of each sample is drawn with these probabilities, and its record uniformly.

    The sampler permutes the samples of an epoch. Set, record and all draws of the pipeline depend on the seed, the
    epoch and the position in the stream only, and not on the number of ranks or workers.

    For validation and test, every picture of every set occurs once, in the order of the sets. Scores are given per set,
    and their mean over the sets, see :class:`~restorebox.metrics.base.RestorationMetric`.

    Each sample's metainfo has the name of its set under ``set`` and the index of its record there under ``index``.

    Args:
        datasets: name -> data set or its config. A name consists of letters, digits, '_', '.' and '-'.
        epochs: name -> number of passes, above 0; 1 for the sets that it does not name.
        ratios: name -> share of the samples, above 0, for every set; only their proportions matter.
        weights: name -> probability, above 0, for every set; only their proportions matter.
        seed: seed of all random draws, also those of the sets; set by a Runner.
        lazy_init: don't read the lists of files before they are needed.

    Raises:
        ConfigError: an invalid name, two options, an option without or with an unknown set, sets of which only some
            have ``test_mode``, an option for sets with ``test_mode``, or a mixture in a mixture.
    """

    def __init__(
        self,
        datasets: Annotated[dict[str, Any], NotEmpty()],
        epochs: Share | None = None,
        ratios: Share | None = None,
        weights: Share | None = None,
        seed: Whole = 0,
        lazy_init: bool = False,
    ) -> None:
        kind = type(self).__name__
        for name in datasets:
            if not SET_NAME.fullmatch(name) or name == 'input':
                raise ConfigError(
                    f"{kind}: a set can't be called {name!r}; use letters, digits, '_', '.' and '-', and not 'input'"
                )
        shares = {'epochs': epochs, 'ratios': ratios, 'weights': weights}
        given = [option for option, value in shares.items() if value is not None]
        if len(given) > 1:
            raise ConfigError(f'{kind}: {" and ".join(given)} contradict each other; give one of them')
        for option in given:
            _check_names(kind, option, shares[option] or {}, datasets)
        self.datasets: dict[str, Any] = {name: _build(each, lazy_init) for name, each in datasets.items()}
        for name, each in self.datasets.items():
            if isinstance(each, ConcatPictures) and not isinstance(each, RepeatPictures):
                raise ConfigError(f"{kind}: the set '{name}' is a mixture; write its sets into the outer one")
            if not isinstance(each, (BasePictures, ConcatPictures)):
                raise ConfigError(
                    f"{kind}: the set '{name}' is a {type(each).__name__}, not derived from "
                    'restorebox.datasets.BasePictures (docs/add_a_method.md)'
                )
        tested = [name for name, each in self.datasets.items() if each.test_mode]
        if len(tested) not in (0, len(self.datasets)):
            other = next(name for name in self.datasets if name not in tested)
            raise ConfigError(f"{kind}: test_mode is set in '{tested[0]}' and not in '{other}'; set it in all or none")
        self.test_mode = bool(tested)
        if self.test_mode and given:
            raise ConfigError(f"{kind}: with test_mode every picture is scored once, so the sets can't have shares")
        self.epochs, self.ratios, self.weights = epochs, ratios, weights
        self._orders: dict[tuple[int, int], np.ndarray] = {}
        self.seed = seed
        if not lazy_init:
            self.full_init()

    @property
    def seed(self) -> int:
        """Seed of all random draws; setting it sets that of the training sets as well."""
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed = seed
        self._orders.clear()
        if not self.test_mode:
            for each in self.datasets.values():
                each.seed = seed

    @property
    def metainfo(self) -> dict[str, Any]:
        """``sets``: pairs of a set's name and its number of records, in their order."""
        return {'sets': [(name, len(each)) for name, each in self.datasets.items()]}

    @property
    def digest(self) -> str:
        """Hash of the records of all sets, see :class:`~restorebox.datasets.base.BasePictures`."""
        return digest_of(f'{name} {each.digest}' for name, each in self.datasets.items())

    @property
    def bad_picture(self) -> str:
        """'skip' if all sets skip unreadable pictures, else 'error'."""
        return 'skip' if all(each.bad_picture == 'skip' for each in self.datasets.values()) else 'error'

    def full_init(self) -> None:
        """Read the lists of files and compute the number of samples of each set in an epoch."""
        for each in self.datasets.values():
            each.full_init()
        sizes = np.array([len(each) for each in self.datasets.values()])
        if self.ratios is not None:
            share = np.array([self.ratios[name] for name in self.datasets], float)
            ends = np.rint(np.cumsum(share / share.sum()) * sizes.sum()).astype(int)
            counts = np.diff(ends, prepend=0)
            if not counts.all():
                name = [*self.datasets][int(counts.argmin())]
                raise ConfigError(f"{type(self).__name__}: ratios give the set '{name}' no sample; use weights instead")
        else:
            passes = [(self.epochs or {}).get(name, 1) for name in self.datasets]
            counts = np.maximum(np.rint(sizes * passes), 1).astype(int)
        self._sizes = [int(size) for size in sizes]
        self._counts = [int(count) for count in counts]
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        """Number of samples in an epoch of the mixture; with ``weights`` that of all records."""
        return int(self._ends[-1])

    def shares(self) -> dict[str, int]:
        """Return name -> number of samples in an epoch; with ``weights`` its mean, rounded."""
        if self.weights is None:
            return dict(zip(self.datasets, self._counts, strict=True))
        total = sum(self.weights.values())
        return {name: round(len(self) * self.weights[name] / total) for name in self.datasets}

    def locate(self, key: int | SampleKey) -> tuple[str, SampleKey]:
        """Return the set of a sample and the key of the sample in it.

        Args:
            key: key of the sampler, or a position for validation and test.

        Raises:
            IndexError: the index is out of range.
        """
        scored = not isinstance(key, SampleKey)
        key = as_key(key, len(self))
        if self.weights is not None:
            rng = np.random.default_rng([self.seed, key.epoch, key.position, CHOICE])
            bounds = np.cumsum([self.weights[name] for name in self.datasets])
            number = int(np.searchsorted(bounds, rng.random() * bounds[-1], side='right'))
            record = int(rng.integers(self._sizes[number]))
        else:
            number = int(np.searchsorted(self._ends, key.index, side='right'))
            record = self._record(number, key.index - int(self._ends[number]) + self._counts[number], key.epoch)
        # a picture that is scored has the draws that it has in its set alone
        position = record if scored else key.position
        return [*self.datasets][number], SampleKey(record, key.epoch, position)

    def _record(self, number: int, place: int, epoch: int) -> int:
        """Return the record at a place of a set's samples of an epoch: first whole passes, then a part of the next."""
        size, count = self._sizes[number], self._counts[number]
        part = count % size
        if place < count - part:
            return place % size
        turn, offset = divmod(epoch * part + place - (count - part), size)
        if (number, turn) not in self._orders:
            for old in [held for held in self._orders if held[0] == number and abs(held[1] - turn) > 1]:
                del self._orders[old]
            rng = np.random.default_rng([self.seed, turn, number, PASSES])
            self._orders[number, turn] = rng.permutation(size)
        return int(self._orders[number, turn][offset])

    def __getitem__(self, key: int | SampleKey) -> Any:
        """Return one sample of a set; it depends only on key and seed.

        Raises:
            PictureError, DataError: see :class:`~restorebox.datasets.base.BasePictures`.
        """
        name, inner = self.locate(key)
        sample = self.datasets[name][inner]
        facts = sample.get('data_samples') if isinstance(sample, dict) else None
        if isinstance(facts, BaseDataElement):
            facts.set_metainfo({'set': name})
        return sample


@DATASETS.register_module()
class RepeatPictures(ConcatPictures):
    """A data set several times in one epoch of training, for sets that are small beside the others of a mixture.

    Args:
        dataset: data set or its config.
        times: number of passes in an epoch, 1 or more.
        seed: seed of all random draws; set by a Runner.
        lazy_init: don't read the list of files before it is needed.

    Raises:
        ConfigError: the data set has ``test_mode``, or is itself one of several sets.
    """

    def __init__(self, dataset: Any, times: Samples, seed: Whole = 0, lazy_init: bool = False) -> None:
        if times < 1:
            raise ConfigError(f'RepeatPictures: times is {times}; it must be 1 or more')
        super().__init__({'repeated': dataset}, {'repeated': times}, seed=seed, lazy_init=lazy_init)

    @property
    def metainfo(self) -> dict[str, Any]:
        """``metainfo`` of the repeated data set."""
        return self.datasets['repeated'].metainfo

    def __getitem__(self, key: int | SampleKey) -> Any:
        """Return one sample of the repeated data set."""
        name, inner = self.locate(key)
        return self.datasets[name][inner]


def leaf_sets(dataset: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the name and the data set of each set inside mixtures; one without mixtures is yielded with ``name``."""
    if isinstance(dataset, ConcatPictures):
        for inner, each in dataset.datasets.items():
            repeated = isinstance(dataset, RepeatPictures)
            yield from leaf_sets(each, name if repeated else inner)
    else:
        yield name, dataset


def describe(dataset: Any) -> list[str]:
    """Return one line per data set with its number of samples and its folder; for a mixture also the shares."""
    lines = []
    for name, leaf in leaf_sets(dataset):
        split = getattr(leaf, 'split', '') or type(leaf).__name__
        which = f'{name}, {split}' if name else split
        lines.append(f'{which}: {len(leaf)} samples in {printable(getattr(leaf, "data_root", "memory"))}')
    if isinstance(dataset, ConcatPictures):
        shares = ', '.join(f'{number} of {name}' for name, number in dataset.shares().items())
        lines.append(f'an epoch of {len(dataset)} samples has{" on average" if dataset.weights else ""} {shares}')
    return lines


def _build(dataset: Any, lazy_init: bool) -> Any:
    if not isinstance(dataset, Mapping):
        return dataset
    if 'type' not in dataset:
        raise ConfigError("a data set needs the key 'type'")
    return DATASETS.build({**dataset, 'lazy_init': lazy_init or dataset.get('lazy_init', False)})


def _check_names(kind: str, option: str, share: Mapping[str, float], datasets: Mapping[str, Any]) -> None:
    for name in share:
        if name not in datasets:
            raise ConfigError(f"{kind}: {option} names '{name}', which is no set of it; {nearest(name, [*datasets])}")
    missing = [name for name in datasets if name not in share]
    if missing and option != 'epochs':
        raise ConfigError(f"{kind}: {option} needs a number for '{missing[0]}' as well")
