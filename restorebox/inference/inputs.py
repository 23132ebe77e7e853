"""What to restore: files, folders and glob patterns -> files, and where each goes."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from restorebox.datasets.formats import PICTURE_SUFFIXES, left_out
from restorebox.datasets.reading import list_pictures, read_head
from restorebox.datasets.walking import Passed, walk
from restorebox.errors import DataError
from restorebox.inference.files import naming_note, target_name
from restorebox.inference.video import CONTAINERS, VIDEO_SUFFIXES, is_video

LONGEST = 255  # bytes of a name


@dataclass(frozen=True)
class RestoreJob:
    """A picture or a clip to restore: ``source`` -> ``target``; a line about it, where there is something to say."""

    source: Path
    target: Path
    note: str | None = None


def find_pictures(
    sources: str | os.PathLike | Iterable[str | os.PathLike], videos: bool = False, passed: Passed | None = None
) -> list[tuple[Path, Path]]:
    """The picture files that files, folders (with sub-folders) and glob patterns (``**`` for sub-folders) name.

    Args:
        sources: one or several.
        videos: find them in folders and by patterns as well.
        passed: notes folders that can't be read instead of raising.

    Returns:
        (path, path below the folder or below the pattern's fixed part), sorted by name within each source, none twice.
        A file that is named itself is taken whether it exists or not, so that it is missed where it is read.

    Raises:
        DataError: a folder without pictures, a pattern that fits none, a folder that can't be read.
    """
    suffixes = (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES) if videos else PICTURE_SUFFIXES
    found: dict[Path, Path] = {}
    for source in [sources] if isinstance(sources, (str, os.PathLike)) else sources:
        path = Path(source)
        if path.is_dir():
            pairs = [(each, each.relative_to(path)) for each in list_pictures(path, True, suffixes, passed)]
        elif glob.has_magic(str(source)) and not path.exists():
            pairs = _matches(str(source), suffixes, passed)
        else:
            pairs = [(path, Path(path.name))]
        for each, below in pairs:
            found.setdefault(each, below)
    return list(found.items())


def _matches(pattern: str, suffixes: tuple[str, ...], passed: Passed | None) -> list[tuple[Path, Path]]:
    """What a glob pattern fits, by the walk that folders go through: links that loop would keep ``glob`` for ever."""
    parts = Path(pattern).parts
    at = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    fixed, wanted = Path(*parts[:at]), parts[at:]
    unread = len(passed.unread) if passed is not None else 0
    found = walk(fixed, lambda path: _leads(path.relative_to(fixed).parts, wanted), passed) if fixed.is_dir() else ()
    fitting = [path for path in sorted(found) if _fits(path.relative_to(fixed).parts, wanted)]
    pairs, others = [], Passed()
    for path in fitting:
        if path.suffix.lower() in suffixes:
            pairs.append((path, path.relative_to(fixed)))
        else:
            (passed or others).leave(path)
    if not pairs and not (passed is not None and len(passed.unread) > unread):
        there = ''.join(f'; {line}' for line in left_out((passed or others).kinds))
        raise DataError(f'{pattern}: no picture fits this pattern (looked for {" ".join(suffixes)}){there}')
    return pairs


def _leads(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether what lies in a folder may fit a pattern."""
    for i, (part, want) in enumerate(zip(parts, wanted, strict=False)):
        if want == '**':
            return not any(each.startswith('.') for each in parts[i:])
        if not _fits((part,), (want,)):
            return False
    return len(parts) < len(wanted)


def _fits(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether a path fits a pattern, as :mod:`glob` has it: ``**`` is any number of folders, none of them hidden."""
    if not wanted:
        return not parts
    if wanted[0] == '**':
        if wanted[1:2] == ('**',):
            return _fits(parts, wanted[1:])
        if _fits(parts, wanted[1:]):
            return True
        return bool(parts) and not parts[0].startswith('.') and _fits(parts[1:], wanted)
    hidden = bool(parts) and parts[0].startswith('.') and not wanted[0].startswith('.')
    return bool(parts) and not hidden and fnmatch.fnmatch(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])


def _target(name: str, head: bytes) -> str:
    """A clip's own name, with ``.mkv`` behind it where that is a container that we don't write; else a picture's."""
    if is_video(name):
        return name if Path(name).suffix.lower() in CONTAINERS else f'{name}.mkv'
    return target_name(name, head)


def _fitting(name: str, head: bytes) -> str:
    """A name with a suffix behind it; in place of the old one where it would be longer than file systems allow."""
    target = _target(name, head)
    if len(os.fsencode(target)) <= LONGEST:
        return target
    return f'{Path(name).stem}{Path(target).suffix}'


def plan_jobs(
    sources: str | os.PathLike | Iterable[str | os.PathLike], out: str | Path, passed: Passed | None = None
) -> list[RestoreJob]:
    """Where each picture or clip goes; what lies in ``out`` already is no source.

    The first bytes of each picture are read, since its name may say another kind than it is.

    Args:
        sources: see :func:`find_pictures`.
        out: the folder to write into.
        passed: see there.

    Raises:
        DataError: see there; or two pictures for one place, or one for its own.
    """
    home = Path(os.path.realpath(out))  # Path.resolve fails at a link to itself
    jobs: dict[Path, RestoreJob] = {}
    found = find_pictures(sources, videos=True, passed=passed)
    if not found and passed is not None:
        raise DataError('; '.join(passed.unread))
    for source, below in found:
        head = b'' if is_video(source) else read_head(source)
        target = Path(out) / below.with_name(_fitting(below.name, head))
        real = Path(os.path.realpath(source))
        if real == Path(os.path.realpath(target)):
            raise DataError(f'{source} would be written over itself; take another folder than {out}')
        if home in real.parents:
            continue
        if target in jobs:
            raise DataError(
                f'{jobs[target].source} and {source} would both become {target}; restore them into two folders'
            )
        note = naming_note(source.name, head, target.name)
        jobs[target] = RestoreJob(source, target, note and f'{source}: {note}')
    if not jobs:
        raise DataError(f'{found[0][0]}: lies in {out}, where the restored pictures go; nothing is left to restore')
    return list(jobs.values())
