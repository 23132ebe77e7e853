"""Description of a public data set: facts, parts, and the pairing of its files.

A source says how the set is obtained and what its release looks like; ``restorebox prepare-data NAME`` checks a
download against that and lays it out for the data sets. It is called a source since 'recipe' is a degradation's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from restorebox.datasets.sources.files import File, Made
from restorebox.errors import DataError

Placeable = File | Made


@dataclass(frozen=True)
class Part:
    """Where the files of one role lie in the release.

    ``path`` is a regular expression that must fit the end of '/folder/.../file'. Its groups say who belongs together:
    groups ``key``, ``key2``, ... are what partners share (numbers are compared as numbers, so 007 is 7); groups
    ``name``, ``name2``, ... joined by '_' name the scene, and are taken from the degraded picture only. Without a
    ``name`` the key is the name, without a ``key`` the name is the key.

    Args:
        split: 'train', 'val' or 'test'.
        role: 'lq', 'gt', a layer ('streak', 'transmission', 'airlight', 'depth'), or 'pair': both in one file, side by
            side, left as they are.
        path: see above.
        shown: the path in words, for messages and the documentation.
        optional: the release may come without this role; where a single file of it is there, all must be.
        spare: files of this role that belong to no scene are passed over.
    """

    split: str
    role: str
    path: str
    shown: str
    optional: bool = False
    spare: bool = False


@dataclass
class Scene:
    """One degraded picture and what belongs to it.

    ``files`` are by folder below the split's root: {'train/lq': ..., 'train/gt': ...}. ``background`` is what renders
    of one scene share; splits and draws are by it where that matters.
    """

    split: str
    name: str
    files: dict[str, Placeable]
    background: str = ''


@dataclass
class Choice:
    """What a source keeps: the scenes, and per list name the scenes that were left out."""

    scenes: list[Scene]
    left_out: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """One public data set.

    Args:
        name: of the source, of its config in ``configs/_base_/datasets`` and of its folder below ``data/``.
        title: the set's name in papers.
        task: what it is for, in a word or two.
        paper: authors, title, venue.
        page: address of the official page.
        terms: licence or conditions of use, as far as they are known.
        obtain: how to get it, in a few lines.
        parts: where its files lie.
        counts: split -> published number of scenes in the release.
        kept: split -> number after exclusions or drawing; empty where all are kept.
        also: split -> other numbers that copies of the release are known to have.
        at_most: splits of ``kept`` that may come out smaller.
        pairing: which pictures go together, in words.
        layout: what is written, in words.
        exclusions: what is left out and why.
        facts: where counts and layout are known from.
        unsure: what could not be confirmed.
        drawn: splits are drawn by chance with a seed.
        seed: default of that seed.
        pair: makes scenes of files.
        choose: (source, scenes, seed) -> what is kept, where not everything is.
        crop_clean: clean pictures may be larger than degraded ones, and are then cut to their size about the centre.
    """

    name: str
    title: str
    task: str
    paper: str
    page: str
    terms: str
    obtain: str
    parts: tuple[Part, ...]
    counts: dict[str, int]
    pairing: str
    facts: str
    kept: dict[str, int] = field(default_factory=dict)
    also: dict[str, tuple[int, ...]] = field(default_factory=dict)
    at_most: tuple[str, ...] = ()
    layout: str = '{train,test}/{lq,gt}, partners of the same name'
    exclusions: str = ''
    unsure: str = ''
    drawn: bool = False
    seed: int = 0
    pair: Callable[[Source, list[File]], list[Scene]] | None = None
    choose: Callable[[Source, list[Scene], int], Choice] | None = None
    crop_clean: bool = False

    def scenes(self, files: list[File]) -> list[Scene]:
        """Pair the files of a release.

        Raises:
            DataError: a picture has no partner, or there is none at all; says the split.
        """
        return (self.pair or pair_by_key)(self, files)

    @property
    def expected(self) -> dict[str, int]:
        """Split -> number of scenes that a preparation writes."""
        return {**self.counts, **self.kept} if not self.drawn else self.kept


@dataclass
class Found:
    """Files of one part by their key, and how the degraded ones are called."""

    part: Part
    by_key: dict[tuple[str, ...], list[tuple[str, File]]]

    def __len__(self) -> int:
        return sum(map(len, self.by_key.values()))


def find(part: Part, files: Iterable[File]) -> Found:
    """The files that a part describes.

    Raises:
        DataError: two files of one name.
    """
    pattern = re.compile(part.path + r'$')
    by_key: dict[tuple[str, ...], list[tuple[str, File]]] = {}
    seen: dict[str, File] = {}
    for file in files:
        match = pattern.search(file.path)
        if not match:
            continue
        groups = {k: v for k, v in match.groupdict().items() if v is not None}
        names = [v for k, v in groups.items() if k.startswith('name')]
        keys = [v for k, v in groups.items() if k.startswith('key')]
        name = '_'.join(names or keys)
        if name in seen and part.role in ('lq', 'pair'):
            raise DataError(
                f"split '{part.split}': two pictures are called {name}: {seen[name].path} and {file.path}; "
                'give a folder that holds the set once'
            )
        seen[name] = file
        by_key.setdefault(tuple(plain(k) for k in keys or names), []).append((name, file))
    return Found(part, by_key)


def plain(text: str) -> str:
    """Normalise a key for comparison: numbers without leading zeros."""
    return text.lstrip('0') or '0' if text.isdigit() else text


def pair_by_key(source: Source, files: list[File]) -> list[Scene]:
    """One scene per degraded picture, with the files of the other roles that have its key.

    Raises:
        DataError: there is no degraded picture, or a picture has no partner.
    """
    scenes = []
    for split in dict.fromkeys(part.split for part in source.parts):
        found = {part.role: find(part, files) for part in source.parts if part.split == split}
        first = 'pair' if 'pair' in found else 'lq'
        if not found[first]:
            raise none_found(source, found[first].part)
        others = {r: f for r, f in found.items() if r != first and (f or not f.part.optional)}
        refuse_partnerless(split, found[first], others)
        for key, degraded in found[first].by_key.items():
            layers = {f'{split}/{role}': other.by_key[key][0][1] for role, other in others.items()}
            home = split if first == 'pair' else f'{split}/lq'
            scenes += [Scene(split, name, {home: file, **layers}, '_'.join(key)) for name, file in degraded]
    return scenes


def none_found(source: Source, part: Part) -> DataError:
    """The error of a release in which nothing fits."""
    return DataError(
        f"split '{part.split}' of {source.title}: found 0 pictures, published {source.counts.get(part.split, 'some')}; "
        f'looked for {part.shown}'
    )


def halves_needed(name: str, width: int) -> DataError:
    """The error of a file that should hold two pictures side by side."""
    return DataError(f"{name}: a width of {width} can't be two pictures side by side; one is without a partner")


def refuse_partnerless(split: str, first: Found, others: dict[str, Found]) -> None:
    """Refuse a release that contains pictures without a partner.

    Raises:
        DataError: names the role that is missing and up to 3 of the partnerless.
    """
    for role, other in others.items():
        alone = [f for key, group in first.by_key.items() if key not in other.by_key for _, f in group]
        if alone:
            raise DataError(
                f"split '{split}': {_named(alone)} without a partner; looked for {other.part.shown} ({role})"
            )
        spare = [] if other.part.spare else [f for k, g in other.by_key.items() if k not in first.by_key for _, f in g]
        if spare:
            raise DataError(
                f"split '{split}': {_named(spare)} ({role}) without a partner; looked for {first.part.shown}"
            )


def _named(files: list[File]) -> str:
    more = f' and {len(files) - 3} more' if len(files) > 3 else ''
    return f'{len(files)} picture(s) {", ".join(f.path.lstrip("/") for f in files[:3])}{more}'


def rank(seed: int, name: str) -> str:
    """Key of a deterministic random selection: the SHA-256 of 'SEED:NAME' in UTF-8, as hexadecimal digits.

    The order depends on seed and names alone, so that anybody can draw the same lists again with no code of ours.
    """
    return hashlib.sha256(f'{seed}:{name}'.encode(errors='surrogateescape')).hexdigest()


def draw(names: Iterable[str], count: int, seed: int) -> list[str]:
    """The ``count`` names that stand first by :func:`rank`, in alphabetical order; all where there are fewer."""
    return sorted(sorted(set(names), key=lambda name: rank(seed, name))[:count])
