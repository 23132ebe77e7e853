"""Synthesis of a complete set from a folder of clean pictures; the same call resumes an interrupted run."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from restorebox.datasets.reading import list_pictures
from restorebox.datasets.synthesis.folder import Folder
from restorebox.datasets.synthesis.work import Job, run_workers
from restorebox.datasets.walking import Passed
from restorebox.errors import DISK_ERRORS, DataError
from restorebox.processes import usable_cores
from restorebox.progress import Progress

AGAIN = 'what is complete stays, and the same command line goes on'


@dataclass
class MadeSet:
    """Result of :func:`make_set`.

    Attributes:
        count: degraded pictures in the set.
        sources: clean pictures in the folder.
        kept: sources whose pictures were there before.
        bad: sources that can't be read, and why, by name.
        passed: what was found and is no picture to degrade, and folders that can't be read.
        workers: processes at work.
        seconds: that they took.
    """

    count: int
    sources: int
    kept: int
    bad: list[tuple[str, str]]
    passed: Passed
    workers: int
    seconds: float


def find_sources(clean: Path, home: Path, recursive: bool, passed: Passed) -> list[str]:
    """Clean pictures as paths below their folder, with ``/`` between the parts.

    Args:
        clean: the folder.
        home: of the set that is to be made.
        recursive: whether to look into sub-folders.
        passed: see :func:`~restorebox.datasets.reading.list_pictures`.

    Raises:
        DataError: no folder or no pictures, two of one name, or one folder lies in the other.
    """
    paths = list_pictures(clean, recursive, passed=passed)
    if not paths:
        raise DataError(passed.unread[0])
    inside, outside = clean.resolve(), home.resolve()
    below = any(Path(os.path.realpath(each)).is_relative_to(outside) for each in {path.parent for path in paths})
    if below or inside.is_relative_to(outside) or (recursive and outside.is_relative_to(inside)):
        raise DataError(f'{home} and {clean} lie in each other, so degraded pictures would be taken for clean ones')
    by_name: dict[str, Path] = {}
    for path in paths:
        other = by_name.setdefault(str(path.with_suffix('')), path)
        if other != path:
            raise DataError(f'two pictures of one name in {path.parent}: {other.name} and {path.name}; rename one')
    return [path.relative_to(clean).as_posix() for path in paths]


def make_set(job: Job, recursive: bool = False, workers: int | None = None, skip: bool = False) -> MadeSet:
    """Make the set, or go on with it; what it leaves depends on the clean pictures, the recipe and the seed alone.

    Args:
        job: the clean pictures, the folder of the set, the recipe, the seed.
        recursive: sub-folders too.
        workers: processes; None for the cores that this one may use.
        skip: leave out pictures and folders that can't be read.

    Raises:
        DataError: a picture or a folder can't be read and is not to be skipped, or none can; the disk is full; the
            folder was made otherwise.
        BusyError: another run is at work there.
    """
    passed = Passed(strict=not skip)
    sources = find_sources(job.clean, job.home, recursive, passed)
    workers = min(workers or usable_cores(), len(sources))
    try:
        folder = Folder(job, sources)
        try:
            bad, kept, seconds = make_pictures(folder, sources, workers, skip)
            if len(bad) == len(sources):
                raise DataError(f'none of {len(sources)} pictures of {job.clean} can be read; the first: {bad[0][1]}')
            count = folder.finish({source for source, _ in bad}, pairs=recursive)
        finally:
            folder.close()
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise DataError(f"can't write {error.filename or job.home}: {error.strerror}; {AGAIN}") from None
    return MadeSet(count, len(sources), kept, bad, passed, workers, seconds)


def make_pictures(
    folder: Folder, sources: Sequence[str], workers: int, skip: bool
) -> tuple[list[tuple[str, str]], int, float]:
    """Make what is not there -> the unreadable sources and why, by name; how many were there; seconds.

    Raises:
        DataError: an unreadable picture, or one that kills its worker, that is not to be skipped; a full disk.
    """
    bad, kept, began = [], 0, time.perf_counter()
    answers = run_workers(folder.job, ((source, folder.known(source)) for source in sources), workers)
    with Progress(len(sources), 'synthesize') as progress:
        try:
            for done in answers:
                if done.crash and not skip:
                    raise RuntimeError(done.crash)
                if done.failure or (done.bad and not skip):
                    hint = '' if done.failure else ', or --bad-picture skip leaves such pictures out'
                    raise DataError(f'{done.failure or done.bad}; {AGAIN}{hint}')
                if done.bad or done.crash:
                    bad.append((done.source, done.bad or f'{done.source}: {done.crash.splitlines()[-1]}'))
                elif done.kept:
                    kept += 1
                else:
                    folder.note(done)
                progress.advance()
        finally:
            answers.close()
    return sorted(bad), kept, time.perf_counter() - began
