"""Restoration of a list of files, with bounded queues for reading ahead and writing behind."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from restorebox.errors import PictureError, one_line, out_of_memory, printable
from restorebox.files import read_bytes, write_whole
from restorebox.inference import files
from restorebox.inference.files import PictureFile
from restorebox.inference.findings import examine
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import RestoreJob
from restorebox.inference.video import is_video
from restorebox.inference.video_timeout import restore_with_timeout
from restorebox.progress import Progress

WAITING = 2  # pictures per thread that are read ahead, and pictures per thread in the write queue

T = TypeVar('T')


def restore_all(
    inferencer: RestoreInferencer,
    jobs: list[RestoreJob],
    notes: list[str] | None = None,
    report_finding: Callable[[str], None] | None = None,
    copied: list[Path] | None = None,
) -> list[str]:
    """Restore files one by one, while others are read and written in threads.

    The queues are bounded, so that memory does not grow with the number of files. Pictures that run out of memory are
    tried again at the end, one at a time. An error concerns only its own file.

    Args:
        inferencer: the inferencer; its ``max_pixels`` limits the size of files.
        jobs: the files.
        notes: list that receives a line for each thing that could not be kept.
        report_finding: called with a line for each picture that says what was found in it; not at strength 0.
        copied: list that receives the copies of pictures in which nothing was found; None: these are restored as well.

    Returns:
        A line with file and reason for each file that could not be restored.
    """
    examined = copied is not None or (report_finding is not None and inferencer.tiler.strength > 0)
    bad: list[str] = []
    out_of_memory_jobs: list[RestoreJob] = []
    writing: deque[tuple[RestoreJob, Callable[[], list[str]]]] = deque()
    # one thread on a CPU, where more would compete with the network
    threads = 1 if inferencer.tiler.device.type == 'cpu' else 4
    with (
        ThreadPoolExecutor(threads) as readers,
        ThreadPoolExecutor(threads) as writers,
        Progress(len(jobs), 'restore') as progress,
    ):

        def finish(job: RestoreJob, written: Callable[[], list[str]]) -> None:
            """Wait until a picture has been written."""
            lost = settle(job, written)
            if notes is not None and lost:
                notes.extend(f'{job.source}: {line}' for line in lost)

        def settle(job: RestoreJob, work: Callable[[], T]) -> T | None:
            """Return the result of a call, often of a future; on an error record it and return None."""
            try:
                return work()
            except Exception as error:
                if out_of_memory(error) and len(jobs) > 1:
                    out_of_memory_jobs.append(job)
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
                else:  # a bug, which must not stop the other pictures
                    what = f'{type(error).__name__}: {one_line(error)}'
                    bad.append(f'{job.source}: {what} (RESTOREBOX_TRACEBACK=1 shows where)')
            return None

        for job, reading in read_ahead(readers, jobs, WAITING * threads, inferencer.max_pixels):
            read = restored = found = None
            if reading is None:
                settle(job, partial(restore_with_timeout, inferencer, job))
            else:
                read = settle(job, reading.result)
            if read is not None:
                restored = settle(job, partial(inferencer.restore_picture, read))
            if read is not None and restored is not None and examined:
                found = settle(job, partial(examine, read, restored, inferencer.tiler.strength))
            if found is not None and report_finding is not None:
                report_finding(f'{job.source}: {found}')
            if len(writing) == WAITING * threads:
                finish(*writing.popleft())
            if found is not None and copied is not None and not found.strengths:
                writing.append((job, submit(writers, _copy, job, copied).result))
            elif restored is not None and (found is not None or not examined):
                writing.append((job, submit(writers, _write, restored, job.target).result))
            progress.advance()
        while writing:
            finish(*writing.popleft())
    for job in out_of_memory_jobs:
        bad += restore_all(inferencer, [job], notes, report_finding, copied)
    return bad


def submit(pool: ThreadPoolExecutor, work: Callable[..., T], *args: object) -> Future[T]:
    """Submit a call to a pool; a failure to start a thread, as for lack of memory, is set on the returned future."""
    try:
        return pool.submit(work, *args)
    except (RuntimeError, MemoryError) as error:
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


def _write(picture: PictureFile, target: Path) -> list[str]:
    """Write a picture; returns a line for each thing that could not be kept."""
    return [*picture.notes, *(files.write_file(picture, target) or ())]


def _copy(job: RestoreJob, copied: list[Path]) -> list[str]:
    """Copy a file byte for byte; returns a line if the restored picture would have another name or format."""
    write_whole(job.copy, read_bytes(job.source))
    copied.append(job.copy)
    return [] if job.copy == job.target else [f'nothing was found: copied as {job.copy.name}, in its own format']


def read_ahead(
    readers: ThreadPoolExecutor, jobs: list[RestoreJob], ahead: int, max_pixels: int
) -> Iterator[tuple[RestoreJob, Future[PictureFile] | None]]:
    """Yield each job with the future of its picture, None for a video; up to ``ahead`` further pictures are read."""
    reading: deque[tuple[RestoreJob, Future[PictureFile] | None]] = deque()
    for job in jobs:
        reading.append(
            (job, None if is_video(job.source) else submit(readers, files.read_file, job.source, max_pixels))
        )
        if len(reading) > ahead:
            yield reading.popleft()
    while reading:
        yield reading.popleft()
