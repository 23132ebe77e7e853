"""Folders and what lies below them: linked ones too, each real folder once, and those that can't be read named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from restorebox.errors import DataError


@dataclass
class Passed:
    """What a walk did not enter, or did not take.

    Attributes:
        strict: a folder that can't be read ends the walk.
        unread: a line for each folder that can't be read: the folder, and why.
        again: a line for each link to a folder that the walk has entered under another name.
        kinds: suffix in lower case, '' for none -> number of files that were not taken; hidden ones don't count.
    """

    strict: bool = False
    unread: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def leave(self, path: Path) -> None:
        """Count a file that is of no kind which is looked for."""
        if not path.name.startswith('.'):
            self.kinds[path.suffix.lower()] += 1


def walk(folder: Path, enter: Callable[[Path], bool], passed: Passed | None = None) -> Iterator[Path]:
    """All that is no folder in a folder and below it.

    Linked folders are entered after the others, and none twice, so that links which loop come to an end.

    Args:
        folder: where to begin.
        enter: whether to look into a sub-folder.
        passed: notes folders that can't be read, and the walk goes on, where it is not strict.

    Yields:
        Paths that begin with ``folder``: files, and whatever else has a name.

    Raises:
        DataError: a folder can't be read and ``passed`` is None or strict.
    """
    seen: dict[str, Path] = {}
    real, linked = [folder], []
    while real or linked:
        inside = real.pop() if real else linked.pop(0)
        first = seen.setdefault(os.path.realpath(inside), inside)
        if first != inside:
            if passed is not None:
                passed.again.append(f'{inside}: is the folder {first}, whose pictures are taken under that name')
            continue
        try:
            with os.scandir(inside) as entries:
                found = [(inside / entry.name, _kind(entry)) for entry in sorted(entries, key=lambda each: each.name)]
        except OSError as error:
            line = f"{inside}: the folder can't be read ({error.strerror})"
            if passed is None or passed.strict:
                raise DataError(line) from None
            passed.unread.append(line)
            continue
        for path, kind in found:
            if kind == 'file':
                yield path
            elif enter(path):
                (linked if kind == 'link' else real).append(path)


def _kind(entry: os.DirEntry) -> str:
    """'folder', 'link' to a folder, or 'file' for all else."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return 'folder'
        return 'link' if entry.is_symlink() and os.path.isdir(entry.path) else 'file'
    except OSError:  # what reads it says why
        return 'file'
