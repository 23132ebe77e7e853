"""Measure how many pictures of 512x512 per second every named recipe renders on one core.

Run it from the root of the repository; it prints a table and writes docs/results/degradations_speed.json:

    OMP_NUM_THREADS=1 python docs/studies/degradations_speed.py
"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path

import cv2
import numpy as np

from restorebox.degradations import build_degradation
from restorebox.degradations.recipes import RECIPES

OUT = Path(__file__).resolve().parents[1] / 'results' / 'degradations_speed.json'
SIDE = 512
DRAWS = 21
AT_LEAST = {'light_rain': 20, 'heavy_rain': 8, 'moderate': 20}  # pictures per second


def seconds(name: str, picture: np.ndarray) -> list[float]:
    """Return the times of several draws after a warm-up."""
    degradation, took = build_degradation(name), []
    for seed in range(DRAWS + 2):
        start = time.perf_counter()
        degradation(picture, np.random.default_rng(seed))
        took.append(time.perf_counter() - start)
    return took[2:]


def main() -> None:
    """Measure, print and write the results."""
    cv2.setNumThreads(1)
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    figures = {}
    print(f'pictures of {SIDE}x{SIDE} per second: median and slowest of {DRAWS} draws')
    for name in RECIPES:
        took = seconds(name, picture)
        figures[name] = {'median': round(1 / float(np.median(took)), 1), 'slowest': round(1 / max(took), 1)}
        wanted = f'   at least {AT_LEAST[name]}' if name in AT_LEAST else ''
        print(f'{name:14} {figures[name]["median"]:8.1f} {figures[name]["slowest"]:8.1f}{wanted}')
    record = {
        'size': SIDE,
        'draws': DRAWS,
        'threads': 1,
        'machine': platform.machine(),
        'python': platform.python_version(),
        'numpy': np.__version__,
        'opencv': cv2.__version__,
        'pictures_per_second': figures,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    main()
