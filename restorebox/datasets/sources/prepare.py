"""Prepare a release: check it, link its files in the layout of the data sets, and record random selections; atomic."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from restorebox.datasets.sources.base import Choice, Placeable, Scene, Source, halves_needed
from restorebox.datasets.sources.files import File, Made, check_picture, link, list_files, unpack
from restorebox.errors import ConfigError, DataError
from restorebox.version import __version__

MARK = 'source.json'
UNPACKED = '.unpacked'


def prepare(source: Source, release: Path, to: Path, seed: int | None = None, allow_count: bool = False) -> str:
    """Check a download and lay it out below ``to``.

    Everything happens in ``to`` with '.part' behind its name, which takes the name when all is there.

    Args:
        source: the data set. For a miniature of it, ``dataclasses.replace`` other ``counts`` and ``kept`` into it.
        release: folder with the download: unpacked, or the archives, or both.
        to: folder to write.
        seed: of the drawn splits; None takes the source's.
        allow_count: accept another number of scenes than the published one, which ``source.json`` then says.

    Returns:
        A line that says what was done; also when ``to`` was complete already and nothing was.

    Raises:
        ConfigError: ``to`` holds something else.
        DataError: the release is not as published: names the split and what is wrong.
    """
    seed = source.seed if seed is None else seed
    release, to = Path(release), Path(os.path.abspath(to))
    if os.path.lexists(to):
        return _complete(source, to, seed)
    part = to.with_name(to.name + '.part')
    files = list_files(release, leave_out=(part,))
    scenes = source.scenes(files)
    differs = _check_counts(source, scenes, allow_count)
    choice = source.choose(source, scenes, seed) if source.choose else Choice(scenes)
    _check_kept(source, choice, allow_count)
    _clear(part)
    part.mkdir(parents=True)
    (part / UNPACKED).mkdir()
    try:
        unpack({f: None for s in choice.scenes for what in s.files.values() for f in what.sources()}, part / UNPACKED)
        _place(source, choice.scenes, part)
        _write_lists(source, choice, part, seed)
        shutil.rmtree(part / UNPACKED)
        facts = _facts(source, choice, part, seed, release, differs)
        (part / MARK).write_text(json.dumps(facts, indent=2) + '\n')
        part.rename(to)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return f'{to}: {source.title}, {_numbers(facts["scenes"])}'


def _complete(source: Source, to: Path, seed: int) -> str:
    """The line about a folder that is there already."""
    try:
        facts = json.loads((to / MARK).read_text())
        have = (facts['source'], facts['seed'])
        pictures = dict(facts['pictures'])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f'{to} exists and no data source made it; name a folder that does not exist yet') from None
    if have != (source.name, seed if source.drawn else None):
        raise ConfigError(
            f'{to} holds {have[0]}{f" with seed {have[1]}" if have[1] is not None else ""}, not {source.name}'
            f'{f" with seed {seed}" if source.drawn else ""}; remove it or name another folder'
        )
    now = {folder: _count(to / folder) for folder in pictures}
    for folder, count in pictures.items():
        if now[folder] != count:
            raise DataError(
                f'{to}/{folder} should hold {count} pictures and holds {now[folder]}; remove {to} and repeat'
            )
    return f'{to} is complete ({source.title}, {_numbers(facts["scenes"])}); nothing to do'


def _count(folder: Path) -> int:
    return sum(1 for file in folder.iterdir() if file.is_file()) if folder.is_dir() else 0


def _numbers(scenes: dict[str, int]) -> str:
    return ', '.join(f'{split} {count:,}' for split, count in scenes.items())


def _check_counts(source: Source, scenes: list[Scene], allow: bool) -> dict[str, list[int]]:
    """Compare with the published numbers -> split -> [found, published] where they differ and may."""
    found = Counter(scene.split for scene in scenes)
    differs = {}
    for split, published in source.counts.items():
        if found[split] in (published, *source.also.get(split, ())):
            continue
        if not allow:
            raise DataError(
                f"split '{split}' of {source.title}: found {found[split]} scenes, published {published}"
                f'{_or(source.also.get(split, ()))}; complete it, or add --allow-count for a copy that differs'
            )
        differs[split] = [found[split], published]
    return differs


def _or(others: tuple[int, ...]) -> str:
    return ''.join(f' (or {number})' for number in others)


def _check_kept(source: Source, choice: Choice, allow: bool) -> None:
    kept = Counter(scene.split for scene in choice.scenes)
    for split, expected in source.kept.items():
        if kept[split] != expected and not allow and not (split in source.at_most and 0 < kept[split] < expected):
            raise DataError(
                f"split '{split}' of {source.title}: {kept[split]} scenes are left after "
                f'{"drawing" if source.drawn else "the exclusions"}, published {expected}; '
                'add --allow-count for a copy that differs'
            )


def _clear(part: Path) -> None:
    """Remove what an interrupted preparation left; nothing else."""
    if not os.path.lexists(part):
        return
    if not (part / UNPACKED).is_dir() and not (part / MARK).is_file() and not (part / 'lists').is_dir():
        raise ConfigError(f'{part} is in the way and no data source made it; remove it')
    shutil.rmtree(part)


def _place(source: Source, scenes: list[Scene], part: Path) -> None:
    """Link or write every file and check it. Scenes whose pictures differ in size are refused."""
    placed: dict[tuple, tuple[Path, tuple[int, int]]] = {}
    side_by_side = any(part.role == 'pair' for part in source.parts)
    for folder in {folder for scene in scenes for folder in scene.files}:
        (part / folder).mkdir(parents=True, exist_ok=True)
    for scene in scenes:
        sizes: dict[str, tuple[int, int]] = {}
        for folder, what in scene.files.items():
            if source.crop_clean and folder.endswith('/gt') and isinstance(what, File):
                what = _as_large_as(next(iter(sizes.values())), what)
            target = part / folder / f'{scene.name}{what.suffix}'
            if target.exists():
                raise DataError(f"split '{scene.split}': two scenes are called {scene.name}")
            sizes[folder] = _place_one(what, target, placed)
            if folder == scene.split and side_by_side and sizes[folder][0] % 2:
                raise halves_needed(what.path.lstrip('/'), sizes[folder][0])
        if len(set(sizes.values())) > 1:
            told = ', '.join(f'{folder} {size[0]}x{size[1]}' for folder, size in sizes.items())
            raise DataError(f"split '{scene.split}': pictures of {scene.name} differ in size (width x height): {told}")


def _place_one(what: Placeable, target: Path, placed: dict) -> tuple[int, int]:
    """Put one file in its place; a clean picture that several share is checked, and computed, once."""
    key = what.key if isinstance(what, Made) else (id(what),)
    if key in placed:
        before, size = placed[key]
        if isinstance(what, Made):
            link(before, target, symbolic=False)
        else:
            what.save(target)
        return size
    for file in what.sources() if isinstance(what, Made) else ():
        if file.suffix != '.mat':
            check_picture(file.disk, file.path.lstrip('/'))
    what.save(target)
    name = what.path.lstrip('/') if isinstance(what, File) else target.name
    placed[key] = (target, check_picture(target, name))
    return placed[key][1]


def _as_large_as(size: tuple[int, int], file: File) -> Placeable:
    """A clean picture cut about its centre to the degraded one's size, where it is larger."""
    width, height = check_picture(file.disk, file.path.lstrip('/'))
    if (width, height) == size or width < size[0] or height < size[1]:
        return file
    left, top = (width - size[0]) // 2, (height - size[1]) // 2

    def cut() -> np.ndarray:
        return file.read()[top : top + size[1], left : left + size[0]]

    return Made(('cut', file.path, size), cut, (file,))


def _write_lists(source: Source, choice: Choice, part: Path, seed: int) -> None:
    """``lists/SPLIT.txt`` with the names of all scenes, and what was left out."""
    lists = {split: [s.name for s in choice.scenes if s.split == split] for split in _splits(choice.scenes)}
    lists.update({f'left_out_{name}': names for name, names in choice.left_out.items()})
    (part / 'lists').mkdir()
    how = f', drawn with seed {seed}' if source.drawn else ''
    for name, names in lists.items():
        text = f'# {source.name}: {name}, {len(names)} names{how}\n' + ''.join(f'{n}\n' for n in sorted(names))
        (part / 'lists' / f'{name}.txt').write_text(text, encoding='utf-8', errors='surrogateescape')


def _splits(scenes: list[Scene]) -> list[str]:
    return list(dict.fromkeys(scene.split for scene in scenes))


def _facts(
    source: Source, choice: Choice, part: Path, seed: int, release: Path, differs: dict[str, list[int]]
) -> dict[str, object]:
    """What ``source.json`` says. Of the release only the folder's name: paths tell about the machine."""
    folders = dict.fromkeys(folder for scene in choice.scenes for folder in scene.files)
    return {
        'source': source.name,
        'title': source.title,
        'seed': seed if source.drawn else None,
        'scenes': {split: sum(s.split == split for s in choice.scenes) for split in _splits(choice.scenes)},
        'pictures': {folder: _count(part / folder) for folder in folders},
        'published': source.counts,
        'counts_that_differ': differs,
        'exclusions': source.exclusions,
        'left_out': {name: len(names) for name, names in choice.left_out.items()},
        'from': release.resolve().name,
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
        'restorebox': __version__,
    }
