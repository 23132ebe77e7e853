"""Separate the error of a model on pairs into a wrong brightness or veil, and detail.

    python docs/studies/weather_errors.py CHECKPOINT --data FOLDER --out NAME

Sets, cutting and restoring as in weather_scores.py. With the clean image known, the output is corrected in four steps
of which each contains the one before, and the mean psnr_y is computed after each:

- offset: the mean of each channel becomes that of the clean image;
- scale: each channel is a * x + b, by least squares: one airlight and one transmission for the whole image;
- local: the error is reduced by its Gaussian blur of 24 pixels: a veil that varies over the image;
- fine: the same with 6 pixels.

What a correction gains is the share of the error that a better estimate of brightness or veil could remove; what is
left after the last one is detail, such as streaks, noise and blur. Writes docs/results/NAME.json and NAME.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from weather_scores import PAIRS, RESULTS, SHRUNK, read, restore_whole

from restorebox.cli.common import guarded
from restorebox.engine.checkpoint import sha256
from restorebox.engine.published import load_restorer
from restorebox.metrics.protocols import protocol

LOCAL, FINE = 24, 6  # standard deviations of the Gaussian in pixels
COLUMNS = ('input', 'output', 'offset', 'scale', 'local', 'fine')


def scaled(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Return a * pred + b per channel with the least squared error; HWC."""
    out = np.empty_like(pred)
    for c in range(pred.shape[2]):
        x, y = pred[..., c].astype(np.float64), gt[..., c].astype(np.float64)
        variance = x.var()
        a = ((x - x.mean()) * (y - y.mean())).mean() / variance if variance else 1.0
        out[..., c] = a * (x - x.mean()) + y.mean()
    return out


def corrected(pred: np.ndarray, gt: np.ndarray) -> dict[str, np.ndarray]:
    """Return the output after each correction; HWC float32 in [0, 1], not clipped."""
    by_scale = scaled(pred, gt)
    return {
        'offset': pred + (gt - pred).mean((0, 1)),
        'scale': by_scale,
        'local': by_scale + cv2.GaussianBlur(gt - by_scale, (0, 0), LOCAL),
        'fine': by_scale + cv2.GaussianBlur(gt - by_scale, (0, 0), FINE),
    }


def table(summary: dict[str, dict[str, float]]) -> str:
    """Return the means as Markdown."""
    lines = [
        '| set | input | output | offset | scale | local | fine | output - clean, levels |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for name, row in summary.items():
        cells = ' | '.join(f'{row[column]:.2f}' for column in COLUMNS)
        lines.append(f'| {name} | {cells} | {row["bias"]:+.1f} |')
    return '\n'.join(lines)


def main() -> None:
    """Restore, correct, score and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--out', required=True, help='name of the files in docs/results')
    args = parser.parse_args()
    restorer, psnr = load_restorer(args.checkpoint), protocol('psnr_y')
    tables: dict[str, list[dict]] = {}
    for name, (folder, list_pairs) in PAIRS.items():
        tables[name] = []
        for record in list_pairs(args.data / folder):
            lq, gt = read(record, 'lq'), read(record, 'gt')
            pred = restore_whole(restorer, lq)
            versions = {'input': lq, 'output': pred, **corrected(pred, gt)}
            row = {key: psnr(np.clip(each, 0, 1).astype(np.float32), gt) for key, each in versions.items()}
            tables[name].append({'name': record['name'], **row, 'bias': float((pred - gt).mean() * 255)})
        print(name, flush=True)
    summary = {
        name: {key: statistics.mean(row[key] for row in rows) for key in (*COLUMNS, 'bias')}
        for name, rows in tables.items()
    }
    facts = {
        'checkpoint_sha256': sha256(args.checkpoint),
        'protocol': f'as weather_scores.py, images cut to their middle of at most {SHRUNK} pixels; psnr_y',
        'sigma': {'local': LOCAL, 'fine': FINE},
        'date': datetime.now().astimezone().isoformat(timespec='seconds'),
    }
    out = RESULTS / f'{args.out}.json'
    out.write_text(json.dumps({**facts, 'summary': summary, 'pictures': tables}, indent=1) + '\n')
    text = table(summary)
    out.with_suffix('.md').write_text(f'<!-- written by docs/studies/weather_errors.py -->\n\n{text}\n')
    print(text)


if __name__ == '__main__':
    guarded(main)
