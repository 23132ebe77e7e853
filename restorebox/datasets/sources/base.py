"""Description of a public data set: references, parts of the release, counts, and the pairing of its files.

``restorebox prepare-data NAME`` checks a download against the description and arranges it for the configs. The
description is called a source, because 'recipe' means the description of a degradation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from restorebox.datasets.sources.files import ComputedPicture, File
from restorebox.errors import DataError

AnyFile = File | ComputedPicture


@dataclass(frozen=True)
class Part:
    """Files of one role in the release.

    ``path`` is a regular expression that must match the end of '/folder/.../file'. Files whose groups ``key``,
    ``key2``, ... are equal belong together; numbers are compared as numbers, so 007 equals 7. The groups ``name``,
    ``name2``, ... of the degraded picture, joined by '_', are the name of the scene. If one kind of group is missing,
    the other is used for both.

    Args:
        split: 'train', 'val' or 'test'.
        role: 'lq', 'gt', a layer ('streak', 'transmission', 'airlight', 'depth'), or 'pair' for files with both
            pictures side by side, which are left unchanged.
        path: see above.
        example: example of a path, for messages and the documentation.
        optional: the release may lack this role; if it has any file of it, all are required.
        allow_unmatched: ignore files of this role that belong to no scene.
    """

    split: str
    role: str
    path: str
    example: str
    optional: bool = False
    allow_unmatched: bool = False


@dataclass
class Scene:
    """A degraded picture and the files that belong to it.

    Args:
        split: the split.
        name: file name in the prepared folders, without suffix.
        files: folder below the output folder -> file: {'train/lq': ..., 'train/gt': ...}.
        background: identifies the clean scene, which several degraded pictures may share. Splits by background use it.
    """

    split: str
    name: str
    files: dict[str, AnyFile]
    background: str = ''

    def release_file(self, folder: str) -> File:
        """Return a file of the release, which :meth:`Source.scenes` has not replaced by a computed picture."""
        file = self.files[folder]
        assert isinstance(file, File), f'{folder} of {self.name} is a computed picture'
        return file


@dataclass
class Selection:
    """Selected scenes, and list name -> names of the scenes that were left out."""

    scenes: list[Scene]
    left_out: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Description of a public data set.

    Args:
        name: name of the source, of its config in ``configs/_base_/datasets`` and of its folder below ``data/``.
        title: name of the data set in papers.
        task: the degradation, in a few words.
        paper: authors, title, venue.
        page: address of the official page.
        terms: licence or conditions of use, as far as known.
        obtain: instructions to obtain it, in a few lines.
        parts: the files of the release.
        counts: split -> published number of scenes in the release.
        kept: split -> number of scenes after exclusions or random selection; empty if all are kept.
        other_counts: split -> other numbers that known copies of the release have.
        at_most: splits for which ``kept`` is an upper limit.
        pairing: description of which pictures are paired.
        layout: description of the prepared folders.
        exclusions: what is left out, and why.
        references: where counts and layout were taken from.
        unconfirmed: what could not be confirmed.
        drawn: whether the splits are selected at random, with a seed.
        seed: default seed.
        pair: function that pairs the files of the release; None for :func:`pair_by_key`.
        select: function (source, scenes, seed) -> selection; None to keep all scenes.
        crop_clean: crop clean pictures about the centre to the size of the degraded ones, if they are larger.
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
    references: str
    kept: dict[str, int] = field(default_factory=dict)
    other_counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    at_most: tuple[str, ...] = ()
    layout: str = '{train,test}/{lq,gt}, partners of the same name'
    exclusions: str = ''
    unconfirmed: str = ''
    drawn: bool = False
    seed: int = 0
    pair: Callable[[Source, list[File]], list[Scene]] | None = None
    select: Callable[[Source, list[Scene], int], Selection] | None = None
    crop_clean: bool = False

    def scenes(self, files: list[File]) -> list[Scene]:
        """Pair the files of a release.

        Raises:
            DataError: no files, or a picture without a partner; names the split.
        """
        return (self.pair or pair_by_key)(self, files)

    @property
    def expected(self) -> dict[str, int]:
        """Split -> number of scenes in the prepared folders."""
        return {**self.counts, **self.kept} if not self.drawn else self.kept


@dataclass
class MatchedFiles:
    """Files of one part: key -> list of (scene name, file)."""

    part: Part
    by_key: dict[tuple[str, ...], list[tuple[str, File]]]

    def __len__(self) -> int:
        return sum(map(len, self.by_key.values()))


def match_files(part: Part, files: Iterable[File]) -> MatchedFiles:
    """Return the files that belong to a part.

    Raises:
        DataError: two files with the same name.
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
                'give a folder that contains the set only once'
            )
        seen[name] = file
        by_key.setdefault(tuple(normalise_key(k) for k in keys or names), []).append((name, file))
    return MatchedFiles(part, by_key)


def normalise_key(text: str) -> str:
    """Remove the leading zeros of a number; return other text unchanged."""
    return text.lstrip('0') or '0' if text.isdigit() else text


def pair_by_key(source: Source, files: list[File]) -> list[Scene]:
    """Return one scene per degraded picture, with the files of the other roles that have the same key.

    Raises:
        DataError: no degraded pictures, or a picture without a partner.
    """
    scenes = []
    for split in dict.fromkeys(part.split for part in source.parts):
        matched = {part.role: match_files(part, files) for part in source.parts if part.split == split}
        first = 'pair' if 'pair' in matched else 'lq'
        if not matched[first]:
            raise no_files_error(source, matched[first].part)
        others = {r: m for r, m in matched.items() if r != first and (m or not m.part.optional)}
        check_partners(split, matched[first], others)
        for key, degraded in matched[first].by_key.items():
            layers: dict[str, AnyFile] = {f'{split}/{role}': m.by_key[key][0][1] for role, m in others.items()}
            folder = split if first == 'pair' else f'{split}/lq'
            scenes += [Scene(split, name, {folder: file, **layers}, '_'.join(key)) for name, file in degraded]
    return scenes


def no_files_error(source: Source, part: Part) -> DataError:
    """Return the error for a release without any file of a part."""
    return DataError(
        f"split '{part.split}' of {source.title}: found 0 pictures, published {source.counts.get(part.split, 'some')}; "
        f'looked for {part.example}'
    )


def odd_width_error(name: str, width: int) -> DataError:
    """Return the error for a file that should contain two pictures side by side but has an odd width."""
    return DataError(f"{name}: a width of {width} can't be two pictures side by side; one is without a partner")


def check_partners(split: str, first: MatchedFiles, others: dict[str, MatchedFiles]) -> None:
    """Check that each picture has a partner in every other role, and the reverse.

    Raises:
        DataError: a picture without a partner; names the missing role and up to 3 of the pictures.
    """
    for role, other in others.items():
        alone = [f for key, group in first.by_key.items() if key not in other.by_key for _, f in group]
        if alone:
            raise DataError(
                f"split '{split}': {_file_list(alone)} without a partner; looked for {other.part.example} ({role})"
            )
        if other.part.allow_unmatched:
            continue
        unmatched = [f for key, group in other.by_key.items() if key not in first.by_key for _, f in group]
        if unmatched:
            raise DataError(
                f"split '{split}': {_file_list(unmatched)} ({role}) without a partner; looked for {first.part.example}"
            )


def _file_list(files: list[File]) -> str:
    more = f' and {len(files) - 3} more' if len(files) > 3 else ''
    return f'{len(files)} picture(s) {", ".join(f.path.lstrip("/") for f in files[:3])}{more}'
