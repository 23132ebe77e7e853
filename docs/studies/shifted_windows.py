"""Score and time of sampling in shifted windows against overlapping ones, with the same weights.

    OMP_NUM_THREADS=1 python docs/studies/shifted_windows.py CHECKPOINT FOLDER

CHECKPOINT is one of configs/raindiffusion/raindiffusion_demo.py, FOLDER has clean photographs. Windows of 64 with
WeatherDiffusion's stride 16, 10 steps; windows of SIZE with rendered light rain, both samplers on each in turn.
Processor seconds on one thread. Writes docs/results/shifted_windows.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from restorebox.cli.common import guarded
from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.degradations import build_degradation
from restorebox.engine.checkpoint import deployed_state, load_file
from restorebox.engine.config import load_config
from restorebox.engine.measuring import compare_pairs
from restorebox.metrics.protocols import protocol
from restorebox.pixels import to_tensor
from restorebox.registry import RESTORERS

OUT = Path(__file__).resolve().parents[1] / 'results' / 'shifted_windows.json'
CONFIG, DEGRADATION, SIZE, PICTURES = 'configs/raindiffusion/raindiffusion_demo.py', 'light_rain', (160, 192), 6
SAMPLING = {'steps': 10, 'window': 64, 'window_stride': 16, 'window_memory': 512}


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('folder', type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, state = load_config(CONFIG).model.to_dict(), deployed_state(load_file(args.checkpoint))
    restorers = {}
    for mode in ('overlap', 'shifted'):
        restorers[mode] = RESTORERS.build({**model, 'sampling': {**model['sampling'], **SAMPLING, 'mode': mode}}).eval()
        restorers[mode].load_weights(state, restorers[mode].deployed)
    degrade, score, load = build_degradation(DEGRADATION), protocol('psnr_y'), os.getloadavg()[0]
    seconds, scores = [], []
    for number, path in enumerate(list_pictures(args.folder)[:PICTURES]):
        clean = np.ascontiguousarray(read_picture(path)[: SIZE[0], : SIZE[1]])
        lq = to_tensor(degrade(clean, np.random.default_rng(number))['lq'], torch.device('cpu'))
        took, got = [], []
        for restorer in restorers.values():
            start = time.process_time()
            out = restorer.restore(lq, rng=torch.Generator().manual_seed(number))['pred']
            took.append(time.process_time() - start)
            got.append(score(out[0].permute(1, 2, 0).numpy(), clean / 255))
        seconds.append(tuple(took))
        scores.append(got)
        print(path.name, took, got, flush=True)
    losses = [a - b for a, b in scores]
    record = {
        'config': CONFIG,
        'degradation': DEGRADATION,
        'size': SIZE,
        'sampling': SAMPLING,
        'threads': 1,
        'load': [load, os.getloadavg()[0]],
        'torch': torch.__version__,
        **compare_pairs(seconds),
        'psnr_y': {mode: statistics.mean(each[i] for each in scores) for i, mode in enumerate(restorers)},
        'loss': statistics.mean(losses),
        'loss_range': [min(losses), max(losses)],
    }
    OUT.write_text(json.dumps(record, indent=1) + '\n')
    print(json.dumps(record, indent=1))


if __name__ == '__main__':
    guarded(main)
