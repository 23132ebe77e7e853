"""How far a long job is, and how long it still takes: a bar on a terminal, now and then a line in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

EVERY = 10.0  # seconds between two lines of a log


class Progress:
    """Counts pieces of work; a context manager.

    Args:
        total: pieces in all.
        label: what is being done.
    """

    def __init__(self, total: int, label: str) -> None:
        self.total, self.label, self.done = total, label, 0
        self._bar = None

    def __enter__(self) -> Progress:
        self._began = self._said = time.monotonic()
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
        """One piece is done."""
        self.done += 1
        if self._bar is not None:
            self._bar.advance(self._task)
            return
        now = time.monotonic()
        if now - self._said >= EVERY:
            self._said = now
            rate = self.done / (now - self._began)
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
