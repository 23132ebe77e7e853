"""Measure the memory of the heavy-rain model for a large picture on a CPU, without tiles.

Run it from the root of the repository in its own process; it prints and writes docs/results/heavy_rain_memory.json:

    OMP_NUM_THREADS=1 python docs/studies/heavy_rain_memory.py

Both stages have the width of the paper and random weights, because memory does not depend on the weights. Peak memory
is that of the process.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from pathlib import Path

import torch

from restorebox.cli.common import guarded
from restorebox.engine.config import load_config
from restorebox.registry import RESTORERS

OUT = Path(__file__).resolve().parents[1] / 'results' / 'heavy_rain_memory.json'
HEIGHT, WIDTH = 1080, 1920
AT_MOST = 4.0  # GiB


def peak() -> float:
    """Return the peak memory of this process in GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def main() -> None:
    """Restore a picture, print and write the results."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    model = load_config('configs/heavy_rain/heavy_rain_outdoor_rain_stage2.py').model.to_dict()
    restorer = RESTORERS.build(model).eval()
    before = peak()
    picture = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    start = time.perf_counter()
    with torch.no_grad():
        out = restorer.restore(picture, shared=restorer.estimate_shared(picture))
    assert out['pred'].shape == picture.shape
    record = {
        'size': [HEIGHT, WIDTH],
        'config': 'configs/heavy_rain/heavy_rain_outdoor_rain_stage2.py',
        'at_most_gib': AT_MOST,
        'peak_gib': peak(),
        'before_gib': before,
        'minutes': round((time.perf_counter() - start) / 60, 1),
        'threads': torch.get_num_threads(),
        'machine': platform.machine(),
        'torch': torch.__version__,
    }
    print(json.dumps(record, indent=1))
    OUT.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)
