"""Queue of restorations: one thread restores pictures in order of arrival, those of one size together."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Thread
from typing import TypeVar

from restorebox.datasets.formats import FORMATS
from restorebox.errors import NonFiniteError, PictureError, out_of_memory
from restorebox.inference.files import PictureFile, picture_size, write_file
from restorebox.web.exchange import RequestRefused
from restorebox.web.failures import explain
from restorebox.web.metrics import Metrics
from restorebox.web.negotiation import check_holds
from restorebox.web.service import RestorationService

T = TypeVar('T')
BATCH = 8  # maximum number of pictures restored together
BATCH_PIXELS = 4 * 10**6  # maximum number of pixels restored together, which bounds the memory of decoded pictures


@dataclass(eq=False)
class Restoration:
    """Restoration of one uploaded picture.

    Attributes:
        source: uploaded file; removed when it has been read.
        name: the client's name of the picture, for messages.
        kind: format of the result, a key of :data:`~restorebox.web.negotiation.MEDIA_TYPES`.
        model: name of a model of the service.
        strength: 0 to 2.
        result: the restored file, and a line for each thing that could not be kept; or a :class:`RequestRefused`.
        progress: (done, total) tiles or steps; total is 0 before it is known.
        cancelled: set to true if nobody waits for the result.
        started: whether it is being restored.
        key: random name of the result's file, and of a job.
        size: (width, height) from the file's header, or None.
    """

    source: Path
    name: str
    kind: str
    model: str
    strength: float
    result: Future[tuple[Path, list[str]]] = field(default_factory=Future)
    progress: tuple[int, int] = (0, 0)
    cancelled: bool = False
    started: bool = False
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.result.set_running_or_notify_cancel()  # an asyncio future that waits for it can't cancel it

    def stop_if_cancelled(self) -> None:
        """Raise RequestRefused if nobody waits for the result."""
        if self.cancelled:
            raise RequestRefused(410, f'{self.name}: cancelled')

    def fails(self, error: RequestRefused) -> None:
        """End with an error."""
        if not self.result.done():
            self.result.set_exception(error)


class Restorations:
    """Queue of restorations with one thread.

    Args:
        service: restores pictures; the page may use the same one.
        folder: private folder for results.
        metrics: counts pictures and times.
    """

    def __init__(self, service: RestorationService, folder: Path, metrics: Metrics) -> None:
        self.service = service
        self.folder = folder
        self.metrics = metrics
        self._waiting: deque[Restoration] = deque()
        self._condition = Condition()
        self._thread = Thread(target=self._run, name='restorations', daemon=True)
        metrics.waiting.set_function(lambda: len(self._waiting))
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def add(self, restoration: Restoration) -> None:
        """Append a restoration to the queue."""
        restoration.size = picture_size(restoration.source)
        with self._condition:
            self._waiting.append(restoration)
            self._condition.notify()

    def cancel(self, restoration: Restoration) -> None:
        """Remove a restoration from the queue, or stop it after the current tile; its files are removed."""
        with self._condition:
            restoration.cancelled = True
            with suppress(ValueError):
                self._waiting.remove(restoration)
                restoration.source.unlink(missing_ok=True)
                restoration.fails(RequestRefused(410, f'{restoration.name}: cancelled'))
        restoration.result.add_done_callback(_remove_result)

    def _run(self) -> None:
        while True:
            group = self._next()
            try:
                self._restore(group)
            except Exception as error:  # a bug here must not leave clients waiting
                for each in group:
                    each.fails(explain(error, each.name, each.model, self.folder))

    def _next(self) -> list[Restoration]:
        """Wait for a restoration, and take with it others of the same model, strength and size."""
        with self._condition:
            self._condition.wait_for(lambda: bool(self._waiting))
            group = [self._waiting.popleft()]
            first = group[0]
            if first.size is not None:
                most = min(BATCH, max(1, BATCH_PIXELS // max(1, first.size[0] * first.size[1])))
                alike = [each for each in self._waiting if self._alike(first, each)]
                group += alike[: most - 1]
                for each in group[1:]:
                    self._waiting.remove(each)
            for each in group:
                each.started = True
        return group

    @staticmethod
    def _alike(one: Restoration, other: Restoration) -> bool:
        return (one.model, one.strength, one.size) == (other.model, other.strength, other.size)

    def _restore(self, group: list[Restoration]) -> None:
        """Read, restore and write pictures; each ends with a result or an error of its own."""
        read: dict[tuple, list[tuple[Restoration, PictureFile]]] = {}
        for each in group:
            picture = self._attempt(each, self._read)
            if picture is not None:  # orientation and bit depth may differ within one size of the header
                read.setdefault((picture.colours.shape, picture.colours.dtype), []).append((each, picture))
        for members in read.values():
            start = time.monotonic()
            restored = self._together(members)
            self.metrics.network.observe(time.monotonic() - start)
            for (each, _), picture in zip(members, restored, strict=True):
                if picture is not None:
                    done = self._attempt(each, self._write, picture)
                    if done is not None:
                        each.result.set_result(done)

    def _together(self, members: list[tuple[Restoration, PictureFile]]) -> list[PictureFile | None]:
        """Restore pictures of one size together; on an error one by one, so that it concerns its picture only."""
        first = members[0][0]
        self.metrics.batch.observe(len(members))
        if len(members) > 1:
            try:
                return [*self.service.restore_batch([each for _, each in members], first.model, first.strength)]
            except Exception as error:
                if not isinstance(error, (PictureError, NonFiniteError)) and not out_of_memory(error):
                    for each, _ in members:
                        each.fails(explain(error, each.name, each.model, self.folder))
                    return [None] * len(members)
        return [self._attempt(each, self._alone, picture) for each, picture in members]

    def _alone(self, each: Restoration, picture: PictureFile) -> PictureFile:
        def report(done: int, total: int) -> None:
            each.progress = done, total
            each.stop_if_cancelled()

        return self.service.restore_batch([picture], each.model, each.strength, report)[0]

    def _read(self, each: Restoration) -> PictureFile:
        try:
            picture = self.service.read(each.source, each.name)
        finally:
            with suppress(OSError):
                each.source.unlink()
        each.stop_if_cancelled()
        return picture

    def _write(self, each: Restoration, picture: PictureFile) -> tuple[Path, list[str]]:
        target = self.folder / f'{each.key}{FORMATS[each.kind].suffixes[0]}'
        check_holds(picture, each.kind, each.name)
        notes = [*picture.notes, *write_file(picture, target)]
        self.metrics.pixels.inc(picture.colours.shape[0] * picture.colours.shape[1])
        return target, notes

    def _attempt(self, each: Restoration, work: Callable[..., T], *args: object) -> T | None:
        """Return the result of ``work(each, *args)``; None after an error, which becomes that of the restoration."""
        try:
            return work(each, *args)
        except Exception as error:
            each.fails(explain(error, each.name, each.model, self.folder))
            return None


def _remove_result(result: Future[tuple[Path, list[str]]]) -> None:
    if result.exception() is None:
        result.result()[0].unlink(missing_ok=True)
