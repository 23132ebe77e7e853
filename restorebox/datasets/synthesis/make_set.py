"""Synthesis of a complete set from a folder of clean pictures; the same call resumes an interrupted run."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from restorebox.datasets.reading import list_pictures
from restorebox.datasets.synthesis.folder import OutputFolder
from restorebox.datasets.synthesis.work import Job, run_workers
from restorebox.datasets.walking import SkippedFiles
from restorebox.errors import DISK_ERRORS, DataError
from restorebox.processes import usable_cores
from restorebox.progress import Progress

RESUME_HINT = 'complete pictures are kept; run the same command again to continue'


@dataclass
class SynthesisResult:
    """Result of :func:`make_set`.

    Attributes:
        count: degraded pictures in the set.
        sources: clean pictures in the folder.
        existing: sources whose degraded pictures existed before.
        unreadable: (name, error message) of unreadable sources, sorted by name.
        skipped: other files that were skipped, and unreadable folders.
        workers: number of processes.
        seconds: wall-clock time of the processes.
    """

    count: int
    sources: int
    existing: int
    unreadable: list[tuple[str, str]]
    skipped: SkippedFiles
    workers: int
    seconds: float


def find_sources(clean_dir: Path, out_dir: Path, recursive: bool, skipped: SkippedFiles) -> list[str]:
    """List the clean pictures as paths relative to their folder, with ``/`` as separator.

    Args:
        clean_dir: folder of the clean pictures.
        out_dir: folder of the set.
        recursive: whether to include sub-folders.
        skipped: see :func:`~restorebox.datasets.reading.list_pictures`.

    Raises:
        DataError: no folder, no pictures, two pictures with the same name, or one folder contains the other.
    """
    paths = list_pictures(clean_dir, recursive, skipped=skipped)
    if not paths:
        raise DataError(skipped.unreadable[0])
    clean, out = clean_dir.resolve(), out_dir.resolve()
    linked = any(Path(os.path.realpath(each)).is_relative_to(out) for each in {path.parent for path in paths})
    if linked or clean.is_relative_to(out) or (recursive and out.is_relative_to(clean)):
        raise DataError(
            f'one of {out_dir} and {clean_dir} contains the other, so degraded pictures would be used as clean ones'
        )
    by_name: dict[str, Path] = {}
    for path in paths:
        other = by_name.setdefault(str(path.with_suffix('')), path)
        if other != path:
            raise DataError(f'two pictures of one name in {path.parent}: {other.name} and {path.name}; rename one')
    return [path.relative_to(clean_dir).as_posix() for path in paths]


def make_set(job: Job, recursive: bool = False, workers: int | None = None, skip: bool = False) -> SynthesisResult:
    """Make a set, or resume it; the result depends only on the clean pictures, the recipe and the seed.

    Args:
        job: the clean pictures, the output folder, the recipe and the seed.
        recursive: whether to include sub-folders.
        workers: number of processes; None for the number of usable cores.
        skip: leave out unreadable pictures and folders.

    Raises:
        DataError: an unreadable picture or folder that is not to be skipped; no readable picture; a full disk; or the
            folder was made with other settings.
        BusyError: another run uses the folder.
    """
    skipped = SkippedFiles(strict=not skip)
    sources = find_sources(job.clean_dir, job.out_dir, recursive, skipped)
    workers = min(workers or usable_cores(), len(sources))
    try:
        with closing(OutputFolder(job, sources)) as folder:
            unreadable, existing, seconds = make_pictures(folder, sources, workers, skip)
            if len(unreadable) == len(sources):
                raise DataError(
                    f'none of {len(sources)} pictures of {job.clean_dir} can be read; the first: {unreadable[0][1]}'
                )
            count = folder.finish({source for source, _ in unreadable}, pairs=recursive)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise DataError(f"can't write {error.filename or job.out_dir}: {error.strerror}; {RESUME_HINT}") from None
    return SynthesisResult(count, len(sources), existing, unreadable, skipped, workers, seconds)


def make_pictures(
    folder: OutputFolder, sources: Sequence[str], workers: int, skip: bool
) -> tuple[list[tuple[str, str]], int, float]:
    """Make the pictures that do not exist yet.

    Returns:
        (name, error message) of unreadable sources, sorted by name; number of existing sources; seconds.

    Raises:
        DataError: an unreadable picture, or one that kills its worker, that is not to be skipped; a full disk.
    """
    unreadable, existing, start = [], 0, time.perf_counter()
    tasks = ((source, folder.records(source)) for source in sources)
    with Progress(len(sources), 'synthesize') as progress, closing(run_workers(folder.job, tasks, workers)) as results:
        for result in results:
            if result.traceback and not skip:
                raise RuntimeError(result.traceback)
            if result.fatal or (result.unreadable and not skip):
                hint = '' if result.fatal else ', or --bad-picture skip leaves such pictures out'
                raise DataError(f'{result.fatal or result.unreadable}; {RESUME_HINT}{hint}')
            if result.unreadable or result.traceback:
                reason = result.unreadable or f'{result.source}: {result.traceback.splitlines()[-1]}'
                unreadable.append((result.source, reason))
            elif result.exists:
                existing += 1
            else:
                folder.add(result)
            progress.advance()
    return sorted(unreadable), existing, time.perf_counter() - start
