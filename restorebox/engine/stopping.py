"""Stop of a training at Ctrl-C, SIGTERM or Slurm's warning signal, after its state has been saved."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, is_distributed

from restorebox.processes import keep_freed_memory

# SIGUSR1: sent before the end of the time limit by `#SBATCH --signal=USR1@120`
SIGNALS = tuple(getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGUSR1') if hasattr(signal, name))


class TrainingStopped(KeyboardInterrupt):
    """A training was stopped by a signal; the message names the checkpoint to resume from.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


def shield_worker(worker_id: int, inner: Callable[[int], None] | None = None) -> None:
    """Let a data loader's worker ignore the signals that a terminal or Slurm sends to all processes of a training.

    It also keeps freed memory, see :func:`restorebox.processes.keep_freed_memory`.

    The training needs its batches until it has saved a checkpoint. A worker ends with its training, and at a SIGTERM
    that the training itself sends when it ends. torch's own handler would end it at that of any process.

    Args:
        worker_id: number of the worker.
        inner: the ``worker_init_fn`` that the loader had.
    """
    keep_freed_memory()
    for each in SIGNALS:
        if each != signal.SIGTERM:
            signal.signal(each, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if inner is not None:
        inner(worker_id)


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


class StopRequest:
    """Context in which a signal is noted instead of ending the process at once.

    A second Ctrl-C in a process without other ranks ends it immediately.
    """

    def __init__(self) -> None:
        self.number = 0
        self._owner = os.getpid()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for each in SIGNALS:
                self._previous[each] = signal.signal(each, self._note)
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        for each, previous in self._previous.items():
            signal.signal(each, previous)
        self._previous = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a worker that has not called shield_worker yet
            return
        if number == signal.SIGINT and self.number == number and not is_distributed():
            raise KeyboardInterrupt
        self.number = self.number or number

    def agreed(self) -> int:
        """Return the number of a signal that any rank has received, 0 for none. Collective: every rank must call it."""
        if not is_distributed():
            return self.number
        number = torch.tensor(self.number, device=get_device())
        all_reduce(number, 'max')
        return int(number)
