"""Progress display with remaining time: a bar on a terminal, otherwise lines at intervals."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

EVERY = 10.0  # seconds between two lines of a log


class Progress:
    """Progress counter; a context manager.

    Args:
        total: number of items.
        label: description of the job.
    """

    def __init__(self, total: int, label: str) -> None:
        self.total, self.label, self.done = total, label, 0
        self._bar: Any = None  # rich.progress.Progress, imported on a terminal only

    def __enter__(self) -> Progress:
        self._started = self._printed = time.monotonic()
        if sys.stderr.isatty():
            from rich import progress as rich
            from rich.console import Console

            columns = (rich.TextColumn('{task.description}'), rich.BarColumn(), rich.MofNCompleteColumn())
            timing = (rich.TimeElapsedColumn(), rich.TextColumn('left'), rich.TimeRemainingColumn())
            self._bar = rich.Progress(*columns, *timing, console=Console(stderr=True))
            self._task = self._bar.add_task(self.label, total=self.total)
            self._bar.start()
        return self

    def advance(self) -> None:
        """Count one finished item."""
        self.done += 1
        if self._bar is not None:
            self._bar.advance(self._task)
            return
        now = time.monotonic()
        if now - self._printed >= EVERY:
            self._printed = now
            rate = self.done / (now - self._started)
            left = (self.total - self.done) / rate
            print(
                f'{self.label}: {self.done} of {self.total}, {rate:.1f} a second, {left:.0f} s left',
                file=sys.stderr,
                flush=True,
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
