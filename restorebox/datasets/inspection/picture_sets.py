"""Listing of the pictures to check, from a config with its pairing or from a folder with a common layout."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restorebox.datasets import pairing as pairings
from restorebox.datasets.base import BasePictures, named_leaves
from restorebox.datasets.inspection.findings import ERROR, WARNING, Finding
from restorebox.datasets.reading import list_pictures
from restorebox.datasets.walking import SkippedFiles
from restorebox.errors import DataError
from restorebox.registry import DATASETS

PARTS = ('train', 'val', 'test')
CLEAN_ROLES = ('gt', 'hq', 'scene')
LAYOUTS = 'train/ and test/ with lq/, gt/ or hq/ inside; trainA/, trainB/, testA/ and testB/; or lq/ and gt/'


@dataclass(frozen=True)
class Picture:
    """A picture on disk: a whole file, or with ``part`` (k, n) the k-th of n equal parts of its width."""

    path: str
    part: tuple[int, int] | None = None


@dataclass
class PictureSet:
    """Pictures and pairs of one data set.

    Args:
        split: 'train', 'val', 'test', 'test.NAME' for a set of a mixture, or 'val, test' if both are the same.
        root: folder of the data set, for messages.
        pairs: (degraded, clean) pictures.
        singles: role -> pictures without a partner.
        severity: severity of an unreadable file: a warning if the data set is configured to skip such files.
        same_size: whether partners must have the same size.
    """

    split: str
    root: str
    pairs: list[tuple[Picture, Picture]] = field(default_factory=list)
    singles: dict[str, list[Picture]] = field(default_factory=dict)
    severity: str = ERROR
    same_size: bool = True

    @property
    def is_training(self) -> bool:
        """Whether the data set is used for training."""
        return self.split.startswith('train')

    def by_role(self) -> dict[str, list[Picture]]:
        """Return role -> pictures without repetition."""
        roles: dict[str, dict[Picture, None]] = {}
        for lq, gt in self.pairs:
            roles.setdefault('lq', {})[lq] = None
            roles.setdefault('gt', {})[gt] = None
        for role, pictures in self.singles.items():
            roles.setdefault(role, {}).update(dict.fromkeys(pictures))
        return {role: list(pictures) for role, pictures in roles.items()}


@dataclass
class Subject:
    """Data sets of a config or folder, with the findings of listing them and notes on what can't be checked."""

    name: str
    sets: list[PictureSet] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def from_config(cfg: Any, name: str, parts: tuple[str, ...] = PARTS) -> Subject:
    """List the data sets of a config; a data set that validation and test share is listed once.

    Args:
        cfg: a config, or a dict with the same keys.
        name: name of the config, for the report.
        parts: prefixes of the data loaders to list.

    Raises:
        ConfigError: contradicting arguments of a data set.
    """
    subject = Subject(name)
    seen: dict[str, PictureSet] = {}
    for part in parts:
        loader = cfg.get(f'{part}_dataloader')
        if not loader:
            continue
        for set_name, leaf in named_leaves(loader['dataset']):
            label = f'{part}.{set_name}' if set_name else part
            kind = DATASETS.get(leaf['type']) if isinstance(leaf['type'], str) else leaf['type']
            if not (isinstance(kind, type) and issubclass(kind, BasePictures)):
                kind_name = getattr(kind, '__name__', leaf['type'])
                subject.notes.append(f'{label}: a {kind_name} does not list picture files, so it was not checked')
                continue
            arguments = {key: value for key, value in leaf.items() if key not in ('pipeline', 'test_mode', 'seed')}
            key = repr(sorted(arguments.items(), key=lambda item: item[0]))
            if key in seen:
                seen[key].split += f', {label}'
                continue
            seen[key] = _add_from_config(subject, leaf, label)
    return subject


def _add_from_config(subject: Subject, leaf: dict, part: str) -> PictureSet:
    dataset = DATASETS.build({**leaf, 'pipeline': [], 'lazy_init': True})
    steps = [step for step in leaf.get('pipeline', ()) if isinstance(step, dict)]
    picture_set = PictureSet(
        part,
        str(Path(dataset.data_root, dataset.split)),
        severity=WARNING if dataset.bad_picture == 'skip' else ERROR,
        same_size=not any(step.get('type') == 'Resize' and step.get('roles') for step in steps),
    )
    subject.sets.append(picture_set)
    try:
        records = dataset.select(dataset.load_data_list())
    except DataError as error:
        subject.findings.append(Finding('pairing', ERROR, part, (picture_set.root,), str(error)))
        for role, folder in dataset.data_prefix.items():
            _add_folder(picture_set, role, Path(folder))
        return picture_set
    for record in records:
        pictures = {
            role: Picture(path, tuple(record['halves'][role]) if 'halves' in record else None)
            for role, path in record['paths'].items()
        }
        if 'lq' in pictures and 'gt' in pictures:
            picture_set.pairs.append((pictures['lq'], pictures['gt']))
            continue
        for role, picture in pictures.items():
            picture_set.singles.setdefault(role, []).append(picture)
    picture_set.singles = {role: list(dict.fromkeys(pictures)) for role, pictures in picture_set.singles.items()}
    return picture_set


def from_folder(folder: Path) -> Subject:
    """List the data sets of a folder with one of the ``LAYOUTS``.

    testA and testB are paired if their file names agree; trainA and trainB are always unpaired.

    Raises:
        DataError: the folder does not exist or has another layout.
    """
    subject = Subject(str(folder))
    for part in PARTS:
        inside = folder / part
        roles = [role for role in ('lq', 'gt', 'hq') if (inside / role).is_dir()]
        if roles:
            _add_from_folders(subject, part, {role: inside / role for role in roles})
        a, b = folder / f'{part}A', folder / f'{part}B'
        if a.is_dir() or b.is_dir():
            paired = part != 'train' and _stems(a) == _stems(b)
            _add_from_folders(subject, part, {'lq': a, 'gt' if paired else 'hq': b})
    if not subject.sets:
        roles = [role for role in ('lq', 'gt', 'hq') if (folder / role).is_dir()]
        if not roles:
            missing = 'no such folder' if not folder.is_dir() else f'it has none of the known layouts: {LAYOUTS}'
            raise DataError(f'{folder}: {missing}')
        _add_from_folders(subject, folder.name, {role: folder / role for role in roles})
    return subject


def _add_from_folders(subject: Subject, part: str, folders: dict[str, Path]) -> None:
    root = next(iter(folders.values())).parent
    picture_set = PictureSet(part, str(root))
    subject.sets.append(picture_set)
    if {'lq', 'gt'} <= set(folders):
        try:
            records = pairings.same_name(folders['lq'], folders['gt'], part)
            picture_set.pairs = [(Picture(r['paths']['lq']), Picture(r['paths']['gt'])) for r in records]
            folders = {role: each for role, each in folders.items() if role not in ('lq', 'gt')}
        except DataError as error:
            subject.findings.append(Finding('pairing', ERROR, part, (str(root),), str(error)))
            clean = {path.stem: path for path in _files(folders['gt'])}
            for path in _files(folders['lq']):
                if path.stem in clean:
                    picture_set.pairs.append((Picture(str(path)), Picture(str(clean[path.stem]))))
    paired = {picture.path for pair in picture_set.pairs for picture in pair}
    for role, folder in folders.items():
        if not _files(folder):
            text = f"split '{part}': {_listing_error(folder)}"
            if not any(text in each.text or str(folder) in each.text for each in subject.findings):
                subject.findings.append(Finding('pairing', ERROR, part, (str(folder),), text))
        _add_folder(picture_set, role, folder, paired)
        skipped = SkippedFiles(strict=True)
        with suppress(DataError):
            list_pictures(folder, skipped=skipped)
        pairings.warn_left_out(skipped, folder, part)


def _add_folder(picture_set: PictureSet, role: str, folder: Path, paired: Collection[str] = ()) -> None:
    """Add the pictures of a folder, except the paired ones; nothing if the folder can't be listed."""
    pictures = [Picture(str(path)) for path in _files(folder) if str(path) not in paired]
    if pictures:
        picture_set.singles.setdefault(role, []).extend(pictures)


def _files(folder: Path) -> list[Path]:
    try:
        return list_pictures(folder)
    except DataError:
        return []


def _listing_error(folder: Path) -> str:
    """Return the reason why no pictures are found in a folder."""
    try:
        list_pictures(folder)
    except DataError as error:
        return str(error)
    return f'{folder}: no pictures in this folder'


def _stems(folder: Path) -> set[str]:
    return {path.stem for path in _files(folder)}
