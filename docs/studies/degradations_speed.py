"""Measure how many pictures per second the degradations render on one core.

Run it from the root of the repository; it prints tables and writes docs/results/degradations_speed.json:

    OMP_NUM_THREADS=1 python docs/studies/degradations_speed.py [--windows FOLDER [--before CHECKOUT] [--peer PYTHON]]

Without options every named recipe renders pictures of 512x512. ``--windows`` measures the work of a data loader's
worker on windows of 256x256 of the photographs in FOLDER, with reading and cropping apart: line rain and heavy rain of
this version, of a CHECKOUT of an earlier one, and RandomRain of Albumentations, for which PYTHON is an interpreter that
has it (release 2.0.8, MIT licence; not a dependency). Each measurement is a process of its own; they alternate, and a
figure is the median processor time of a stage in a process. Ratios are medians over the rounds with their 95 %
interval.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from restorebox.cli.common import guarded

REPO = Path(__file__).resolve().parents[2]
OUT = REPO / 'docs' / 'results' / 'degradations_speed.json'
SIDE, WINDOW = 512, 256
DRAWS = 21
ROUNDS, PICTURES = 7, 40
AT_LEAST = {'light_rain': 20, 'heavy_rain': 8, 'moderate': 20}  # pictures per second


def seconds(name: str, picture: np.ndarray) -> list[float]:
    """Return the processor seconds of several draws after a warm-up."""
    from restorebox.degradations import build_degradation

    degradation, took = build_degradation(name), []
    for seed in range(DRAWS + 2):
        start = time.process_time()
        degradation(picture, np.random.default_rng(seed))
        took.append(time.process_time() - start)
    return took[2:]


def recipes() -> dict:
    """Measure every recipe."""
    from restorebox.degradations.recipes import RECIPES

    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    figures, load = {}, os.getloadavg()[0]
    print(f'pictures of {SIDE}x{SIDE} per second: median and slowest of {DRAWS} draws')
    for name in RECIPES:
        took = seconds(name, picture)
        figures[name] = {'median': round(1 / float(np.median(took)), 1), 'slowest': round(1 / max(took), 1)}
        wanted = f'   at least {AT_LEAST[name]}' if name in AT_LEAST else ''
        print(f'{name:14} {figures[name]["median"]:8.1f} {figures[name]["slowest"]:8.1f}{wanted}')
    return {
        'size': SIDE,
        'draws': DRAWS,
        'threads': 1,
        'load': round(load, 1),
        'machine': platform.machine(),
        'python': platform.python_version(),
        'numpy': np.__version__,
        'opencv': cv2.__version__,
        'pictures_per_second': figures,
    }


def stages(folder: Path, peer: bool, keep: bool) -> dict[str, float]:
    """Return the median processor seconds of each stage over the pictures of a folder.

    Args:
        folder: with pictures of at least 256x256.
        peer: measure RandomRain instead of our rain.
        keep: let the process keep freed memory, as our workers do.
    """
    from restorebox import processes
    from restorebox.datasets.reading import list_pictures, read_picture

    if keep and hasattr(processes, 'keep_freed_memory'):  # an earlier version has none
        processes.keep_freed_memory()
    paths = list_pictures(folder)[:PICTURES]
    rain: dict[str, Callable] = {}
    if peer:
        import albumentations

        for kind in ('default', 'heavy'):
            transform = albumentations.RandomRain(rain_type=kind, p=1.0)
            transform.set_random_seed(0)
            rain[f'random_rain_{kind}'] = lambda window, rng, transform=transform: transform(image=window)
    else:
        from restorebox.degradations import build_degradation

        rain = {name: build_degradation(name) for name in ('line_rain', 'heavy_rain')}
    took: dict[str, list[float]] = {}

    def timed(stage: str, work: Callable, *arguments: object) -> object:
        start = time.process_time()
        result = work(*arguments)
        took.setdefault(stage, []).append(time.process_time() - start)
        return result

    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        picture = timed('reading', read_picture, path)
        top, left = (int(rng.integers(side - WINDOW + 1)) for side in picture.shape[:2])
        window = timed('cropping', np.copy, picture[top : top + WINDOW, left : left + WINDOW])
        for name, render in rain.items():
            timed(name, render, window, np.random.default_rng(number))
    return {stage: statistics.median(values[3:]) for stage, values in took.items()}


def windows(args: argparse.Namespace) -> dict:
    """Measure all sides in turn; return seconds of each stage and the ratios of ours to the others."""
    from restorebox.engine.measuring import compare_pairs

    sides = {'ours': (sys.executable, REPO, ['--keep'])}
    if args.before:
        sides['before'] = (sys.executable, args.before, [])
    if args.peer:
        sides['peer'] = (args.peer, REPO, [])
        sides['peer, keeping freed memory'] = (args.peer, REPO, ['--keep'])
    rounds: list[dict[str, dict[str, float]]] = []
    for _ in range(ROUNDS):
        rounds.append({})
        for name, (python, checkout, words) in sides.items():
            words = [*words, *(['--of-peer'] if name.startswith('peer') else [])]
            environment = {**os.environ, 'PYTHONPATH': str(checkout), 'OMP_NUM_THREADS': '1'}
            environment['NO_ALBUMENTATIONS_UPDATE'] = '1'
            command = [str(python), __file__, '--stages', str(args.windows), *words]
            run = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=True)
            rounds[-1][name] = json.loads(run.stdout.splitlines()[-1])
    figures: dict = {'window': WINDOW, 'pictures': PICTURES, 'rounds': ROUNDS, 'milliseconds': {}, 'ratios': {}}
    for name in sides:
        middle = {stage: statistics.median(each[name][stage] for each in rounds) for stage in rounds[0][name]}
        figures['milliseconds'][name] = {stage: round(1000 * value, 3) for stage, value in middle.items()}
    against = {'before': ('line_rain', 'heavy_rain')}
    against['peer'] = against['peer, keeping freed memory'] = ('random_rain_default', 'random_rain_heavy')
    for other in [name for name in sides if name != 'ours']:
        for ours, theirs in zip(('line_rain', 'heavy_rain'), against[other], strict=True):
            pairs = [(each[other][theirs], each['ours'][ours]) for each in rounds]
            found = compare_pairs(pairs)
            figures['ratios'][f'{ours} / {theirs} ({other})'] = {
                key: found[key] for key in ('ratio', 'interval', 'range')
            }
    return figures


def show(figures: dict) -> None:
    """Print milliseconds and windows per second of each stage, and the ratios."""
    for name, each in figures['milliseconds'].items():
        for stage, value in each.items():
            print(f'{name:28} {stage:20} {value:8.3f} ms {1000 / value:8.0f} a second')
    for name, each in figures['ratios'].items():
        low, high = each['interval']
        print(f'{name:64} {each["ratio"]:.3f} ({low:.3f} to {high:.3f})')


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--windows', type=Path, metavar='FOLDER', help='photographs of at least 256x256')
    parser.add_argument('--before', type=Path, metavar='CHECKOUT', help='of an earlier version')
    parser.add_argument('--peer', type=Path, metavar='PYTHON', help='an interpreter that has Albumentations')
    parser.add_argument('--stages', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--of-peer', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--keep', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    if args.stages:
        print(json.dumps(stages(args.stages, args.of_peer, args.keep)))
        return
    record = json.loads(OUT.read_text()) if OUT.is_file() else {}
    if args.windows:
        record['windows'] = windows(args)
        show(record['windows'])
    else:
        record |= recipes()
    OUT.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)
