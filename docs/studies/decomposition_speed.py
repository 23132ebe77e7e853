"""Measure the decomposition of heavy rain: ten guided filters in one pass, compared with ten separate ones.

Run it from the root of the repository; it prints and writes docs/results/decomposition_speed.json:

    OMP_NUM_THREADS=1 python docs/studies/decomposition_speed.py

Both are timed alternately, and the result is the median of the ratios of the pairs. The separate filters use the usual
implementation with cumulative sums, as in the code of the authors. A second row uses the box mean of restorebox for
them, which separates the gain of shared work from that of a faster mean.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from restorebox.cli.common import guarded
from restorebox.layers.guided_filter import EPSILONS, RADII, box_means, guided_filters, residue

OUT = Path(__file__).resolve().parents[1] / 'results' / 'decomposition_speed.json'
SIDE = 256
PAIRS = 31
AT_MOST = 0.35


def running_sums(x: Tensor, r: int) -> Tensor:
    """Return the box mean of radius r over the pixels inside the image, by differences of float64 cumulative sums."""
    summed, count = x.double(), 1.0
    for axis in (-2, -1):
        length = x.shape[axis]
        at = torch.arange(length)
        last, before = (at + r).clamp(max=length - 1), (at - r - 1).clamp(min=-1)
        total = summed.cumsum(axis)
        total = torch.cat((torch.zeros_like(total.narrow(axis, 0, 1)), total), axis)
        summed = total.index_select(x.dim() + axis, last + 1) - total.index_select(x.dim() + axis, before + 1)
        size = (last - before).double()
        count = count * (size[:, None] if axis == -2 else size)
    return (summed / count).to(x.dtype)


def running_sums_float32(x: Tensor, r: int) -> Tensor:
    """Return the same in float32 with slices instead of indexing, which is faster; needs more than 2 r + 1 pixels."""
    for axis in (-2, -1):
        n, total = x.shape[axis], x.cumsum(axis)
        head = total.narrow(axis, r, r + 1)
        middle = total.narrow(axis, 2 * r + 1, n - 2 * r - 1) - total.narrow(axis, 0, n - 2 * r - 1)
        tail = total.narrow(axis, n - 1, 1) - total.narrow(axis, n - 2 * r - 1, r)
        x = torch.cat((head, middle, tail), axis)
    return x


def guided_filter(x: Tensor, guide: Tensor, r: int, eps: float, mean: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Apply one guided filter (He, Sun, Tang, ECCV 2010)."""
    mean_g, mean_x = mean(guide, r), mean(x, r)
    covariance = mean(guide * x, r) - mean_g * mean_x
    variance = mean(guide * guide, r) - mean_g * mean_g
    a = covariance / (variance + eps)
    return mean(a, r) * guide + mean(mean_x - a * mean_g, r)


def usual_mean(x: Tensor, r: int) -> Tensor:
    """Return sums in float32 divided by sums of ones."""
    return running_sums_float32(x, r) / running_sums_float32(torch.ones_like(x[:1, :1]), r)


def our_mean(x: Tensor, r: int) -> Tensor:
    """Return the box mean of restorebox."""
    return next(box_means(x, (r,)))


def ten(x: Tensor, guide: Tensor, mean: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Apply all ten filters one after the other."""
    return torch.cat([guided_filter(x, guide, r, eps, mean) for r in RADII for eps in EPSILONS], 1)


def ratios(ours: Callable[[], Tensor], theirs: Callable[[], Tensor]) -> dict[str, float]:
    """Return the time ratios of ours to theirs of alternating runs, and the medians of both in milliseconds."""
    pairs = []
    for i in range(PAIRS + 3):
        took = {}
        for each in (ours, theirs) if i % 2 else (theirs, ours):
            start = time.perf_counter()
            each()
            took[each] = time.perf_counter() - start
        pairs.append((took[ours], took[theirs]))
    quotients = sorted(a / b for a, b in pairs[3:])
    return {
        'median': round(statistics.median(quotients), 3),
        'smallest': round(quotients[0], 3),
        'largest': round(quotients[-1], 3),
        'ours_ms': round(1e3 * statistics.median(a for a, _ in pairs[3:]), 2),
        'theirs_ms': round(1e3 * statistics.median(b for _, b in pairs[3:]), 2),
    }


def main() -> None:
    """Measure, print and write the results."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 16, 16, generator=rng)
    x = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode='bicubic').clamp(0, 1)
    x = (x + 0.05 * torch.randn(x.shape, generator=rng)).clamp(0, 1)
    guide = residue(x)
    ours = lambda: guided_filters(x, guide)  # noqa: E731
    exact = ten(x.double(), guide.double(), running_sums)
    record = {
        'size': SIDE,
        'pairs': PAIRS,
        'threads': 1,
        'torch': torch.__version__,
        'machine': platform.machine(),
        'at_most': AT_MOST,
        'largest_difference': float((ours() - exact).abs().max()),
        'ratio': ratios(ours, lambda: ten(x, guide.expand_as(x), usual_mean)),
        'ratio_guide_of_one_channel': ratios(ours, lambda: ten(x, guide, usual_mean)),
        'ratio_with_our_means': ratios(ours, lambda: ten(x, guide, our_mean)),
    }
    for name, value in record.items():
        print(f'{name:28} {value}')
    OUT.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)
