"""Sampling of pictures of any size by averaging the estimates of overlapping windows.

Özdenizci and Legenstein, "Restoring Vision in Adverse Weather Conditions with Patch-Based Denoising Diffusion Models"
(TPAMI 2023): at each step the noise estimates of overlapping windows are averaged; the step is then applied to
the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from restorebox.errors import ConfigError

MIB = 2**20
# multiples of these, modulo 1, are spread evenly over the square: the inverse powers of the root of x^3 = x + 1
OFFSETS = (0.7548776662466927, 0.5698402909980532)
SCRATCH = 2.25  # memory of workspaces and allocator per byte of live tensors; measured 2.2 on a CPU


def window_starts(length: int, size: int, stride: int) -> list[int]:
    """Return the first pixels of the windows along an axis; the last window is aligned to the end of the axis.

    Args:
        length: length of the axis in pixels, at least ``size``.
        size: side of a window in pixels.
        stride: distance between windows in pixels, at most ``size``.
    """
    starts = list(range(0, length - size + 1, stride))
    return starts if starts[-1] == length - size else [*starts, length - size]


def shifted_starts(length: int, size: int, offset: int) -> list[int]:
    """Return the first pixels of windows that cover an axis and overlap only at its two ends.

    Args:
        length: see :func:`window_starts`, as is ``size``.
        size: of a window.
        offset: of the grid in pixels, from 0 to ``size`` - 1.
    """
    return sorted({0, *range(offset, length - size + 1, size), length - size})


def window_grid(height: int, width: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Return (top, left) of windows that cover every pixel."""
    lefts = window_starts(width, size, stride)
    return [(top, left) for top in window_starts(height, size, stride) for left in lefts]


def check_windows(size: int, stride: int, memory: float) -> None:
    """Check that the windows are valid and leave no gaps.

    Raises:
        ConfigError: an invalid number; the message names it.
    """
    if not isinstance(size, int) or size < 1:
        raise ConfigError(f'window is {size!r}; it must be a whole number of pixels')
    if not isinstance(stride, int) or not 1 <= stride <= size:
        raise ConfigError(f'window_stride is {stride!r}; it must be a whole number from 1 to window ({size})')
    if not memory > 0:
        raise ConfigError(f'window_memory is {memory}; it must be a positive number of MiB')


class WindowAverage:
    """Average of a function over overlapping windows of a picture.

    Args:
        estimate: windows ``(n, C, size, size)`` and arguments that are equal for all windows ->
            ``(n, K, size, size)``; windows must not influence each other.
        size: side of a window in pixels.
        stride: distance between windows in pixels.
        memory: memory limit of a batch of windows in MiB, without the whole picture; the batch size is at least 1.

    Raises:
        ConfigError: see :func:`check_windows`.
    """

    def __init__(self, estimate: Callable[..., Tensor], size: int, stride: int, memory: float) -> None:
        check_windows(size, stride, memory)
        self.estimate = estimate
        self.size = size
        self.stride = stride
        self.memory = memory
        self.batch: int | None = None  # measured with the first window

    def grid(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return (top, left) of the windows of the next call."""
        return window_grid(height, width, self.size, self.stride)

    def __call__(self, x: Tensor, *rest: object) -> Tensor:
        """Return ``(N, K, H, W)``: at each pixel the mean over the windows that contain it.

        Args:
            x: pictures ``(N, C, H, W)``, H and W at least ``size``.
            rest: passed to ``estimate`` unchanged.
        """
        count, _, height, width = x.shape
        size = self.size
        grid = self.grid(height, width)
        places = [(i, top, left) for i in range(count) for top, left in grid]
        total = weight = None
        done = 0
        while done < len(places):
            chosen = places[done : done + (self.batch or 1)]
            windows = torch.stack([x[i, :, top : top + size, left : left + size] for i, top, left in chosen])
            out = self.estimate(windows, *rest) if self.batch else self._first(windows, *rest)
            if total is None:
                total = out.new_zeros(count, out.shape[1], height, width)
                weight = out.new_zeros(1, height, width)
                for top, left in grid:
                    weight[:, top : top + size, left : left + size] += 1
            for (i, top, left), one in zip(chosen, out, strict=True):
                total[i, :, top : top + size, left : left + size] += one
            done += len(chosen)
        assert total is not None  # there is at least one window
        assert weight is not None
        return total / weight

    def _first(self, window: Tensor, *rest: object) -> Tensor:
        """Run one window and set the batch size from its peak memory."""
        with PeakBytes() as measured:
            out = self.estimate(window, *rest)
        self.batch = max(1, int(self.memory * MIB / max(1, SCRATCH * measured.peak)))
        return out


class ShiftedWindows(WindowAverage):
    """As :class:`WindowAverage`, with fewer windows: a grid without overlap whose offset changes in each call.

    Borders of windows are then at other pixels in each sampling step. The last call averages overlapping windows, since
    nothing would hide the borders of its grid.

    Args:
        estimate: see :class:`WindowAverage`, as are ``size``, ``stride`` (of the last call) and ``memory``.
        steps: number of calls.
    """

    def __init__(self, estimate: Callable[..., Tensor], size: int, stride: int, memory: float, steps: int) -> None:
        super().__init__(estimate, size, stride, memory)
        self.steps = steps
        self.calls = 0

    def grid(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return (top, left) of the windows of the next call."""
        self.calls += 1
        if self.calls == self.steps:
            return super().grid(height, width)
        top, left = (int(self.size * (self.calls * ratio % 1)) for ratio in OFFSETS)
        lefts = shifted_starts(width, self.size, left)
        return [(y, x) for y in shifted_starts(height, self.size, top) for x in lefts]


class PeakBytes(TorchDispatchMode):
    """Context manager that measures the peak memory of the tensors created inside it.

    Attributes:
        peak: peak memory in bytes, without tensors that existed before, such as weights and inputs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> object:
        """Run an operation and record the memory of its outputs."""
        out = func(*args, **(kwargs or {}))
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in given:  # not a view of an input
                    self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return out
