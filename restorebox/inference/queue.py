"""Restoring files one after the other, while others are read and written: bounded, each fault its own picture's."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from restorebox.errors import PictureError, one_line, out_of_memory, printable
from restorebox.inference import files
from restorebox.inference.files import PictureFile
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import RestoreJob
from restorebox.inference.video import is_video
from restorebox.inference.watched import restore_watched
from restorebox.progress import Progress

WAITING = 2  # pictures per thread that are read ahead, and that wait to be written

T = TypeVar('T')


def restore_all(
    inferencer: RestoreInferencer,
    jobs: list[RestoreJob],
    notes: list[str] | None = None,
) -> list[str]:
    """Restore files one after the other, while others are read and written.

    What waits on either side is bounded, so that a folder takes no more memory than some of its pictures. One for which
    even that leaves too little is tried once more in the end, alone.

    Args:
        inferencer: restores them; files may have its ``max_pixels``.
        jobs: the files.
        notes: takes a line for each thing that could not be kept of a picture that was restored.

    Returns:
        A line for each that could not be restored: the file, and why.
    """
    bad: list[str] = []
    short: list[RestoreJob] = []  # of memory
    writing: deque[tuple[RestoreJob, Callable[[], list[str]]]] = deque()
    # on a CPU more threads would only take the cores from the network; a GPU waits for them
    threads = 1 if inferencer.tiler.device.type == 'cpu' else 4
    with (
        ThreadPoolExecutor(threads) as readers,
        ThreadPoolExecutor(threads) as writers,
        Progress(len(jobs), 'restore') as progress,
    ):

        def finish(job: RestoreJob, written: Callable[[], list[str]]) -> None:
            """Wait for a picture to be written."""
            lost = settle(job, written)
            if notes is not None and lost:
                notes.extend(f'{job.source}: {line}' for line in lost)

        def settle(job: RestoreJob, work: Callable[[], T]) -> T | None:
            """The result of some work, often a future's; notes a picture's fault."""
            try:
                return work()
            except Exception as error:
                if out_of_memory(error) and len(jobs) > 1:
                    short.append(job)
                elif out_of_memory(error):
                    size = files.picture_size(job.source)
                    of = f' of {size[0]} x {size[1]}' if size else ''
                    bad.append(
                        f'{job.source}: not enough memory for a picture{of}; lower --memory or close other programs'
                    )
                elif isinstance(error, PictureError):
                    line = one_line(error)
                    bad.append(line if printable(job.source) in line else f'{job.source}: {line}')
                elif isinstance(error, OSError):
                    bad.append(f'{job.source}: {error.filename or job.target}: {error.strerror or error}')
                elif os.environ.get('RESTOREBOX_TRACEBACK'):
                    raise
                else:  # our mistake, for which the other pictures need not wait
                    what = f'{type(error).__name__}: {one_line(error)}'
                    bad.append(f'{job.source}: {what} (RESTOREBOX_TRACEBACK=1 shows where)')
            return None

        for job, reading in read_ahead(readers, jobs, WAITING * threads, inferencer.max_pixels):
            picture = None
            if reading is None:
                settle(job, partial(restore_watched, inferencer, job))
            else:
                picture = settle(job, reading.result)
            if picture is not None:
                picture = settle(job, partial(inferencer.restore_picture, picture))
            if len(writing) == WAITING * threads:
                finish(*writing.popleft())
            if picture is not None:
                writing.append((job, begin(writers, _write, picture, job.target).result))
            progress.advance()
        while writing:
            finish(*writing.popleft())
    for job in short:
        bad += restore_all(inferencer, [job], notes)
    return bad


def begin(pool: ThreadPoolExecutor, work: Callable[..., T], *args: object) -> Future[T]:
    """Hand work to a pool; where there is no memory for its thread, that is what came of the work."""
    try:
        return pool.submit(work, *args)
    except (RuntimeError, MemoryError) as error:
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


def _write(picture: PictureFile, target: Path) -> list[str]:
    """Write a picture -> what could not be kept of it."""
    return [*picture.notes, *(files.write_file(picture, target) or ())]


def read_ahead(
    readers: ThreadPoolExecutor, jobs: list[RestoreJob], ahead: int, max_pixels: int
) -> Iterator[tuple[RestoreJob, Future[PictureFile] | None]]:
    """Each job and its picture, None for a clip; the next ``ahead`` are being read or wait meanwhile, and no others."""
    reading: deque[tuple[RestoreJob, Future[PictureFile] | None]] = deque()
    for job in jobs:
        reading.append((job, None if is_video(job.source) else begin(readers, files.read_file, job.source, max_pixels)))
        if len(reading) > ahead:
            yield reading.popleft()
    while reading:
        yield reading.popleft()
