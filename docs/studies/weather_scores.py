"""Score a model on pairs that were not used for training and on clean pictures; draw sheets of real pictures.

    python docs/studies/weather_scores.py CHECKPOINT --data FOLDER [--sheets FOLDER]

FOLDER contains the sets of ``PAIRS``, ``CLEAN`` and ``REAL`` below. Writes docs/results/weather.json (scores of each
picture, with the protocol) and weather.md (a table). The sheets are not stored in the repository, because most of these
pictures may not be redistributed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import torch

from restorebox.cli.common import guarded
from restorebox.datasets.pairing import Record, by_template, same_name, side_by_side, single
from restorebox.datasets.reading import read_picture
from restorebox.engine.checkpoint import sha256
from restorebox.engine.published import load_restorer
from restorebox.figures import save_sheet
from restorebox.metrics.protocols import protocol
from restorebox.pixels import to_uint8
from restorebox.restorers.base import BaseRestorer

RESULTS = Path(__file__).resolve().parents[1] / 'results'
SCORES = ('psnr_y', 'psnr_rgb', 'ssim_y')
DIDMDN = ('light', 'medium', 'heavy')


def folders(lq: str, gt: str) -> Callable[[Path], list[Record]]:
    """Pair two folders by name."""
    return lambda root: same_name(root / lq, root / gt, root.name)


def hazy(root: Path) -> list[Record]:
    """Pair files named as in RESIDE: the name of the clean picture, then a number and the airlight."""
    return by_template(root / 'hazy', root / 'clean', {'lq': '{name}_*_*', 'gt': '{name}'}, root.name)


def camera_noise(root: Path) -> list[Record]:
    """Pair NAME_real.JPG and NAME_mean.JPG in one folder."""
    return by_template(root, root, {'lq': '{name}_real', 'gt': '{name}_mean'}, root.name)


PAIRS: dict[str, tuple[str, Callable[[Path], list[Record]]]] = {
    'rain_pairs_sirr': ('rain_pairs_sirr', folders('rain', 'clean')),
    **{
        f'rain_pairs_didmdn {name}': (f'rain_pairs_didmdn/{name}', lambda root: side_by_side(root, ('lq', 'gt'), 'all'))
        for name in DIDMDN
    },
    'rain_pairs_ddn': ('rain_pairs_ddn', folders('rain', 'clean')),
    'rain_pairs_mfdnet3': ('rain_pairs_mfdnet3', folders('rain', 'clean')),
    'render_heavy_veil': ('render_heavy_veil', folders('lq', 'gt')),
    'render_hybrid_moderate': ('render_hybrid_moderate', folders('lq', 'gt')),
    'haze_pairs_its': ('haze_pairs_its', hazy),
    'haze_pairs_real_indoor': ('haze_pairs_real_indoor', folders('hazy', 'clean')),
    'noise_pairs_polyu': ('noise_pairs_polyu', camera_noise),
}
CLEAN = {'bsds500_clean/test': 'bsds500_clean/test', 'set5_clean': 'set5_clean'}
REAL = {'rain_real': 12, 'haze_real': 6, 'blur_real': 1}
SHRUNK = 900  # pixels of the longer side: larger pictures are cut to their middle, which bounds time and memory


def read(record: Record, role: str) -> np.ndarray:
    """Return the picture of a role, HWC float32 in [0, 1]."""
    picture = read_picture(record['paths'][role])
    if role in record.get('halves', {}):
        part, parts = record['halves'][role]
        width = picture.shape[1] // parts
        picture = picture[:, part * width : (part + 1) * width]
    height, width = (max(side - SHRUNK, 0) // 2 for side in picture.shape[:2])
    return picture[height : height + SHRUNK, width : width + SHRUNK].astype(np.float32) / 255


def restore_whole(restorer: BaseRestorer, picture: np.ndarray) -> np.ndarray:
    """Restore a picture without tiles, HWC float32 in [0, 1]."""
    lq = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    return restorer.restore(lq, shared=restorer.estimate_shared(lq))['pred'][0].permute(1, 2, 0).numpy()


def main() -> None:
    """Restore, score and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--sheets', type=Path, help='folder for sheets of every set')
    parser.add_argument('--out', default='weather', help='name of the files in docs/results')
    parser.add_argument('--clean', type=int, default=60, help='clean pictures per set, evenly spread')
    args = parser.parse_args()
    restorer = load_restorer(args.checkpoint)
    scores = {name: protocol(name) for name in SCORES}

    def sheet(name: str, rows: list) -> None:
        if args.sheets:
            args.sheets.mkdir(parents=True, exist_ok=True)
            save_sheet(rows, args.sheets / f'{name.replace("/", "_").replace(" ", "_")}.png')

    tables: dict[str, list[dict]] = {}
    started = time.perf_counter()
    for name, (folder, list_pairs) in PAIRS.items():
        rows, pictures = [], []
        for record in list_pairs(args.data / folder):
            lq, gt = read(record, 'lq'), read(record, 'gt')
            pred = restore_whole(restorer, lq)
            row = {'name': record['name']}
            for score, measure in scores.items():
                row[f'input/{score}'], row[score] = measure(lq, gt), measure(pred, gt)
            rows.append(row)
            caption = f'{row["psnr_y"]:.2f} dB'
            pictures.append(
                [(f'{row["input/psnr_y"]:.2f} dB', to_uint8(lq)), (caption, to_uint8(pred)), ('truth', to_uint8(gt))]
            )
        tables[name] = rows
        sheet(name, pictures[:12])
    for name, folder in CLEAN.items():
        records = single(args.data / folder, 'gt', 'all')
        rows = []
        for record in records[:: max(len(records) // args.clean, 1)][: args.clean]:
            gt = read(record, 'gt')
            pred = restore_whole(restorer, gt)
            rows.append({'name': record['name'], **{score: measure(pred, gt) for score, measure in scores.items()}})
        tables[name] = rows
    for name, count in REAL.items():
        records = single(args.data / name, 'lq', 'all')
        chosen = records[:: max(len(records) // count, 1)][:count]
        pictures = [('input', to_uint8(read(record, 'lq'))) for record in chosen]
        sheet(
            name,
            [
                [picture, ('restored', to_uint8(restore_whole(restorer, picture[1].astype(np.float32) / 255)))]
                for picture in pictures
            ],
        )
    minutes = (time.perf_counter() - started) / 60
    summary = {}
    for name, rows in tables.items():
        means = {key: statistics.mean(row[key] for row in rows) for key in rows[0] if key != 'name'}
        summary[name] = {'pictures': len(rows), **means}
        gains = [row['psnr_y'] - row['input/psnr_y'] for row in rows if 'input/psnr_y' in row]
        if gains:
            summary[name] |= {'gain/psnr_y': statistics.mean(gains), 'least gain/psnr_y': min(gains)}
        else:
            summary[name] |= {'least psnr_y': min(row['psnr_y'] for row in rows)}
    out = RESULTS / f'{args.out}.json'
    facts = {
        'checkpoint_sha256': sha256(args.checkpoint),
        'protocol': f'whole picture, fp32; cut to its middle of at most {SHRUNK} pixels; 8-bit; {", ".join(SCORES)}',
        'statistics_window': restorer.statistics_window,
        'torch': torch.__version__,
        'device': 'cpu',
        'minutes': round(minutes, 1),
        'date': datetime.now().astimezone().isoformat(timespec='seconds'),
    }
    out.write_text(json.dumps({**facts, 'summary': summary, 'pictures': tables}, indent=1) + '\n')
    text = table(summary)
    out.with_suffix('.md').write_text(f'<!-- written by docs/studies/weather_scores.py -->\n\n{text}\n')
    print(text)


def table(summary: dict[str, dict]) -> str:
    """Return the means as Markdown."""
    lines = [
        '| set | pictures | input (do nothing) psnr_y | restored psnr_y | mean gain | least gain | ssim_y |',
        '|---|---|---|---|---|---|---|',
    ]
    for name, row in summary.items():
        head = f'| {name} | {row["pictures"]} | '
        if 'gain/psnr_y' in row:
            cells = (row['input/psnr_y'], row['psnr_y'], row['gain/psnr_y'], row['least gain/psnr_y'])
            ssim = f'{row["input/ssim_y"]:.4f} to {row["ssim_y"]:.4f}'
            lines.append(head + ' | '.join(f'{cell:.2f}' for cell in cells) + f' | {ssim} |')
        else:
            lines.append(
                head + f'clean | {row["psnr_y"]:.2f} (least {row["least psnr_y"]:.2f}) | | | {row["ssim_y"]:.4f} |'
            )
    return '\n'.join(lines)


if __name__ == '__main__':
    guarded(main)
