"""Where the time of the three slowest rows against other code goes: arithmetic, memory, or Python.

    OMP_NUM_THREADS=1 python docs/studies/limits.py

The rows are layered heavy rain and line rain on 256x256 windows and gain control at 1x24x48x48, forward and backward.
Processor seconds on one thread, medians. For each: the share of the processor's matrix rate that its multiplications
reach, the share of the memory's copy rate that reading each input and writing each output once would take, the time of
the same call on a tiny input, which is what the calls cost without data, and the functions with the largest own time.
The rates are measured here, on matrices of 1024x1024 and on a copy of 64 MiB. Writes docs/results/limits.json and .md.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from restorebox.cli.common import guarded
from restorebox.degradations import build_degradation
from restorebox.layers.gain_control import GainControl

OUT = Path(__file__).resolve().parents[1] / 'results' / 'limits'
WINDOW, TINY = 256, 8
GAIN, TINY_GAIN = (1, 24, 48, 48), (1, 24, 2, 2)
REPEATS, PROFILED, TOP = 31, 40, 4


def seconds(work: Callable[[int], object]) -> float:
    """Return the median processor seconds of a call, after two that warm up; it gets the number of the repeat."""
    took = []
    for number in range(REPEATS + 2):
        start = time.process_time()
        work(number)
        took.append(time.process_time() - start)
    return statistics.median(took[2:])


def rates() -> dict[str, float]:
    """Return multiplications and additions per second in float32, and bytes copied per second (read plus written)."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    source, target = torch.rand(2**24), torch.empty(2**24)
    return {
        'flop_per_second': 2 * 1024**3 / seconds(lambda _: torch.mm(a, b)),
        'bytes_per_second': 2 * source.nbytes / seconds(lambda _: target.copy_(source)),
    }


def top(work: Callable[[int], object]) -> dict[str, float]:
    """Return the functions with the largest own time and its share; NumPy's operators count to their caller."""
    profile = cProfile.Profile()
    profile.enable()
    for number in range(PROFILED):
        work(number)
    profile.disable()
    found = pstats.Stats(profile).stats
    whole = sum(row[2] for row in found.values())
    names = {
        f'{Path(file).name}:{name}' if file != '~' else name.strip('<>'): row[2] / whole
        for (file, _, name), row in sorted(found.items(), key=lambda item: -item[1][2])[:TOP]
    }
    return {name: round(share, 3) for name, share in names.items()}


def rain(name: str) -> Callable[[int, int], object]:
    """Return a function that renders rain on a window of a side; the first argument is the seed."""
    degradation = build_degradation(name)
    pictures = {
        side: np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (WINDOW, TINY)
    }
    return lambda number, side: degradation(pictures[side], np.random.default_rng(number))


def gain(size: tuple[int, ...]) -> Callable[[int], object]:
    """Return a function that runs gain control forward and backward."""
    rng = torch.Generator().manual_seed(0)
    layer, x = GainControl(size[1]), torch.randn(size, generator=rng).requires_grad_()
    slope = torch.randn(size, generator=rng)

    def run(_: int) -> None:
        x.grad = None
        layer(x).backward(slope)

    return run


def main() -> None:
    """Measure, print and write the results."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    load, machine, found = os.getloadavg()[0], rates(), {}
    works: dict[str, tuple[Callable[[int], object], Callable[[int], object], float, float]] = {}
    for name in ('heavy_rain', 'line_rain'):
        render = rain(name)
        moved = 2 * WINDOW * WINDOW * 3  # a picture of uint8 in, one out
        works[f'{name}, {WINDOW}x{WINDOW}'] = (
            lambda number, render=render: render(number, WINDOW),
            lambda number, render=render: render(number, TINY),
            0.0,
            moved,
        )
    pixels, channels = GAIN[2] * GAIN[3], GAIN[1]
    # a channel product in the forward pass, and two in the backward pass: to the input and to the weights
    flop = 3 * 2 * pixels * channels**2
    works[f'gain control, {"x".join(map(str, GAIN))}'] = (gain(GAIN), gain(TINY_GAIN), flop, 4 * 4 * pixels * channels)
    for name, (work, tiny, flop, moved) in works.items():
        took = seconds(work)
        found[name] = {
            'seconds': took,
            'arithmetic': flop / machine['flop_per_second'] / took,
            'memory': moved / machine['bytes_per_second'] / took,
            'calls': seconds(tiny) / took,
            'top': top(work),
        }
        print(name, json.dumps(found[name]), flush=True)
    record = {'torch': torch.__version__, 'threads': 1, 'load': load, **machine, 'rows': found}
    OUT.with_suffix('.json').write_text(json.dumps(record, indent=1) + '\n')
    OUT.with_suffix('.md').write_text(table(record))


def table(record: dict) -> str:
    """Return the results in Markdown."""
    lines = [
        '<!-- written by docs/studies/limits.py -->',
        '',
        '| row | ms | matrix products, at the measured rate | each byte once, at the measured rate | tiny input '
        '| largest own times |',
        '|---' * 6 + '|',
    ]
    for name, row in record['rows'].items():
        shares = ' | '.join(f'{100 * row[key]:.1f} %' for key in ('arithmetic', 'memory', 'calls'))
        own = ', '.join(f'`{function}` {100 * share:.0f} %' for function, share in row['top'].items())
        lines.append(f'| {name} | {1000 * row["seconds"]:.2f} | {shares} | {own} |')
    lines += ['', f'{record["flop_per_second"] / 1e9:.0f} GFLOP/s in matrix products and '
              f'{record["bytes_per_second"] / 1e9:.1f} GB/s in copies on one thread, torch '
              f'{record["torch"].split("+")[0]}, load {record["load"]:.0f}.']  # fmt: skip
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    guarded(main)
