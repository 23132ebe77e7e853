"""Input files from paths, folders and glob patterns, and the output file of each."""

from __future__ import annotations

import codecs
import fnmatch
import glob
import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from restorebox.datasets.formats import FORMATS, PICTURE_SUFFIXES, left_out, suffix_kind
from restorebox.datasets.reading import list_pictures, natural_order, read_head
from restorebox.datasets.walking import SkippedFiles, walk
from restorebox.errors import ConfigError, DataError
from restorebox.files import read_bytes
from restorebox.inference.files import naming_note, target_name
from restorebox.inference.video import CONTAINERS, VIDEO_SUFFIXES, is_video
from restorebox.storage import RemotePath, file_size, files_below, locate

MAX_NAME_BYTES = 255  # file-system limit on the length of a name


@dataclass(frozen=True)
class RestoreJob:
    """Restoration of a file.

    Attributes:
        source: the file.
        target: output file.
        note: a line for the user about the name of the output, or None.
        suffix: text that was added to the name.
        kind: format that was asked for, a key of :data:`~restorebox.datasets.formats.FORMATS`, or None.
        stamp: 16 hexadecimal digits, a hash of the size and the first bytes of the source, by which an output that
            was made from another file is told; None in storage, where it would be a request per file.
    """

    source: Path | RemotePath
    target: Path | RemotePath
    note: str | None = None
    suffix: str = ''
    kind: str | None = None
    stamp: str | None = None

    @property
    def copy(self) -> Path | RemotePath:
        """Path of an unchanged copy, which keeps the format of the source, and so its suffix."""
        return self.target.with_name(f'{self.source.stem}{self.suffix}{self.source.suffix}')


@dataclass(frozen=True)
class Selection:
    """Which files are restored, and how the outputs are named.

    Attributes:
        include: patterns of the files to restore; empty for all. A pattern without ``/`` is matched against the name,
            others against the path below the source, where ``**`` is any number of folders.
        exclude: patterns of files to leave out, likewise.
        suffix: text that is added to the names of the outputs, before their suffix.
        kind: format of all outputs, a key of :data:`~restorebox.datasets.formats.FORMATS`; None to keep formats.

    Raises:
        ConfigError: the suffix is no part of a file name.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    suffix: str = ''
    kind: str | None = None

    def __post_init__(self) -> None:
        if not self.suffix.isprintable() or set(self.suffix) & set('/\\'):
            raise ConfigError(f"suffix '{self.suffix}': it becomes a part of file names; use text such as _restored")

    def takes(self, below: PurePath) -> bool:
        """Return whether a file is restored.

        Args:
            below: its path below the source.
        """

        def fits(pattern: str) -> bool:
            return _fits(below.parts if '/' in pattern else (below.name,), Path(pattern).parts)

        return (not self.include or any(map(fits, self.include))) and not any(map(fits, self.exclude))

    def name(self, name: str, head: bytes) -> str:
        """Return the name of an output.

        Args:
            name: name of the source, without folders.
            head: first bytes of a picture, see :func:`target_name <restorebox.inference.files.target_name>`.
        """
        stem, suffix = Path(name).stem, Path(name).suffix
        if self.kind is None or is_video(name):
            target = _target_name(name, head)
        else:
            target = name if suffix_kind(suffix) == self.kind else f'{stem}{FORMATS[self.kind].suffixes[0]}'
        return f'{stem}{self.suffix}{target[len(stem) :]}'


ALL = Selection()


def find_pictures(
    sources: str | os.PathLike | Iterable[str | os.PathLike], videos: bool = False, skipped: SkippedFiles | None = None
) -> list[tuple[Path | RemotePath, PurePath]]:
    """Find picture files by paths, folders (recursively) and glob patterns (``**`` for sub-folders).

    Args:
        sources: one or several; also of storage and archives, see :func:`restorebox.storage.locate`.
        videos: whether to find videos in folders and by patterns as well.
        skipped: collects unreadable folders instead of raising.

    Returns:
        Unique pairs (path, path relative to the folder or to the fixed part of the pattern), sorted within each source.
        A path of a file is returned even if it does not exist; the error is raised when it is read.

    Raises:
        DataError: a folder without pictures, a pattern without matches, or an unreadable folder.
    """
    suffixes = (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES) if videos else PICTURE_SUFFIXES
    found: dict[Path | RemotePath, PurePath] = {}
    for source in [sources] if isinstance(sources, (str, os.PathLike)) else sources:
        path = locate(source)
        pairs: Iterable[tuple[Path | RemotePath, PurePath]]
        if isinstance(path, RemotePath):
            pairs = _remote_pictures(path, skipped)
        elif path.is_dir():
            pairs = [(each, each.relative_to(path)) for each in list_pictures(path, True, suffixes, skipped)]
        elif glob.has_magic(str(source)) and not path.exists():
            pairs = _matches(str(source), suffixes, skipped)
        else:
            pairs = [(path, Path(path.name))]
        for each, below in pairs:
            found.setdefault(each, below)
    return list(found.items())


def _remote_pictures(path: RemotePath, skipped: SkippedFiles | None) -> list[tuple[RemotePath, PurePath]]:
    """Return pairs as :func:`find_pictures` for a source in storage: file, folder or pattern; videos are left out."""
    parts, others = path.parts, SkippedFiles()
    first = len(parts) - len(PurePath(path.member).parts) if path.archive is not None else 2
    at = next((i for i, part in enumerate(parts) if i >= first and glob.has_magic(part)), None)
    fixed = path if at is None else RemotePath(*parts[:at])
    files, refused = files_below(fixed)
    if skipped is not None:
        skipped.refused += refused
    elif refused:
        raise DataError(refused[0])
    found = []
    for each in sorted(files, key=natural_order):
        below = PurePath(*each.parts[len(fixed.parts) :]) if each != fixed else PurePath(each.name)
        hidden = any(part.startswith('.') for part in below.parts)
        if each == fixed or (not hidden if at is None else _fits(below.parts, parts[at:])):
            found.append((each, below))
    chosen = [(each, below) for each, below in found if each == fixed or each.suffix.lower() in PICTURE_SUFFIXES]
    for each, _ in found:
        if each != fixed and each.suffix.lower() not in PICTURE_SUFFIXES:
            (skipped or others).add(each)
    if not chosen and not refused:
        there = ''.join(f'; {line}' for line in left_out((skipped or others).suffixes))
        raise DataError(f'{path}: no such picture, or no pictures there{there}; nothing was restored')
    return chosen


def read_list(name: str) -> list[str]:
    """Read a list of files.

    Args:
        name: a text file with a path per line, or separated by NUL as ``find -print0`` writes them; ``-`` for standard
            input. Empty lines are ignored.

    Raises:
        DataError: it can't be read, or has no paths.
    """
    try:
        data = sys.stdin.buffer.read() if name == '-' else read_bytes(name)
    except OSError as error:
        raise DataError(f"list {name}: can't be read ({error.strerror or error})") from None
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = data.split(b'\0') if b'\0' in data else [line.removesuffix(b'\r') for line in data.split(b'\n')]
    paths = [os.fsdecode(line) for line in lines if line]
    if not paths:
        raise DataError(f'list {"of standard input" if name == "-" else name}: is empty; write a path per line')
    return paths


def _listed(paths: Iterable[str]) -> list[tuple[Path | RemotePath, PurePath]]:
    """Return pairs as :func:`find_pictures` for the paths of a list, which keep their folders.

    As in archives of tar, the output of ``/a/b.png`` is ``a/b.png``, also with ``..`` resolved.
    """
    found: dict[Path | RemotePath, PurePath] = {}
    for name in paths:
        if isinstance(place := locate(name), RemotePath):
            found[place] = place.below
            continue
        if os.path.isdir(name):
            raise DataError(f'{name}: is a folder; a list has files, folders are sources of the command')
        parts = Path(os.path.normpath(name)).parts
        found[Path(name)] = Path(*(part for part in parts if part not in ('..', Path(name).anchor)))
    return list(found.items())


def check_existence(paths: Iterable[str | os.PathLike]) -> None:
    """Check that files and folders exist; patterns and storage are not checked.

    Raises:
        DataError: some do not exist; the message names the first.
    """
    missing = [path for path in paths if not isinstance(locate(path), RemotePath) and not os.path.exists(path)]
    if missing:
        more = f', and {len(missing) - 1} more sources' if len(missing) > 1 else ''
        raise DataError(f'{missing[0]}: no such file{more}; nothing was restored')


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
    out: str | Path | RemotePath,
    skipped: SkippedFiles | None = None,
    copies: bool = False,
    listed: Iterable[str] = (),
    selection: Selection = ALL,
) -> list[RestoreJob]:
    """Plan the output file of each picture or video; files in ``out`` are not used as sources.

    The first bytes of each picture are read to detect its format, which may differ from its suffix. In storage the name
    decides, since this would be a request per file.

    Args:
        sources: see :func:`find_pictures`; they must exist.
        out: output folder.
        skipped: see :func:`find_pictures`; counts the files that the selection leaves out.
        copies: whether a picture may be copied to ``job.copy`` instead.
        listed: further files, which keep their folders in ``out``, see :func:`read_list`.
        selection: which files, and how the outputs are named. With a suffix for names, files in ``out`` may be sources,
            except those that have the suffix already.

    Raises:
        DataError: see :func:`find_pictures`; a source does not exist, or lies in ``out`` itself; two sources have one
            output file; a source is its own output; or nothing is selected.
    """
    sources = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    listed = list(listed)
    check_existence([*(each for each in sources if not glob.has_magic(str(each))), *listed])
    found = dict([*find_pictures(sources, videos=True, skipped=skipped), *_listed(listed)])
    if not found and skipped is not None:
        raise DataError('; '.join(skipped.unreadable))
    taken = {source: below for source, below in found.items() if selection.takes(below)}
    if not taken:
        raise DataError(f'none of {len(found)} files is left by --include and --exclude')
    if skipped is not None:
        skipped.excluded += len(found) - len(taken)
    out = locate(out)
    out_folder = _real(out)
    given = [_real(locate(each)) for each in (*sources, *listed) if not glob.has_magic(str(each))]
    named = [root for root in given if root == out_folder or out_folder in root.parents]  # files of these are wanted
    reals = {source: _real(source) for source in taken}
    originals = {real for real in reals.values() if out_folder not in real.parents}
    jobs: dict[Path | RemotePath, RestoreJob] = {}
    for source, below in taken.items():
        head = b'' if is_video(source) or _in_storage(source) else read_head(source)
        target = out / below.with_name(selection.name(below.name, head))
        real, written = reals[source], _real(target)
        if real == written:
            raise DataError(f'{source} would be written over itself; take another folder than {out}, or add --suffix')
        if written in originals:  # through a linked folder in out
            raise DataError(f'{source} would be written over {written}, which is a source too; take another folder')
        if is_video(source) and (isinstance(source, RemotePath) or isinstance(target, RemotePath)):
            raise DataError(f'{source}: videos are restored in local folders only; copy it, or --exclude it')
        if out_folder in real.parents and (not selection.suffix or _has_suffix(source.name, selection.suffix)):
            if not selection.suffix and any(root == real or root in real.parents for root in named):
                raise DataError(f'{source}: lies in {out}, where the outputs go; take another folder for them')
            if skipped is not None:
                skipped.inside += 1
            continue
        note = naming_note(source.name, head, target.name)
        job = RestoreJob(source, target, note, selection.suffix, selection.kind, stamp_of(source, head))
        for path in {target, job.copy} if copies else {target}:
            if path in jobs:
                raise DataError(
                    f'{jobs[path].source} and {source} would both become {path}; restore them into two folders'
                )
            jobs[path] = job
    if not jobs:
        raise DataError(f'{next(iter(taken))}: lies in {out}, where the outputs go; nothing is left to restore')
    return list(dict.fromkeys(jobs.values()))


def stamp_of(source: Path | RemotePath, head: bytes = b'') -> str | None:
    """Return :attr:`RestoreJob.stamp` of a file as it is now.

    Args:
        source: the file.
        head: its first bytes if they have been read.

    Returns:
        The hash; None in storage, or if the file can't be read.
    """
    if (size := file_size(source)) is None:
        return None
    head = head or read_head(source)
    return hashlib.blake2b(f'{size} '.encode() + head, digest_size=8).hexdigest() if head or not size else None


def _real(path: Path | RemotePath) -> Path | RemotePath:
    """Return a path without links; ``Path.resolve`` fails at a link to itself."""
    return path if isinstance(path, RemotePath) else Path(os.path.realpath(path))


def _has_suffix(name: str, suffix: str) -> bool:
    """Return whether a name has been made with ``--suffix``; it may have the source's extension before its own."""
    stem, inner = os.path.splitext(os.path.splitext(name)[0])
    return f'{stem}{inner}'.endswith(suffix) or (
        inner.lower() in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES) and stem.endswith(suffix)
    )


def _in_storage(path: Path | RemotePath) -> bool:
    """Return whether reading the first bytes of a file is a request; archives are local copies."""
    return isinstance(path, RemotePath) and path.archive is None
