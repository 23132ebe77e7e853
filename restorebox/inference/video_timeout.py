"""Restoration of a video with a timeout for reads from an unresponsive disk."""

from __future__ import annotations

import sys
import threading
import time

from restorebox.errors import PictureError, printable
from restorebox.files import read_limit
from restorebox.inference.clips import Note
from restorebox.inference.frame_restorer import FrameRestorer
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import RestoreJob

IDLE = 0.05  # fraction of a core; a process that waits for a disk uses less


def print_note(line: str) -> None:
    """Print a note about a video, see :data:`~restorebox.inference.clips.Note`."""
    print(f'note: {printable(line)}', file=sys.stderr, flush=True)


class _RestoreThread(threading.Thread):
    """Thread that restores a video; ``frames`` counts its progress."""

    def __init__(
        self,
        inferencer: RestoreInferencer,
        job: RestoreJob,
        note: Note,
        restorer: FrameRestorer,
        only_if_damaged: bool,
    ) -> None:
        super().__init__(daemon=True)
        self.inferencer, self.job, self.note = inferencer, job, note
        self.restorer, self.only_if_damaged = restorer, only_if_damaged
        self.frames = 0
        self.abandoned = False
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        """Restore the video; an error is stored in ``error``."""
        try:
            self.inferencer.restore_video(
                self.job.source, self.job.target, self.count, self.note, self.restorer, self.only_if_damaged
            )
        except BaseException as error:  # raised by restore_with_timeout
            self.error = error
        finally:
            self.ended.set()

    def count(self, done: int, total: int) -> None:
        """Record a finished frame; stops the thread if it has been abandoned."""
        self.frames = done
        if self.abandoned:
            raise PictureError('abandoned')


def restore_with_timeout(
    inferencer: RestoreInferencer, job: RestoreJob, restorer: FrameRestorer, only_if_damaged: bool = False
) -> list[str]:
    """Restore a video in a thread, which is abandoned if a read blocks, since it can't be stopped.

    A video is read while it is decoded. A slow frame is distinguished from a blocked read by the CPU time of the
    process.

    Args:
        inferencer: the inferencer.
        job: the video and its output.
        restorer: see :meth:`RestoreInferencer.restore_video`, as for the next argument.
        only_if_damaged: whether nothing is written if nothing is found.

    Returns:
        The notes about the video, which are printed as well; the last one is its flicker if it was filtered.

    Raises:
        NothingFound: with ``only_if_damaged``; no note is printed, since the video is copied unchanged then.
        PictureError, OSError: see :func:`restorebox.inference.video.restore_video`; or a read blocked for
            :func:`restorebox.files.read_limit` seconds.
    """
    limit = read_limit()
    notes: list[str] = []

    def note(line: str) -> None:
        notes.append(line.removeprefix(f'{job.source}: '))
        if not only_if_damaged:
            print_note(line)

    clip = _RestoreThread(inferencer, job, note, restorer, only_if_damaged)
    clip.start()
    tick, idle, before = min(1.0, limit), 0.0, (0, time.process_time())
    try:
        while not clip.ended.wait(tick):
            now = (clip.frames, time.process_time())
            at_work = now[0] != before[0] or now[1] - before[1] > IDLE * tick
            idle, before = (0.0 if at_work else idle + tick), now
            if idle >= limit:
                clip.abandoned = True
                reason = f'it gave nothing for {limit:g} seconds; is its disk gone?'
                raise PictureError(f"{job.source}: can't be read ({reason})")
    except KeyboardInterrupt:
        clip.abandoned = True
        clip.join(limit)  # until its current frame is done, so that the temporary file is removed
        raise
    if clip.error is not None:
        raise clip.error
    printed = 0 if only_if_damaged else len(notes)
    findings, flicker = restorer.findings, restorer.flicker
    if findings is not None and 0 < findings.damaged < findings.sampled:
        notes.append(f'damage in {findings.damaged} of {findings.sampled} sampled frames')
    if flicker is not None:
        notes.append(str(flicker))
    for line in notes[printed:]:
        print_note(f'{job.source}: {line}')
    return notes
