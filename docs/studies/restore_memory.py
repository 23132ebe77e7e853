"""Measure the memory for a photograph of 6000x4000, and the difference between tiled and untiled output.

    python docs/studies/restore_memory.py

Uses the included weights. Writes docs/results/restore_memory.json and .md. The input is an enlarged photograph of
scikit-image with synthetic heavy rain.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from restorebox import RestoreInferencer
from restorebox.cli.common import guarded
from restorebox.cli.restore import main as restore
from restorebox.degradations import build_degradation
from restorebox.demo.photographs import packaged
from restorebox.engine.measuring import peak_memory_since_reset, reset_peak_memory
from restorebox.inference import Tiler

OUT = Path(__file__).resolve().parents[1] / 'results' / 'restore_memory'
LARGE, MIDDLE = (6000, 4000), (1500, 1000)
TILES = (400, 200)  # MiB: the second is too short for the margins that statistics over 512 pixels need


def rainy(size: tuple[int, int]) -> np.ndarray:
    """Return a rainy picture of (width, height): HWC uint8."""
    path = packaged([('skimage', 'data', 'coffee.png')])[0]
    rain = build_degradation('heavy_rain')
    clean = np.asarray(Image.open(path).convert('RGB').resize(MIDDLE, Image.Resampling.LANCZOS))
    lq = rain(clean, np.random.default_rng(0))['lq']
    small = Image.fromarray((lq.clip(0, 1) * 255).round().astype(np.uint8))
    return np.asarray(small if size == MIDDLE else small.resize(size, Image.Resampling.BICUBIC))


def memory_of_large() -> dict:
    """Return the peak memory minus that of a process that has only imported everything; it includes the model."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / 'large.jpg'
        Image.fromarray(rainy(LARGE)).save(source, quality=92)
        before, start = reset_peak_memory(), time.perf_counter()
        restore([str(source), '--out', f'{folder}/out', '--device', 'cpu'])
        seconds = time.perf_counter() - start
        with Image.open(f'{folder}/out/large.jpg') as made:
            assert made.size == LARGE
        return {'mib_over_idle': (peak_memory_since_reset() - before) / 2**20, 'seconds': seconds}


def tiles_against_whole(precision: str, memory: int) -> dict:
    """Return the differences between tiled and untiled output in 1/255."""
    inferencer = RestoreInferencer(device='cpu', precision=precision)
    bf16 = precision == 'bf16'
    picture = rainy(MIDDLE)
    whole = Tiler(inferencer.restorer, 1e6, bf16=bf16)
    tiles = Tiler(inferencer.restorer, memory, bf16=bf16)
    rows, columns, _ = tiles.plan(*picture.shape[:2])
    difference = np.abs(whole(picture).astype(int) - tiles(picture))
    count = len(rows) * len(columns)
    return {'tiles': count, 'mean': float(difference.mean()), 'largest': int(difference.max())}


def main() -> None:
    """Measure, print and write the results."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    figures = {
        'picture': '{}x{}'.format(*LARGE),
        **memory_of_large(),
        'compared': '{}x{}'.format(*MIDDLE),
        'precision': RestoreInferencer(device='cpu').precision,
        'rows': [
            {'mib': memory, 'precision': name, **tiles_against_whole(name, memory)}
            for memory in TILES
            for name in ('fp32', 'bf16')
        ],
        'threads': torch.get_num_threads(),
        'torch': torch.__version__,
    }
    OUT.with_suffix('.json').write_text(json.dumps(figures, indent=1) + '\n')
    lines = [
        f'| {row["mib"]} | {row["precision"]} | {row["tiles"]} | {row["mean"]:.3f} | {row["largest"]} |'
        for row in figures['rows']
    ]
    text = (
        '<!-- written by docs/studies/restore_memory.py -->\n\nWith the shipped weights, on a CPU: a JPEG of '
        f'{figures["picture"]} takes {figures["mib_over_idle"]:.0f} MiB at its peak above the idle process, the model '
        f'included ({figures["precision"]}). A picture of {figures["compared"]} in tiles against the same whole, in '
        '1/255:\n\n| `--memory` | precision | tiles | mean difference | largest |\n|---|---|---|---|---|\n'
    )
    text += '\n'.join(lines) + '\n'
    OUT.with_suffix('.md').write_text(text)
    print(text)


if __name__ == '__main__':
    guarded(main)
