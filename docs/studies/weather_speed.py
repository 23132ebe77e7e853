"""Measure the cost for a picture of 481x321: seconds in fp32 and bf16, alternately; operations; number of weights.

    python docs/studies/weather_speed.py CHECKPOINT

Prints and writes docs/results/weather_speed.json. The times are those of one machine; their ratio is more general.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from restorebox.cli.common import guarded
from restorebox.engine.published import load_restorer

OUT = Path(__file__).resolve().parents[1] / 'results' / 'weather_speed.json'
HEIGHT, WIDTH = 321, 481
PAIRS = 9


def seconds(restorer: torch.nn.Module, lq: torch.Tensor, bf16: bool) -> float:
    """Return the seconds for one picture, including padding and cropping."""
    start = time.perf_counter()
    with torch.autocast('cpu', torch.bfloat16, enabled=bf16):
        restorer.restore(lq)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    restorer = load_restorer(args.checkpoint)
    lq = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        whole = restorer.restore(lq)['pred']
    with torch.autocast('cpu', torch.bfloat16):
        half = restorer.restore(lq)['pred']
    took = [(seconds(restorer, lq, False), seconds(restorer, lq, True)) for _ in range(PAIRS)]
    result = {
        'picture': f'{WIDTH}x{HEIGHT}',
        'weights': sum(p.numel() for name in restorer.deployed for p in restorer.role(name).parameters()),
        'tflop': counter.get_total_flops() / 1e12,
        'threads': args.threads,
        'load_average': round(os.getloadavg()[0], 2),
        'pairs': PAIRS,
        'seconds_fp32': statistics.median(a for a, _ in took),
        'seconds_bf16': statistics.median(b for _, b in took),
        'bf16_over_fp32': statistics.median(b / a for a, b in took),
        'largest_difference_bf16': float((whole - half).abs().max()),
        'mean_difference_bf16': float((whole - half).abs().mean()),
        'torch': torch.__version__,
    }
    OUT.write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result, indent=1))


if __name__ == '__main__':
    guarded(main)
