"""Measure the overhead of diffusion sampling in windows, and whether it stays within its memory limit.

    python docs/studies/window_sampling.py

A picture of 256x192 is sampled in windows of 64 with stride 32 and 25 steps, with the light U-Net of diffusion_demo and
random weights. Sampling and the mere network passes of the same batches are timed alternately in CPU seconds, which do
not depend on other load on the machine. Memory is measured in fresh processes, one per limit: the increase of the
resident set over its value after a picture of a single window. Prints and writes docs/results/window_sampling.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from restorebox.cli.common import guarded
from restorebox.diffusion import WindowAverage, window_grid
from restorebox.diffusion.windows import MIB, PeakBytes
from restorebox.registry import RESTORERS
from restorebox.restorers.diffusion import DiffusionRestorer

OUT = Path(__file__).resolve().parents[1] / 'results' / 'window_sampling.json'
HEIGHT, WIDTH, WINDOW, STRIDE, STEPS = 192, 256, 64, 32, 25
BUDGETS = (64, 128, 256, 512)  # MiB
LIGHT = dict(type='DDPMUNet', base_width=32, multipliers=(1, 2, 2, 4), blocks=1, attention=(4,))


def build(budget: float, steps: int = STEPS) -> DiffusionRestorer:
    """Return the light model that samples in windows."""
    torch.manual_seed(0)
    sampling = dict(
        mode='overlap', steps=steps, clip_x0=True, window=WINDOW, window_stride=STRIDE, window_memory=budget
    )
    return RESTORERS.build(
        dict(
            type='DiffusionRestorer',
            prediction='x0',
            denoiser=dict(backbone=LIGHT, head=dict(type='NoiseHead')),
            sampling=sampling,
        )
    ).eval()


def picture() -> torch.Tensor:
    """Return the test picture, which is always the same."""
    return torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


def batch_of(restorer: DiffusionRestorer) -> int:
    """Return the number of windows per batch that the limit allows."""
    average = WindowAverage(restorer._network, WINDOW, STRIDE, restorer.sampling.window_memory)
    with torch.no_grad():
        average(torch.rand(1, 6, WINDOW, WINDOW), 1)
    return average.batch


@torch.no_grad()
def passes(restorer: DiffusionRestorer, batch: int) -> None:
    """Run only the network passes of one sampling: one window, then full batches, then the remainder."""
    windows = len(window_grid(HEIGHT, WIDTH, WINDOW, STRIDE))
    sizes = [1] + [batch] * ((windows - 1) // batch) + [(windows - 1) % batch] * ((windows - 1) % batch > 0)
    crops = torch.rand(batch, 6, WINDOW, WINDOW)
    for step in range(STEPS):
        for size in sizes if step == 0 else [batch] * (windows // batch) + [windows % batch] * (windows % batch > 0):
            restorer.denoiser(crops[:size], timestep=torch.full((size,), 500))


def seconds(work: callable) -> float:
    """Return CPU seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def resident() -> float:
    """Return the resident set of this process in MiB."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def memory(budget: float) -> dict:
    """Return the memory of this process for one limit."""
    build(budget, steps=5).restore(torch.rand(1, 3, 64, 64))  # libraries load, kernels are set up
    restorer, lq = build(budget, steps=5), picture()
    before = resident()
    restorer.restore(lq)
    risen = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    batch = batch_of(restorer)
    with PeakBytes() as seen, torch.no_grad():
        restorer.denoiser(torch.rand(batch, 6, WINDOW, WINDOW), timestep=torch.full((batch,), 500))
    return {
        'budget_mib': budget,
        'windows_per_batch': batch,
        'tensors_mib': round(seen.peak / MIB, 1),
        'resident_risen_mib': round(risen, 1),
    }


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pairs', type=int, default=3)
    parser.add_argument('--budget', type=float, help='measure the memory of this one, in MiB, and print it')
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.budget:
        print(json.dumps(memory(args.budget)))
        return
    command = [sys.executable, __file__, '--budget']
    each = [
        json.loads(subprocess.run([*command, str(b)], check=True, capture_output=True, text=True).stdout)
        for b in BUDGETS
    ]
    restorer, lq = build(256), picture()
    batch = batch_of(restorer)
    both = [
        (seconds(lambda: restorer.restore(lq)), seconds(lambda: passes(restorer, batch))) for _ in range(args.pairs)
    ]
    result = {
        'picture': f'{WIDTH}x{HEIGHT}',
        'window': WINDOW,
        'stride': STRIDE,
        'windows': len(window_grid(HEIGHT, WIDTH, WINDOW, STRIDE)),
        'steps': STEPS,
        'weights': sum(p.numel() for p in restorer.parameters()),
        'threads': 1,
        'load_average': round(os.getloadavg()[0], 2),
        'pairs': args.pairs,
        'cpu_seconds': statistics.median(a for a, _ in both),
        'cpu_seconds_of_the_passes': statistics.median(b for _, b in both),
        'ratio': statistics.median(a / b for a, b in both),
        'ratio_range': [min(a / b for a, b in both), max(a / b for a, b in both)],
        'windows_per_batch': batch,
        'memory': each,
        'within_the_budget': all(m['resident_risen_mib'] <= m['budget_mib'] for m in each),
        'torch': torch.__version__,
    }
    OUT.write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result, indent=1))


if __name__ == '__main__':
    guarded(main)
