"""Measurement of time and memory for benchmarks."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from restorebox.errors import ConfigError

T = TypeVar('T')


def device_name() -> str:
    """Return the name of the GPU, or 'cpu'."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def time_call(work: Callable[[T], object], item: T) -> tuple[float, float]:
    """Return the wall-clock and CPU seconds of a call."""
    synchronise()
    start, busy = time.perf_counter(), time.process_time()
    work(item)
    synchronise()
    return time.perf_counter() - start, time.process_time() - busy


def time_alternately(works: Sequence[Callable[[T], object]], items: Sequence[T], rounds: int) -> list[list[float]]:
    """Return the seconds of each function per item and round; functions alternate, after a warm-up."""
    for work in works:
        work(items[0])
    return [[time_call(work, item)[0] for work in works] for _ in range(rounds) for item in items]


def peak_memory() -> int:
    """Return the peak in bytes since the process started: torch's allocations on a GPU, resident size on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def reset_peak_memory() -> int:
    """Return the bytes in use now and reset the peak.

    Raises:
        ConfigError: on a CPU of another system than Linux.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    try:
        Path('/proc/self/clear_refs').write_text('5')  # 5: the peak of the resident size
        return resident_size('VmRSS')
    except OSError as error:
        raise ConfigError(f'memory on a CPU can be measured on Linux only: {error}') from None


def peak_memory_since_reset() -> int:
    """Return the peak in bytes since :func:`reset_peak_memory`."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else resident_size('VmHWM')


def resident_size(key: str = 'VmRSS', process: int | str = 'self') -> int:
    """Return a size of a process in /proc/PROCESS/status in bytes; the peak of getrusage would include the parent's.

    Args:
        key: ``'VmRSS'``: the resident size; ``'VmHWM'``: its peak.
        process: number of the process, by default this one.

    Raises:
        ConfigError: there is no such entry.
    """
    for line in Path(f'/proc/{process}/status').read_text().splitlines():
        if line.startswith(f'{key}:'):
            return int(line.split()[1]) * 1024
    raise ConfigError(f'/proc/{process}/status has no {key}: memory on a CPU can be measured on Linux only')


def descendants(process: int) -> list[int]:
    """Return the number of a process and those of all processes that it, or one of these, has started. Linux only.

    Those in sessions of their own, such as torchrun's ranks, are included.
    """
    children: dict[int, list[int]] = {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            parent = int(stat.read_text().rpartition(')')[2].split()[1])
        except OSError:  # it has just ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [process]
    for each in found:
        found += children.get(each, [])
    return found


def proportional_size(process: int) -> int:
    """Return the proportional set size of a process in bytes, 0 if it has ended. Linux only.

    Pages that several processes share count in parts, so that sizes of processes can be summed.
    """
    try:
        lines = Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith('Pss:')), 0)


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the distribution-free 95 % interval of the median; None for fewer than six values, which give none.

    The bounds are the order statistics whose ranks a binomial distribution with p = 1/2 gives. A few values that other
    load on the machine falsified do not move them.
    """
    count, tail, outside = len(values), 0.0, -1
    for rank in range(count // 2):
        tail += math.comb(count, rank) / 2**count
        if 2 * tail > 0.05:
            break
        outside = rank
    ordered = sorted(values)
    return None if outside < 0 else (ordered[outside], ordered[-1 - outside])


def compare_pairs(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Compare times of two things that were measured in turn.

    Args:
        pairs: (first, second) of each repeat, in seconds.

    Returns:
        ``seconds``, the median of each; ``ratio``, the median of second / first, with its ``interval`` (see
        :func:`median_interval`) and ``range``; ``pairs``, how many.
    """
    ratios = [second / first for first, second in pairs]
    return {
        'seconds': [statistics.median(first for first, _ in pairs), statistics.median(second for _, second in pairs)],
        'ratio': statistics.median(ratios),
        'interval': median_interval(ratios),
        'range': [min(ratios), max(ratios)],
        'pairs': len(pairs),
    }
