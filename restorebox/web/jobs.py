"""Restorations whose results are fetched later."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from restorebox.web.exchange import RequestRefused
from restorebox.web.restorations import Restoration, Restorations

NO_JOB = 'there is no such job; results are kept for ten minutes'


@dataclass(eq=False)
class Job:
    """A job.

    Attributes:
        restoration: what is restored; its key is the job's.
        ended: time at which it ended, ``time.monotonic()``; None before.
    """

    restoration: Restoration
    ended: float | None = None
    error: RequestRefused | None = field(default=None)
    file: Path | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """``waiting``, ``running``, ``done`` or ``failed``."""
        if self.ended is None:
            return 'running' if self.restoration.started else 'waiting'
        return 'failed' if self.error else 'done'

    def finish(self, result: Future[tuple[Path, list[str]]]) -> None:
        """Store the result or the error of the restoration."""
        error = result.exception()
        if error is None:
            self.file, self.notes = result.result()
        else:
            self.error = error if isinstance(error, RequestRefused) else RequestRefused(500, 'internal server error')
        self.ended = time.monotonic()


class Jobs:
    """Jobs by their keys, which only the client that made a job knows.

    Args:
        restorations: queue that works on them.
        age: seconds for which a result is kept.
        capacity: maximum size of all results in bytes; beyond it the oldest are removed.
        count: maximum number of ended jobs; beyond it the oldest are removed.
    """

    def __init__(self, restorations: Restorations, age: float, capacity: int, count: int) -> None:
        self.restorations = restorations
        self.age, self.capacity, self.count = age, capacity, count
        self._jobs: dict[str, Job] = {}

    def add(self, restoration: Restoration) -> Job:
        """Queue a restoration as a job."""
        self.tidy()
        job = Job(restoration)
        restoration.result.add_done_callback(job.finish)
        self.restorations.add(restoration)
        self._jobs[restoration.key] = job
        return job

    def find(self, key: str) -> Job:
        """Return a job.

        Raises:
            RequestRefused: there is none with this key.
        """
        self.tidy()
        if key not in self._jobs:
            raise RequestRefused(404, NO_JOB)
        return self._jobs[key]

    def remove(self, job: Job) -> None:
        """Cancel a job if it has not ended, and remove its result."""
        self._jobs.pop(job.restoration.key, None)
        self.restorations.cancel(job.restoration)

    def cancel_all(self) -> None:
        """Cancel the jobs that have not ended."""
        for job in list(self._jobs.values()):
            if job.ended is None:
                self.remove(job)

    def tidy(self) -> None:
        """Remove expired results, and the oldest above the limits."""
        ended = [(job.ended, job) for job in list(self._jobs.values()) if job.ended is not None]
        ended.sort(key=lambda each: each[0])
        sizes = [_size(job.file) for _, job in ended]
        total, now = sum(sizes), time.monotonic()
        for number, ((end, job), size) in enumerate(zip(ended, sizes, strict=True)):
            if now - end <= self.age and total <= self.capacity and len(ended) - number <= self.count:
                break
            total -= size
            self.remove(job)


def _size(path: Path | None) -> int:
    try:
        return path.stat().st_size if path is not None else 0
    except OSError:
        return 0
