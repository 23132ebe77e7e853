"""Time and memory of a network's work, for benchmarks: waiting for the device, peaks of memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from restorebox.errors import ConfigError

T = TypeVar('T')


def device_name() -> str:
    """The GPU's name, or 'cpu'."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def clocked(work: Callable[[T], object], item: T) -> tuple[float, float]:
    """Seconds that a call takes, by the clock and of the processor."""
    synchronise()
    start, busy = time.perf_counter(), time.process_time()
    work(item)
    synchronise()
    return time.perf_counter() - start, time.process_time() - busy


def time_in_turn(works: Sequence[Callable[[T], object]], items: Sequence[T], rounds: int) -> list[list[float]]:
    """Seconds of each function for each item in each round, the functions in turn; each does the first item before."""
    for work in works:
        work(items[0])
    return [[clocked(work, item)[0] for work in works] for _ in range(rounds) for item in items]


def peak_memory() -> int:
    """Bytes since the process began: torch's allocations on a GPU, the process's resident size on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def held_before() -> int:
    """Bytes that are held now; the peak is counted anew from here.

    Raises:
        ConfigError: on a CPU of another system than Linux.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    try:
        Path('/proc/self/clear_refs').write_text('5')  # 5: the peak of the resident size
        return _resident('VmRSS')
    except OSError as error:
        raise ConfigError(f'memory on a CPU can be measured on Linux only: {error}') from None


def peak_since() -> int:
    """Bytes at the peak since :func:`held_before`."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _resident('VmHWM')


def _resident(key: str) -> int:
    """Bytes of this process under a key of /proc/self/status; getrusage's peak would include the parent's."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(f'{key}:'):
            return int(line.split()[1]) * 1024
    raise ConfigError(f'/proc/self/status has no {key}: memory on a CPU can be measured on Linux only')
