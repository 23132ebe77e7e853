"""Preparation of a data set: check a release, link its files in the layout of the configs, record the selection."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from restorebox.datasets.sources.base import AnyFile, Scene, Selection, Source, odd_width_error
from restorebox.datasets.sources.files import ComputedPicture, File, check_picture, link, list_files, unpack
from restorebox.errors import ConfigError, DataError
from restorebox.version import __version__

RECORD = 'source.json'
UNPACKED = '.unpacked'


def prepare(source: Source, release: Path, to: Path, seed: int | None = None, allow_count: bool = False) -> str:
    """Check a download and write the prepared data set to a folder.

    The folder is written atomically: it is called ``to`` + '.part' until it is complete.

    Args:
        source: the data set. For a miniature of it, replace ``counts`` and ``kept`` with ``dataclasses.replace``.
        release: folder with the download: unpacked, as archives, or both.
        to: folder to write.
        seed: seed of randomly selected splits; None for that of the source.
        allow_count: accept a number of scenes that differs from the published one, and record it in ``source.json``.

    Returns:
        One line for the user. If ``to`` is complete already, it says so and nothing is written.

    Raises:
        ConfigError: ``to`` exists and contains something else.
        DataError: the release differs from the published one; names the split and the difference.
    """
    seed = source.seed if seed is None else seed
    release, to = Path(release), Path(os.path.abspath(to))
    if os.path.lexists(to):
        return _check_existing(source, to, seed)
    part = to.with_name(to.name + '.part')
    files = list_files(release, leave_out=(part,))
    scenes = source.scenes(files)
    differs = _check_counts(source, scenes, allow_count)
    selection = source.select(source, scenes, seed) if source.select else Selection(scenes)
    _check_kept(source, selection, allow_count)
    _remove_partial(part)
    part.mkdir(parents=True)
    (part / UNPACKED).mkdir()
    try:
        needed = {f: None for s in selection.scenes for file in s.files.values() for f in file.inputs()}
        unpack(needed, part / UNPACKED)
        _save_files(source, selection.scenes, part)
        _write_lists(source, selection, part, seed)
        shutil.rmtree(part / UNPACKED)
        record = _record(source, selection, part, seed, release, differs)
        (part / RECORD).write_text(json.dumps(record, indent=2) + '\n')
        part.rename(to)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return f'{to}: {source.title}, {_counts_text(record["scenes"])}'


def _check_existing(source: Source, to: Path, seed: int) -> str:
    """Check a folder that was prepared before, and return one line for the user.

    Raises:
        ConfigError: no prepared folder, or that of another source or seed.
        DataError: pictures are missing.
    """
    try:
        record = json.loads((to / RECORD).read_text())
        existing = (record['source'], record['seed'])
        pictures = dict(record['pictures'])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f'{to} exists and was not made by prepare-data; give a folder that does not exist') from None
    if existing != (source.name, seed if source.drawn else None):
        raise ConfigError(
            f'{to} contains {existing[0]}{f" with seed {existing[1]}" if existing[1] is not None else ""}, '
            f'not {source.name}{f" with seed {seed}" if source.drawn else ""}; remove it or give another folder'
        )
    for folder, count in pictures.items():
        found = _number_of_files(to / folder)
        if found != count:
            raise DataError(f'{to}/{folder}: expected {count} pictures, found {found}; remove {to} and repeat')
    return f'{to} is complete ({source.title}, {_counts_text(record["scenes"])}); nothing to do'


def _number_of_files(folder: Path) -> int:
    return sum(1 for file in folder.iterdir() if file.is_file()) if folder.is_dir() else 0


def _counts_text(scenes: dict[str, int]) -> str:
    return ', '.join(f'{split} {count:,}' for split, count in scenes.items())


def _check_counts(source: Source, scenes: list[Scene], allow: bool) -> dict[str, list[int]]:
    """Compare the numbers of scenes with the published ones.

    Returns:
        split -> [found, published] where they differ; empty unless differences are allowed.
    """
    found = Counter(scene.split for scene in scenes)
    differs = {}
    for split, published in source.counts.items():
        others = source.other_counts.get(split, ())
        if found[split] in (published, *others):
            continue
        if not allow:
            alternatives = ''.join(f' (or {number})' for number in others)
            raise DataError(
                f"split '{split}' of {source.title}: found {found[split]} scenes, published {published}{alternatives}; "
                'complete it, or add --allow-count for a copy that differs'
            )
        differs[split] = [found[split], published]
    return differs


def _check_kept(source: Source, selection: Selection, allow: bool) -> None:
    kept = Counter(scene.split for scene in selection.scenes)
    for split, expected in source.kept.items():
        if kept[split] != expected and not allow and not (split in source.at_most and 0 < kept[split] < expected):
            raise DataError(
                f"split '{split}' of {source.title}: {kept[split]} scenes are left after "
                f'{"random selection" if source.drawn else "the exclusions"}, published {expected}; '
                'add --allow-count for a copy that differs'
            )


def _remove_partial(part: Path) -> None:
    """Remove the folder of an interrupted preparation.

    Raises:
        ConfigError: the folder contains something else.
    """
    if not os.path.lexists(part):
        return
    if not (part / UNPACKED).is_dir() and not (part / RECORD).is_file() and not (part / 'lists').is_dir():
        raise ConfigError(f'{part} exists and was not made by prepare-data; remove it')
    shutil.rmtree(part)


def _save_files(source: Source, scenes: list[Scene], part: Path) -> None:
    """Link or write every file, and check it.

    Raises:
        DataError: a damaged file, pictures of one scene that differ in size, or two scenes with the same name.
    """
    saved: dict[tuple, tuple[Path, tuple[int, int]]] = {}
    side_by_side = any(part.role == 'pair' for part in source.parts)
    for folder in {folder for scene in scenes for folder in scene.files}:
        (part / folder).mkdir(parents=True, exist_ok=True)
    for scene in scenes:
        sizes: dict[str, tuple[int, int]] = {}
        for folder, file in scene.files.items():
            if source.crop_clean and folder.endswith('/gt') and isinstance(file, File):
                file = _cropped(file, next(iter(sizes.values())))
            target = part / folder / f'{scene.name}{file.suffix}'
            if target.exists():
                raise DataError(f"split '{scene.split}': two scenes are called {scene.name}")
            sizes[folder] = _save_file(file, target, saved)
            if folder == scene.split and side_by_side and sizes[folder][0] % 2:
                name = file.path.lstrip('/') if isinstance(file, File) else scene.name
                raise odd_width_error(name, sizes[folder][0])
        if len(set(sizes.values())) > 1:
            text = ', '.join(f'{folder} {size[0]}x{size[1]}' for folder, size in sizes.items())
            raise DataError(f"split '{scene.split}': pictures of {scene.name} differ in size (width x height): {text}")


def _save_file(file: AnyFile, target: Path, saved: dict[tuple, tuple[Path, tuple[int, int]]]) -> tuple[int, int]:
    """Save one file and return its (width, height); a file that several scenes share is checked and computed once."""
    key = file.key if isinstance(file, ComputedPicture) else (id(file),)
    if key in saved:
        existing, size = saved[key]
        if isinstance(file, ComputedPicture):
            link(existing, target, symbolic=False)
        else:
            file.save(target)
        return size
    if isinstance(file, ComputedPicture):
        for each in file.inputs():
            if each.suffix != '.mat':
                check_picture(each.on_disk(), each.path.lstrip('/'))
    file.save(target)
    name = file.path.lstrip('/') if isinstance(file, File) else target.name
    saved[key] = (target, check_picture(target, name))
    return saved[key][1]


def _cropped(file: File, size: tuple[int, int]) -> AnyFile:
    """Return a clean picture cropped about its centre to (width, height); unchanged if it is not larger."""
    width, height = check_picture(file.on_disk(), file.path.lstrip('/'))
    if (width, height) == size or width < size[0] or height < size[1]:
        return file
    left, top = (width - size[0]) // 2, (height - size[1]) // 2

    def crop() -> np.ndarray:
        return file.read()[top : top + size[1], left : left + size[0]]

    return ComputedPicture(('cropped', file.path, size), crop, (file,))


def _write_lists(source: Source, selection: Selection, part: Path, seed: int) -> None:
    """Write ``lists/SPLIT.txt`` with the names of all scenes, and ``lists/left_out_NAME.txt``."""
    lists = {split: [s.name for s in selection.scenes if s.split == split] for split in _splits(selection.scenes)}
    lists.update({f'left_out_{name}': names for name, names in selection.left_out.items()})
    (part / 'lists').mkdir()
    seed_text = f', drawn with seed {seed}' if source.drawn else ''
    for name, names in lists.items():
        text = f'# {source.name}: {name}, {len(names)} names{seed_text}\n' + ''.join(f'{n}\n' for n in sorted(names))
        (part / 'lists' / f'{name}.txt').write_text(text, encoding='utf-8', errors='surrogateescape')


def _splits(scenes: list[Scene]) -> list[str]:
    return list(dict.fromkeys(scene.split for scene in scenes))


def _record(
    source: Source, selection: Selection, part: Path, seed: int, release: Path, differs: dict[str, list[int]]
) -> dict[str, Any]:
    """Return the content of ``source.json``; it has only the name of the release folder, not its private path."""
    folders = dict.fromkeys(folder for scene in selection.scenes for folder in scene.files)
    return {
        'source': source.name,
        'title': source.title,
        'seed': seed if source.drawn else None,
        'scenes': {split: sum(s.split == split for s in selection.scenes) for split in _splits(selection.scenes)},
        'pictures': {folder: _number_of_files(part / folder) for folder in folders},
        'published': source.counts,
        'counts_that_differ': differs,
        'exclusions': source.exclusions,
        'left_out': {name: len(names) for name, names in selection.left_out.items()},
        'from': release.resolve().name,
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
        'restorebox': __version__,
    }
