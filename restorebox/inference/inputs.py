"""Input files from paths, folders and glob patterns, and the output file of each."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from restorebox.datasets.formats import PICTURE_SUFFIXES, left_out
from restorebox.datasets.reading import list_pictures, read_head
from restorebox.datasets.walking import SkippedFiles, walk
from restorebox.errors import DataError
from restorebox.inference.files import naming_note, target_name
from restorebox.inference.video import CONTAINERS, VIDEO_SUFFIXES, is_video

MAX_NAME_BYTES = 255  # file-system limit on the length of a name


@dataclass(frozen=True)
class RestoreJob:
    """Restoration of the file ``source`` into ``target``; ``note`` is a line for the user, or None."""

    source: Path
    target: Path
    note: str | None = None

    @property
    def copy(self) -> Path:
        """Path of an unchanged copy, which keeps the name of the source because it keeps its format."""
        return self.target.with_name(self.source.name)


def find_pictures(
    sources: str | os.PathLike | Iterable[str | os.PathLike], videos: bool = False, skipped: SkippedFiles | None = None
) -> list[tuple[Path, Path]]:
    """Find picture files by paths, folders (recursively) and glob patterns (``**`` for sub-folders).

    Args:
        sources: one or several.
        videos: whether to find videos in folders and by patterns as well.
        skipped: collects unreadable folders instead of raising.

    Returns:
        Unique pairs (path, path relative to the folder or to the fixed part of the pattern), sorted within each source.
        A path of a file is returned even if it does not exist; the error is raised when it is read.

    Raises:
        DataError: a folder without pictures, a pattern without matches, or an unreadable folder.
    """
    suffixes = (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES) if videos else PICTURE_SUFFIXES
    found: dict[Path, Path] = {}
    for source in [sources] if isinstance(sources, (str, os.PathLike)) else sources:
        path = Path(source)
        if path.is_dir():
            pairs = [(each, each.relative_to(path)) for each in list_pictures(path, True, suffixes, skipped)]
        elif glob.has_magic(str(source)) and not path.exists():
            pairs = _matches(str(source), suffixes, skipped)
        else:
            pairs = [(path, Path(path.name))]
        for each, below in pairs:
            found.setdefault(each, below)
    return list(found.items())


def _matches(pattern: str, suffixes: tuple[str, ...], skipped: SkippedFiles | None) -> list[tuple[Path, Path]]:
    """Return the matches of a glob pattern; ``glob`` itself would not end for links that form a loop."""
    parts = Path(pattern).parts
    at = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    fixed, wanted = Path(*parts[:at]), parts[at:]
    unread = len(skipped.unreadable) if skipped is not None else 0
    found = (
        walk(fixed, lambda path: _may_contain(path.relative_to(fixed).parts, wanted), skipped) if fixed.is_dir() else ()
    )
    fitting = [path for path in sorted(found) if _fits(path.relative_to(fixed).parts, wanted)]
    pairs, others = [], SkippedFiles()
    for path in fitting:
        if path.suffix.lower() in suffixes:
            pairs.append((path, path.relative_to(fixed)))
        else:
            (skipped or others).add(path)
    if not pairs and not (skipped is not None and len(skipped.unreadable) > unread):
        there = ''.join(f'; {line}' for line in left_out((skipped or others).suffixes))
        raise DataError(f'{pattern}: no picture fits this pattern (looked for {" ".join(suffixes)}){there}')
    return pairs


def _may_contain(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Return whether a folder may contain matches of a pattern."""
    for i, (part, want) in enumerate(zip(parts, wanted, strict=False)):
        if want == '**':
            return not any(each.startswith('.') for each in parts[i:])
        if not _fits((part,), (want,)):
            return False
    return len(parts) < len(wanted)


def _fits(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Return whether a path matches a pattern as in :mod:`glob`: ``**`` is any number of folders, none hidden."""
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


def _with_suffix(name: str, head: bytes) -> str:
    """Return the output name; for videos ``.mkv`` is added if the container is not written."""
    if is_video(name):
        return name if Path(name).suffix.lower() in CONTAINERS else f'{name}.mkv'
    return target_name(name, head)


def _target_name(name: str, head: bytes) -> str:
    """Return the output name; if it is too long with a suffix added, the suffix replaces the old one."""
    target = _with_suffix(name, head)
    if len(os.fsencode(target)) <= MAX_NAME_BYTES:
        return target
    return f'{Path(name).stem}{Path(target).suffix}'


def plan_jobs(
    sources: str | os.PathLike | Iterable[str | os.PathLike],
    out: str | Path,
    skipped: SkippedFiles | None = None,
    copies: bool = False,
) -> list[RestoreJob]:
    """Plan the output file of each picture or video; files in ``out`` are not used as sources.

    The first bytes of each picture are read to detect its format, which may differ from its suffix.

    Args:
        sources: see :func:`find_pictures`.
        out: output folder.
        skipped: see :func:`find_pictures`.
        copies: whether a picture may be copied to ``job.copy`` instead.

    Raises:
        DataError: see :func:`find_pictures`; or two sources have one output file, or a source is its own output.
    """
    out_folder = Path(os.path.realpath(out))  # Path.resolve fails at a link to itself
    jobs: dict[Path, RestoreJob] = {}
    found = find_pictures(sources, videos=True, skipped=skipped)
    if not found and skipped is not None:
        raise DataError('; '.join(skipped.unreadable))
    for source, below in found:
        head = b'' if is_video(source) else read_head(source)
        target = Path(out) / below.with_name(_target_name(below.name, head))
        real = Path(os.path.realpath(source))
        if real == Path(os.path.realpath(target)):
            raise DataError(f'{source} would be written over itself; take another folder than {out}')
        if out_folder in real.parents:
            continue
        note = naming_note(source.name, head, target.name)
        job = RestoreJob(source, target, note and f'{source}: {note}')
        for path in {target, job.copy} if copies else {target}:
            if path in jobs:
                raise DataError(
                    f'{jobs[path].source} and {source} would both become {path}; restore them into two folders'
                )
            jobs[path] = job
    if not jobs:
        raise DataError(f'{found[0][0]}: lies in {out}, where the restored pictures go; nothing is left to restore')
    return list(dict.fromkeys(jobs.values()))
