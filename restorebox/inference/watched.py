"""Restoring a clip under watch: given up where its disk gives nothing any more."""

from __future__ import annotations

import sys
import threading
import time

from restorebox.errors import PictureError, printable
from restorebox.files import read_limit
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import RestoreJob

IDLE = 0.05  # of a core: what a process takes at most that waits for a disk


def say(line: str) -> None:
    """Print what is changed or not kept of a clip that is restored."""
    print(f'note: {printable(line)}', file=sys.stderr, flush=True)


class _Clip(threading.Thread):
    """Restores a clip, and shows how far it is."""

    def __init__(self, inferencer: RestoreInferencer, job: RestoreJob) -> None:
        super().__init__(daemon=True)
        self.inferencer, self.job = inferencer, job
        self.frames = 0
        self.given_up = False
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        """Restore."""
        try:
            self.inferencer.restore_video(self.job.source, self.job.target, self.count, note=say)
        except BaseException as error:  # the caller raises it
            self.error = error
        finally:
            self.ended.set()

    def count(self, done: int, total: int) -> None:
        """A frame is done."""
        self.frames = done
        if self.given_up:
            raise PictureError('nobody waits for it any more')


def restore_watched(inferencer: RestoreInferencer, job: RestoreJob) -> None:
    """Restore a clip in a thread, which is left behind where a read gives nothing: it can't be stopped.

    A clip is read while it is decoded. So what tells a frame that takes long from a disk that is gone is the processor,
    which is at work for the one and not for the other.

    Raises:
        PictureError, OSError: see :func:`restorebox.inference.video.restore_video`; or a read gave nothing for
            :func:`restorebox.files.read_limit` seconds.
    """
    limit = read_limit()
    clip = _Clip(inferencer, job)
    clip.start()
    tick, idle, before = min(1.0, limit), 0.0, (0, time.process_time())
    try:
        while not clip.ended.wait(tick):
            now = (clip.frames, time.process_time())
            at_work = now[0] != before[0] or now[1] - before[1] > IDLE * tick
            idle, before = (0.0 if at_work else idle + tick), now
            if idle >= limit:
                clip.given_up = True
                reason = f'it gave nothing for {limit:g} seconds; is its disk gone?'
                raise PictureError(f"{job.source}: can't be read ({reason})")
    except KeyboardInterrupt:
        clip.given_up = True
        clip.join(limit)  # until the frame that it is at is done, so that nothing half-written stays
        raise
    if clip.error is not None:
        raise clip.error
