#!/usr/bin/env python3
"""Measure the time of restoring a folder, and the effect of memory layout and precision on time and scores.

A folder run (reading, restoring, writing) and the network calls alone are timed on the same pictures in alternation.
Then each memory layout and precision restores the same pictures in alternation, and every scored set once. The
recommended default is the fastest variant that loses less than 0.05 dB of psnr_y on every set.
"""

from __future__ import annotations

import os

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in cli/main.py; read when torch loads OpenMP

import argparse
import itertools
import json
import statistics
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from restorebox.cli.common import guarded, positive
from restorebox.datasets.pairing import same_name
from restorebox.datasets.reading import list_pictures
from restorebox.engine.measuring import device_name, time_alternately, time_call
from restorebox.errors import ConfigError
from restorebox.files import write_whole
from restorebox.inference import RestoreInferencer, Tiler
from restorebox.inference.files import read_file
from restorebox.inference.inputs import RestoreJob
from restorebox.inference.precision import PRECISIONS
from restorebox.inference.queue import restore_all
from restorebox.layers.precision import has_bf16
from restorebox.metrics.protocols import protocol
from restorebox.metrics.scores import library_versions
from restorebox.pixels import to_tensor

MOST_LOSS = 0.05  # dB of psnr_y that a default may cost
SCORE = 'psnr_y'
MARK = '<!-- written by tools/benchmarks/restore.py -->\n\n'


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(prog='restore.py', description=__doc__)
    parser.add_argument('folder', type=Path, help='pictures to time, such as those of BSDS')
    parser.add_argument('--model', default='weather', help='as of restore (default: %(default)s)')
    parser.add_argument(
        '--beside', nargs='+', default=[], metavar='MODEL', help='further models, each a row, such as an ONNX file'
    )
    parser.add_argument('--pictures', type=positive, default=100, help='how many of the folder (default: %(default)s)')
    parser.add_argument('--stretch', type=positive, default=25, help='pictures of a stretch (default: %(default)s)')
    parser.add_argument('--rounds', type=positive, default=3, help='over all pictures (default: %(default)s)')
    parser.add_argument(
        '--scored',
        nargs=2,
        type=Path,
        action='append',
        default=[],
        metavar=('LQ', 'GT'),
        help='folders of pairs of the same name, or twice one of clean pictures; may be given several times',
    )
    parser.add_argument('--out', type=Path, help='write the figures as JSON, and the rows as a table beside it (.md)')
    return parser.parse_args(argv)


@dataclass
class Row:
    """Variant of running a network."""

    model: str
    layout: str
    precision: str
    tiler: Tiler


def main(argv: list[str] | None = None) -> None:
    """Measure, print, and optionally write JSON."""
    args = parse(argv)

    scored = {lq.name if lq == gt else f'{lq.parent.name}/{lq.name}': read_pairs(lq, gt) for lq, gt in args.scored}
    load = [os.getloadavg()[0]]
    inferencer = RestoreInferencer(args.model)
    paths, pictures = read_some(args.folder, args.pictures, inferencer)
    figures = {
        'model': args.model,
        'pictures': len(pictures),
        'sizes': sorted({'{1}x{0}'.format(*each.shape) for each in pictures}),
        'device': device_name(),
        'bf16_in_hardware': has_bf16(inferencer.tiler.device),
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'folder_run': {'precision': inferencer.precision, **measure_folder(inferencer, paths, pictures, args)},
    }
    rows = make_rows(args.model, args.beside, figures['bf16_in_hardware'])
    figures |= measure_rows(rows, pictures, args.rounds, scored)
    load.append(os.getloadavg()[0])
    figures |= {
        'load': load,
        'libraries': library_versions(),
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
    }
    print(show(figures))
    if args.out:
        write_whole(args.out, (json.dumps(figures, indent=1) + '\n').encode())
        write_whole(args.out.with_suffix('.md'), (MARK + table(figures) + '\n').encode())


def read_some(folder: Path, count: int, inferencer: RestoreInferencer) -> tuple[list[Path], list[np.ndarray]]:
    """Read evenly spaced pictures of a folder; returns paths and ``(H, W, 3)`` uint8.

    Raises:
        DataError: the folder is missing or empty.
        ConfigError: a picture would be restored in tiles.
    """
    found = list_pictures(folder)
    paths = found[:: max(len(found) // count, 1)][:count]
    pictures = [read_file(path).colours for path in paths]
    for path, picture in zip(paths, pictures, strict=True):
        if not inferencer.tiler.fits(*picture.shape[:2]):
            raise ConfigError(f'{path} is restored in tiles; take a folder of smaller pictures')
    return paths, pictures


def read_pairs(lq: Path, gt: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read pairs of degraded and clean pictures, ``(H, W, 3)`` uint8; both clean if the folders are the same.

    Raises:
        DataError: a folder is missing or empty, or a picture has no counterpart.
    """
    if lq == gt:
        paths = [(path, path) for path in list_pictures(gt)]
    else:
        paths = [(each['paths']['lq'], each['paths']['gt']) for each in same_name(lq, gt, lq.parent.name)]
    return [(read_file(a).colours, read_file(b).colours) for a, b in paths]


def measure_folder(
    inferencer: RestoreInferencer, paths: list[Path], pictures: list[np.ndarray], args: argparse.Namespace
) -> dict:
    """Time the folder run and the network calls alone in alternation.

    Returns:
        Median and range of the ratio of times, the same for CPU time, which depends less on other load, and seconds per
        picture.
    """
    tiler, restorer = inferencer.tiler, inferencer.restorer
    tensors = [to_tensor(picture, tiler.device) for picture in pictures]
    pieces = [slice(first, first + args.stretch) for first in range(0, len(pictures), args.stretch)]

    def network(piece: slice) -> None:
        for x in tensors[piece]:
            with tiler.autocast():
                restorer.restore(x, shared=restorer.estimate_shared(x))

    def folder(piece: slice) -> None:
        with tempfile.TemporaryDirectory() as out:
            bad = restore_all(inferencer, [RestoreJob(path, Path(out) / path.name) for path in paths[piece]])
        if bad:
            raise ConfigError(f'a picture could not be restored: {bad[0]}')

    network(slice(2))
    walls, works, alone = [], [], []
    for _, piece in itertools.product(range(args.rounds), pieces):
        (a, work_a), (b, work_b) = time_call(network, piece), time_call(folder, piece)
        walls.append(b / a)
        works.append(work_b / work_a)
        alone.append(a / len(tensors[piece]))
    return {
        'stretches': len(walls),
        'ratio': statistics.median(walls),
        'ratio_range': [min(walls), max(walls)],
        'processor_ratio': statistics.median(works),
        'network_seconds': statistics.median(alone),
    }


def make_rows(model: str, beside: list[str], native: bool) -> list[Row]:
    """Return both layouts in the precisions of the device, with plain float32 first, then further models."""
    rows = []
    precisions = PRECISIONS if native else PRECISIONS[:1]  # emulated bf16 is many times slower
    for layout, form in (('contiguous', torch.contiguous_format), ('channels last', torch.channels_last)):
        for precision in precisions:
            inferencer = RestoreInferencer(model, precision=precision)
            inferencer.restorer.to(memory_format=form)
            rows.append(Row(model, layout, precision, inferencer.tiler))
    for each in beside:
        inferencer = RestoreInferencer(each)
        rows.append(Row(Path(each).name, 'as it is', inferencer.precision, inferencer.tiler))
    return rows


def measure_rows(
    rows: list[Row], pictures: list[np.ndarray], rounds: int, scored: dict[str, list[tuple[np.ndarray, np.ndarray]]]
) -> dict:
    """Measure the time of each variant on a quarter of the pictures and its scores, and select the default."""
    took = time_alternately([row.tiler for row in rows], pictures[: max(len(pictures) // 4, 1)], rounds)
    scores = {name: _scores(rows, pairs) for name, pairs in scored.items()}
    found = []
    for i, row in enumerate(rows):
        ratios = [each[i] / each[0] for each in took]
        means = {name: columns[i] for name, columns in scores.items()}
        losses = {name: columns[0] - columns[i] for name, columns in scores.items()}
        found.append(
            {
                'model': row.model,
                'layout': row.layout,
                'precision': row.precision,
                'seconds': statistics.median(each[i] for each in took),
                'ratio': statistics.median(ratios),
                'ratio_range': [min(ratios), max(ratios)],
                SCORE: means,
                'loss': max(losses.values(), default=None),
            }
        )
    own = [row for row in found if row['model'] == rows[0].model]  # others may need packages that an installation lacks
    fit = [row for row in own if row['loss'] is not None and row['loss'] < MOST_LOSS]
    best = min(fit, key=lambda row: row['ratio'], default=None)
    return {
        'timed': len(took),
        'rows': found,
        'scored': {name: len(pairs) for name, pairs in scored.items()},
        'most_loss': MOST_LOSS,
        'default': best and {key: best[key] for key in ('model', 'layout', 'precision')},
    }


def _scores(rows: list[Row], pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Return each variant's mean score over a set."""
    measure = protocol(SCORE)
    return [statistics.mean(measure(row.tiler(lq) / 255, gt / 255) for lq, gt in pairs) for row in rows]


def table(figures: dict) -> str:
    """Format the variants as a Markdown table."""
    sets = list(figures['scored'])
    names = [f'{SCORE}, {name} ({figures["scored"][name]})' for name in sets]
    lines = ['| ' + ' | '.join(['model', 'precision', 'layout', 'ms', 'of fp32', *names, 'largest loss']) + ' |']
    lines.append('|---' * (6 + len(sets)) + '|')
    for row in figures['rows']:
        cells = [row['model'], row['precision'], row['layout'], f'{1000 * row["seconds"]:.0f}', f'{row["ratio"]:.2f}']
        cells += [f'{row[SCORE][name]:.3f}' for name in sets]
        cells.append('' if row['loss'] is None else f'{row["loss"]:+.3f}')
        lines.append('| ' + ' | '.join(cells) + ' |')
    folder = figures['folder_run']
    low, high = folder['ratio_range']
    cost = (
        f'A folder run in {folder["precision"]} takes {100 * (folder["ratio"] - 1):+.1f} % of the time of the network '
        f'calls alone (median of {folder["stretches"]} stretches, {100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %; '
        f'{100 * (folder["processor_ratio"] - 1):+.1f} % of processor time): {figures["pictures"]} pictures of '
        f'{", ".join(figures["sizes"])}, {figures["device"]}, {figures["threads"]} threads on {figures["cores"]} cores.'
    )
    missing = '' if figures['bf16_in_hardware'] else ' This processor only emulates bf16: no rows of it.'
    return '\n'.join([*lines, '', cost + missing])


def show(figures: dict) -> str:
    """Return the printed text."""
    best = figures['default']
    least = f'less than {MOST_LOSS} dB of loss'
    chosen = f'{best["precision"]}, {best["layout"]} ({best["model"]})' if best else 'not known: give --scored LQ GT'
    low, high = figures['load']
    return f'{table(figures)}\nfastest with {least}: {chosen}\nload of the machine {low:.1f} to {high:.1f}'


if __name__ == '__main__':
    guarded(main)
