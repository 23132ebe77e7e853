"""Progress display with rate and remaining time: a bar on a terminal, otherwise a line per minute."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

EVERY = 60.0  # seconds between two lines of a log


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
            timing = (rich.TextColumn('{task.fields[rate]}'), rich.TimeRemainingColumn(), rich.TextColumn('left'))
            # rich would print what goes to a redirected stdout on the terminal
            console, terminal = Console(stderr=True), sys.stdout.isatty()
            self._bar = rich.Progress(*columns, *timing, console=console, redirect_stdout=terminal)
            self._task = self._bar.add_task(self.label, total=self.total, rate='')
            self._bar.start()
        return self

    def advance(self) -> None:
        """Count one finished item."""
        self.done += 1
        now = time.monotonic()
        rate = self.done / max(now - self._started, 1e-6)
        speed = f'{rate:.1f} a second' if rate >= 1 else f'{60 * rate:.1f} a minute'
        if self._bar is not None:
            self._bar.update(self._task, advance=1, rate=f'{speed},')
        elif now - self._printed >= EVERY:
            self._printed = now
            left = (self.total - self.done) / rate
            print(
                f'{self.label}: {self.done} of {self.total}, {speed}, {left:.0f} s left',
                file=sys.stderr,
                flush=True,
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
