"""Recursive listing of folders, including linked ones, without visiting a folder twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from restorebox.errors import DataError


@dataclass
class SkippedFiles:
    """Record of the folders and files that a walk skipped.

    Attributes:
        strict: raise an error at an unreadable folder instead of recording it.
        unreadable: a message for each unreadable folder, with the reason.
        repeated: a message for each link to a folder that was already visited under another name.
        suffixes: suffix in lower case ('' for none) -> number of skipped files, without hidden ones.
        excluded: number of files that the user's patterns leave out.
        refused: a message for each object of storage that can't be used, with the reason.
        inside: number of files that lie in the folder of the outputs.
    """

    strict: bool = False
    unreadable: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    suffixes: Counter[str] = field(default_factory=Counter)
    excluded: int = 0
    refused: list[str] = field(default_factory=list)
    inside: int = 0

    def add(self, path: PurePath) -> None:
        """Count a skipped file."""
        if not path.name.startswith('.'):
            self.suffixes[path.suffix.lower()] += 1


def walk(folder: Path, enter: Callable[[Path], bool], skipped: SkippedFiles | None = None) -> Iterator[Path]:
    """Yield all files below a folder.

    Linked folders are visited after the others, and no folder is visited twice, so that cyclic links end.

    Args:
        folder: the folder to start from.
        enter: returns whether to visit a sub-folder.
        skipped: records unreadable folders, unless it is strict.

    Yields:
        Paths that begin with ``folder``: everything that is not a folder.

    Raises:
        DataError: a folder can't be read, and ``skipped`` is None or strict.
    """
    seen: dict[str, Path] = {}
    real = [folder]
    linked: list[Path] = []
    while real or linked:
        inside = real.pop() if real else linked.pop(0)
        first = seen.setdefault(os.path.realpath(inside), inside)
        if first != inside:
            if skipped is not None:
                skipped.repeated.append(
                    f'{inside}: is the same folder as {first}; its pictures are listed under that name'
                )
            continue
        try:
            with os.scandir(inside) as entries:
                found = [(inside / entry.name, _kind(entry)) for entry in sorted(entries, key=lambda each: each.name)]
        except OSError as error:
            line = f"{inside}: the folder can't be read ({error.strerror})"
            if skipped is None or skipped.strict:
                raise DataError(line) from None
            skipped.unreadable.append(line)
            continue
        for path, kind in found:
            if kind == 'file':
                yield path
            elif enter(path):
                (linked if kind == 'link' else real).append(path)


def _kind(entry: os.DirEntry) -> str:
    """Return 'folder', 'link' for a link to a folder, or 'file' for everything else."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return 'folder'
        return 'link' if entry.is_symlink() and os.path.isdir(entry.path) else 'file'
    except OSError:  # reading the file gives the reason
        return 'file'
