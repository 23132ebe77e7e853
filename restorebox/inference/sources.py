"""What to restore: files, folders and glob patterns -> files, and where each goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from restorebox.datasets.reading import PICTURE_SUFFIXES, list_pictures
from restorebox.errors import DataError
from restorebox.inference.files import target_name
from restorebox.inference.video import CONTAINERS, VIDEO_SUFFIXES, is_video


@dataclass(frozen=True)
class RestoreJob:
    """A picture or a clip to restore: ``source`` -> ``target``."""

    source: Path
    target: Path


def find_pictures(
    sources: str | os.PathLike | Iterable[str | os.PathLike], videos: bool = False
) -> list[tuple[Path, Path]]:
    """The picture files that files, folders (with sub-folders) and glob patterns (``**`` for sub-folders) name.

    Args:
        sources: one or several.
        videos: find them in folders and by patterns as well.

    Returns:
        (path, path below the folder or below the pattern's fixed part), sorted by name within each source, none twice.
        A file that is named itself is taken whether it exists or not, so that it is missed where it is read.

    Raises:
        DataError: a folder without pictures, a pattern that fits none.
    """
    suffixes = (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES) if videos else PICTURE_SUFFIXES
    found: dict[Path, Path] = {}
    for source in [sources] if isinstance(sources, (str, os.PathLike)) else sources:
        path = Path(source)
        if path.is_dir():
            pairs = [(each, each.relative_to(path)) for each in list_pictures(path, True, suffixes)]
        elif glob.has_magic(str(source)) and not path.exists():
            pairs = _matches(str(source), suffixes)
        else:
            pairs = [(path, Path(path.name))]
        for each, below in pairs:
            found.setdefault(each, below)
    return list(found.items())


def _matches(pattern: str, suffixes: tuple[str, ...]) -> list[tuple[Path, Path]]:
    parts = Path(pattern).parts
    fixed = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))
    files = [file for file in files if file.is_file() and file.suffix.lower() in suffixes]
    if not files:
        raise DataError(f'{pattern}: no picture fits this pattern (looked for {" ".join(suffixes)})')
    return [(file, file.relative_to(fixed)) for file in files]


def _target(name: str) -> str:
    """A clip's own name, with ``.mkv`` behind it where that is a container that we don't write; else a picture's."""
    if is_video(name):
        return name if Path(name).suffix.lower() in CONTAINERS else f'{name}.mkv'
    return target_name(name)


def plan_jobs(sources: str | os.PathLike | Iterable[str | os.PathLike], out: str | Path) -> list[RestoreJob]:
    """Where each picture or clip goes; what lies in ``out`` already is no source.

    Raises:
        DataError: see :func:`find_pictures`; or two pictures for one place, or one for its own.
    """
    home = Path(out).resolve()
    jobs: dict[Path, RestoreJob] = {}
    found = find_pictures(sources, videos=True)
    for source, below in found:
        target = Path(out) / below.with_name(_target(below.name))
        if source.resolve() == target.resolve():
            raise DataError(f'{source} would be written over itself; take another folder than {out}')
        if home in source.resolve().parents:
            continue
        if target in jobs:
            raise DataError(
                f'{jobs[target].source} and {source} would both become {target}; restore them into two folders'
            )
        jobs[target] = RestoreJob(source, target)
    if not jobs:
        raise DataError(f'{found[0][0]}: lies in {out}, where the restored pictures go; nothing is left to restore')
    return list(jobs.values())
