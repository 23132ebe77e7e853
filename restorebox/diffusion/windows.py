"""Sampling of pictures of any size: estimates of a network trained on crops are averaged over windows.

Özdenizci and Legenstein, "Restoring Vision in Adverse Weather Conditions with Patch-Based Denoising Diffusion Models"
(TPAMI 2023): at every step the noise estimates of overlapping windows are averaged, and the picture as a whole takes
the step.
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
SCRATCH = 2.25  # what kernels take and allocators hold back, over the tensors alive: 2.2 was seen on a CPU


def window_starts(length: int, size: int, stride: int) -> list[int]:
    """First pixels of windows along an axis; the last window ends with the axis, whatever the stride.

    Args:
        length: of the axis, at least ``size``.
        size: of a window.
        stride: from window to window, at most ``size``.
    """
    starts = list(range(0, length - size + 1, stride))
    return starts if starts[-1] == length - size else [*starts, length - size]


def window_grid(height: int, width: int, size: int, stride: int) -> list[tuple[int, int]]:
    """(top, left) of windows that cover every pixel."""
    lefts = window_starts(width, size, stride)
    return [(top, left) for top in window_starts(height, size, stride) for left in lefts]


def check_windows(size: int, stride: int, memory: float) -> None:
    """Refuse windows that don't exist or leave gaps.

    Raises:
        ConfigError: says which number.
    """
    if not isinstance(size, int) or size < 1:
        raise ConfigError(f'window is {size!r}; it must be a whole number of pixels')
    if not isinstance(stride, int) or not 1 <= stride <= size:
        raise ConfigError(f'window_stride is {stride!r}; it must be a whole number from 1 to window ({size})')
    if not memory > 0:
        raise ConfigError(f'window_memory is {memory}; it must be a positive number of MiB')


class WindowAverage:
    """An estimate for crops -> one for whole pictures.

    Args:
        estimate: ``(n, C, size, size)`` and what is the same for all windows -> ``(n, K, size, size)``, each on its
            own.
        size: side of a window.
        stride: from window to window.
        memory: MiB that a batch of windows may take besides the whole picture; a single window is always run.

    Raises:
        ConfigError: see :func:`check_windows`.
    """

    def __init__(self, estimate: Callable[..., Tensor], size: int, stride: int, memory: float) -> None:
        check_windows(size, stride, memory)
        self.estimate = estimate
        self.size = size
        self.stride = stride
        self.memory = memory
        self.batch: int | None = None  # found with the first window

    def __call__(self, x: Tensor, *rest: object) -> Tensor:
        """``(N, C, H, W)``, at least a window -> ``(N, K, H, W)``: at each pixel the mean over the windows on it.

        Args:
            x: whole pictures.
            rest: handed to the estimate as it is.
        """
        count, _, height, width = x.shape
        size = self.size
        grid = window_grid(height, width, size, self.stride)
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
        return total / weight

    def _first(self, window: Tensor, *rest: object) -> Tensor:
        """Run one window, and see from it how many fit into the memory."""
        with PeakBytes() as seen:
            out = self.estimate(window, *rest)
        self.batch = max(1, int(self.memory * MIB / max(1, SCRATCH * seen.peak)))
        return out


class PeakBytes(TorchDispatchMode):
    """Counts what the tensors made inside it take at most at a time.

    Attributes:
        peak: bytes. Weights and inputs are not counted, since they were there before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> object:
        """Run an operation and look at what it made."""
        out = func(*args, **(kwargs or {}))
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in given:  # a view of something that is there already
                    self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return out
