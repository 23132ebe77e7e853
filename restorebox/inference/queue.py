"""Restoration of a list of files, with bounded queues for reading ahead and writing behind."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from restorebox.datasets.formats import FORMATS
from restorebox.errors import PictureError, one_line, out_of_memory, printable
from restorebox.files import replacing
from restorebox.inference import files
from restorebox.inference.encoding import QUALITY
from restorebox.inference.files import PictureFile
from restorebox.inference.findings import Findings, examine
from restorebox.inference.frame_restorer import NothingFound
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import RestoreJob, stamp_of
from restorebox.inference.output_log import OutputLog
from restorebox.inference.records import FileRecord, Kind, Status
from restorebox.inference.video import is_video
from restorebox.inference.video_timeout import restore_with_timeout
from restorebox.progress import Progress
from restorebox.storage import RemotePath, read, write

WAITING = 2  # pictures per thread that are read ahead, and pictures per thread in the write queue

T = TypeVar('T')
FULL = (errno.ENOSPC, errno.EDQUOT)


def restore_all(
    inferencer: RestoreInferencer,
    jobs: list[RestoreJob],
    record: Callable[[FileRecord], None] | None = None,
    outputs: OutputLog | None = None,
    *,
    find: bool = False,
    only_if_damaged: bool = False,
    quality: int = QUALITY,
    batch_size: int = 1,
    label: str | None = 'restore',
) -> list[str]:
    """Restore files, while others are read and written in threads.

    The queues are bounded, so that memory does not grow with the number of files. Pictures that run out of memory are
    tried again at the end, one at a time. An error concerns only its own file.

    Args:
        inferencer: the inferencer; its ``max_pixels`` limits the size of files.
        jobs: the files.
        record: called with the record of each file when it is finished, in the order of finishing; ``model`` and
            ``sha256`` are None.
        outputs: record of what made the outputs of a folder, which is continued.
        find: examine what was found in each picture or video; not at strength 0.
        only_if_damaged: copy pictures and videos in which nothing is found byte for byte; it implies ``find``.
        quality: of lossy formats, 1 to 100.
        batch_size: maximum number of pictures of one size in one pass of the network.
        label: description for the progress display; None for no display.

    Returns:
        A line with file and reason for each file that could not be restored.
    """
    bad: list[str] = []

    def keep(done: FileRecord) -> None:
        if done.error is not None:
            bad.append(done.error)
        if record is not None:
            record(done)

    _Queue(inferencer, keep, outputs, find, only_if_damaged, quality, batch_size).run(jobs, label)
    return bad


@dataclass
class _Work:
    """A file on its way; ``seconds`` is the time of its own work, ``stamp`` that of the source when it was read."""

    job: RestoreJob
    stamp: str | None = None
    read: PictureFile | None = None
    found: Findings | None = None
    seconds: float = 0.0

    def timed(self, work: Callable[..., T], *args: object) -> T:
        """Call a function and add its time."""
        start = time.perf_counter()
        try:
            return work(*args)
        finally:
            self.seconds += time.perf_counter() - start


def _read_picture(work: _Work, max_pixels: int) -> PictureFile:
    work.stamp = stamp_of(work.job.source)  # it may have changed since the run was planned
    return files.read_file(work.job.source, max_pixels)


class _Queue:
    """The work of :func:`restore_all`, with the same arguments."""

    def __init__(
        self,
        inferencer: RestoreInferencer,
        record: Callable[[FileRecord], None],
        outputs: OutputLog | None,
        find: bool,
        only_if_damaged: bool,
        quality: int,
        batch_size: int,
    ) -> None:
        self.inferencer, self.record, self.outputs = inferencer, record, outputs
        self.examined = only_if_damaged or (find and inferencer.tiler.strength > 0)
        self.only_if_damaged, self.quality, self.batch_size = only_if_damaged, quality, batch_size
        # one thread on a CPU, where more would compete with the network
        self._threads = 1 if inferencer.tiler.device.type == 'cpu' else 4
        self._alone = True  # whether a lack of memory is the picture's own
        self._again: list[RestoreJob] = []
        self._writing: deque[tuple[_Work, Future[FileRecord]]] = deque()

    def run(self, jobs: list[RestoreJob], label: str | None) -> None:
        """Restore files, then those again that ran out of memory."""
        self._alone = len(jobs) == 1
        self._run(jobs, label)
        self._alone = True
        again, self._again = self._again, []
        for job in again:
            self._run([job], None)

    def _run(self, jobs: list[RestoreJob], label: str | None) -> None:
        waiting: dict[object, list[_Work]] = {}  # pictures to be restored together, by size and bit depth
        with (
            ThreadPoolExecutor(self._threads) as readers,
            ThreadPoolExecutor(self._threads) as writers,
            nullcontext() if label is None else Progress(len(jobs), label) as progress,
        ):
            ahead = max(WAITING * self._threads, self.batch_size)
            for work, reading in _read_ahead(readers, jobs, ahead, self.inferencer.max_pixels):
                if reading is None:
                    done = self._settle(work, partial(self._restore_video, work))
                    if done is not None:
                        self.record(done)
                else:
                    work.read = self._settle(work, reading.result)
                if work.read is not None:
                    self._batch(work, work.read, waiting, writers)
                if progress is not None:
                    progress.advance()
            for works in waiting.values():
                self._restore(works, writers)
            self._finish(0)

    def _restore_video(self, work: _Work) -> FileRecord:
        job, restorer = work.job, self.inferencer.frame_restorer(self.examined)
        work.stamp = stamp_of(job.source)
        try:
            with self._writes(work, job.target):
                notes = work.timed(restore_with_timeout, self.inferencer, job, restorer, self.only_if_damaged)
        except NothingFound:
            with self._writes(work, job.copy, 'copied'):
                work.timed(_copy, job.source, job.copy)
            work.found = Findings(0.0, {})
            return _record(work, 'copied', job.copy, _copy_notes(job))
        work.found = None if restorer.findings is None else restorer.findings.median
        if self.outputs is not None and restorer.finds_nothing:  # known after all frames only
            self.outputs.note(job.target, 'nothing', work.stamp)
        return _record(work, 'restored', job.target, notes)

    def _batch(
        self, work: _Work, read: PictureFile, waiting: dict[object, list[_Work]], writers: ThreadPoolExecutor
    ) -> None:
        """Restore a picture as soon as enough of its size have been read, or others when too many wait."""
        if read.more:
            self._restore([work], writers)
            return
        group = (read.colours.shape, read.colours.dtype)
        waiting.setdefault(group, []).append(work)
        if len(waiting[group]) >= self.batch_size:
            self._restore(waiting.pop(group), writers)
        elif sum(map(len, waiting.values())) >= 2 * self.batch_size:
            self._restore(waiting.pop(next(iter(waiting))), writers)

    def _restore(self, works: list[_Work], writers: ThreadPoolExecutor) -> None:
        """Restore pictures of one size together, or one by one if that fails, and queue them for writing."""
        pictures = [work.read for work in works if work.read is not None]
        together: list[PictureFile] | None = None
        if len(works) > 1:
            start = time.perf_counter()
            try:
                together = self.inferencer.restore_batch(pictures)
                for work in works:
                    work.seconds += (time.perf_counter() - start) / len(works)
            except Exception:  # one of them is to blame, or there is not enough memory for all
                together = None
        for i, (work, picture) in enumerate(zip(works, pictures, strict=True)):
            if together is not None:
                restored: PictureFile | None = together[i]
            else:
                restored = self._settle(work, partial(work.timed, self.inferencer.restore_picture, picture))
            if restored is not None and self.examined:
                work.found = self._settle(work, partial(work.timed, examine, picture, restored, self._strength))
            work.read = None
            self._finish(WAITING * self._threads - 1)
            if restored is not None and (work.found is not None or not self.examined):
                self._writing.append((work, _submit(writers, self._write, work, restored)))

    @property
    def _strength(self) -> float:
        return self.inferencer.tiler.strength

    def _finish(self, most: int) -> None:
        """Wait for pictures to be written until at most ``most`` are left."""
        while len(self._writing) > most:
            work, written = self._writing.popleft()
            done = self._settle(work, written.result)
            if done is not None:
                self.record(done)

    def _settle(self, work: _Work, call: Callable[[], T]) -> T | None:
        """Return the result of a call, often of a future; on an error record it, or keep the file for a second try."""
        job = work.job
        try:
            return call()
        except Exception as error:
            if out_of_memory(error) and not self._alone:
                self._again.append(job)
                return None
            if isinstance(error, OSError) and error.errno in FULL:  # every further picture would be lost, too
                raise
            known = isinstance(error, (PictureError, OSError)) or out_of_memory(error)
            if not known and os.environ.get('RESTOREBOX_TRACEBACK'):
                raise
            self.record(_record(work, 'failed', job.target, error=_reason(job, error)))
        return None

    def _writes(self, work: _Work, output: Path | RemotePath, kind: Kind = 'same') -> AbstractContextManager[None]:
        return nullcontext() if self.outputs is None else self.outputs.writing(output, kind, work.stamp)

    def _write(self, work: _Work, restored: PictureFile) -> FileRecord:
        """Write a picture, or copy its source if nothing was found and this was asked for."""
        job = work.job
        nothing = work.found is not None and not work.found.strengths
        if self.only_if_damaged and nothing:
            with self._writes(work, job.copy, 'copied'):
                work.timed(lambda: write(job.copy, read(job.source)))
            return _record(work, 'copied', job.copy, _copy_notes(job))
        notes = list(restored.notes)
        if job.kind is not None and 'deep' not in FORMATS[job.kind].holds and restored.colours.dtype == np.uint16:
            restored = restored.in_8_bits()
            notes.append(f'16 bits became 8, all that {job.kind} holds')
        with self._writes(work, job.target, 'nothing' if nothing else 'same'):
            lost = work.timed(files.write_file, restored, job.target, self.quality)
        return _record(work, 'restored', job.target, [*notes, *lost])


def _record(
    work: _Work, status: Status, output: Path | RemotePath, notes: Sequence[str] = (), error: str | None = None
) -> FileRecord:
    found = None if work.found is None or error is not None else work.found.strengths
    own = () if error is not None or work.job.note is None else (work.job.note,)
    source = str(work.job.source)
    return FileRecord(source, str(output), status, None, None, work.seconds, found, error, (*own, *notes))


def _copy(source: Path, output: Path) -> None:
    """Copy a video, which may be larger than the memory."""
    with replacing(output) as beside:
        shutil.copyfile(source, beside)


def _copy_notes(job: RestoreJob) -> list[str]:
    renamed = f'nothing was found: copied as {job.copy.name}, in its own format'
    return [] if job.copy == job.target else [renamed]


def _reason(job: RestoreJob, error: Exception) -> str:
    """Return a line with the file and why it could not be restored."""
    if out_of_memory(error):
        size = files.picture_size(job.source)
        of = f' of {size[0]} x {size[1]}' if size else ''
        return f'{job.source}: not enough memory for a picture{of}; lower --memory or close other programs'
    line = one_line(error)
    if isinstance(error, PictureError):
        return line if printable(job.source) in line else f'{job.source}: {line}'
    if isinstance(error, OSError):
        return f'{job.source}: {error.filename or job.target}: {error.strerror or error}'
    return f'{job.source}: {type(error).__name__}: {line} (RESTOREBOX_TRACEBACK=1 shows where)'  # a bug


def _submit(pool: ThreadPoolExecutor, work: Callable[..., T], *args: object) -> Future[T]:
    """Submit a call to a pool; a failure to start a thread, as for lack of memory, is set on the returned future."""
    try:
        return pool.submit(work, *args)
    except (RuntimeError, MemoryError) as error:
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


def _read_ahead(
    readers: ThreadPoolExecutor, jobs: list[RestoreJob], ahead: int, max_pixels: int
) -> Iterator[tuple[_Work, Future[PictureFile] | None]]:
    """Yield each file with the future of its picture, None for a video; up to ``ahead`` further pictures are read."""
    reading: deque[tuple[_Work, Future[PictureFile] | None]] = deque()
    for job in jobs:
        work = _Work(job)
        video = is_video(job.source)
        future = None if video else _submit(readers, work.timed, _read_picture, work, max_pixels)
        reading.append((work, future))
        if len(reading) > ahead:
            yield reading.popleft()
    while reading:
        yield reading.popleft()
