"""How cost and memory grow with megapixels, pictures, ranks and samples: four curves, with their slopes.

    python docs/studies/growth.py PICTURE DATA [--only megapixels pictures ranks samples]

PICTURE is a photograph, which is enlarged or reduced; DATA contains clean photographs, {train,test}/gt. Every point is
one or several commands of their own processes, one thread each: ``restore`` with the included model for megapixels and
pictures, and the training of configs/unet/unet_demo.py for ranks (torchrun, the same number of samples in all) and
samples. Measured are processor time of all processes (it depends less on other programs than wall-clock time) and the
peak of their summed memory (proportional set size, sampled twice a second). A slope is d log y / d log x between
the two largest points: 1 is proportional, 0 constant. Linux only. Writes docs/results/growth.json, growth.md and
growth_CURVE.png.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image

from restorebox.cli.common import guarded
from restorebox.engine.measuring import descendants, proportional_size
from restorebox.figures import save_figure

OUT = Path(__file__).resolve().parents[1] / 'results' / 'growth'
MEGAPIXELS = (0.1, 0.4, 1.6, 6.4, 12.8)
PICTURES, SMALL = (1, 10, 100, 400), (160, 120)
RANKS, RANK_SAMPLES, BATCH = (1, 2, 4), 64, 8
SAMPLES = (32, 128, 512, 2048)
INTERVAL = 0.5  # seconds; a sample of a process of 4 GiB of address space takes several milliseconds
CURVES = {
    'megapixels': 'megapixels of one picture, restored with the default --memory 1024',
    'pictures': f'pictures of {SMALL[0]}x{SMALL[1]}, restored in one run',
    'ranks': f'ranks that train on {RANK_SAMPLES} samples, batches of {BATCH} in all',
    'samples': f'samples of a training, batches of {BATCH}',
}


def measure(command: list[str]) -> dict[str, float]:
    """Run a command; return processor seconds and peak MiB of all its processes, and wall-clock seconds.

    Exits if the command fails.
    """
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'}
    before, start = os.times(), time.perf_counter()
    peak = 0
    with tempfile.TemporaryFile('w+') as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, sum(map(proportional_size, descendants(process.pid))))
            time.sleep(INTERVAL)
        if process.returncode:
            log.seek(0)
            sys.exit(f'{" ".join(command)}: {log.read()[:3000]}')
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return {'cpu_seconds': spent, 'peak_mib': peak / 2**20, 'seconds': time.perf_counter() - start}


def restorebox(*words: object) -> list[str]:
    """Return a command of the package."""
    return [sys.executable, '-m', 'restorebox', *map(str, words)]


def train(folder: Path, data: Path, samples: int, ranks: int) -> list[str]:
    """Return the command of a training."""
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={ranks}', '-m']
    words = ['train', 'unet/unet_demo.py', '--work-dir', str(folder), '--data-root', str(data), '--cfg-options']
    words += [
        f'train_cfg.max_samples={samples}',
        f'train_cfg.val_samples={samples}',
        f'param_scheduler.0.T_max={samples}',
    ]
    words += [f'train_dataloader.batch_size={BATCH // ranks}', 'train_dataloader.num_workers=0']
    words += [f'default_hooks.checkpoint.every_samples={samples}', 'val_dataloader.num_workers=0']
    return [*launch, 'restorebox', *words[:2], '--launcher', 'pytorch', *words[2:]] if ranks > 1 else restorebox(*words)


def megapixels(picture: Image.Image, data: Path, folder: Path) -> dict[float, list[str]]:
    """Return the command of each point, as do the other curves' functions."""
    commands = {}
    for each in MEGAPIXELS:
        factor = math.sqrt(each * 1e6 / (picture.width * picture.height))
        path = folder / f'{each}.png'
        picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BICUBIC).save(
            path
        )
        commands[each] = restorebox('restore', path, '--out', folder / f'out{each}', '--device', 'cpu')
    return commands


def pictures(picture: Image.Image, data: Path, folder: Path) -> dict[float, list[str]]:
    """See :func:`megapixels`."""
    small = picture.resize(SMALL)
    commands: dict[float, list[str]] = {}
    for count in PICTURES:
        given = folder / f'in{count}'
        given.mkdir()
        for i in range(count):
            small.save(given / f'{i:04d}.png')
        commands[count] = restorebox('restore', given, '--out', folder / f'out{count}', '--device', 'cpu')
    return commands


def ranks(picture: Image.Image, data: Path, folder: Path) -> dict[float, list[str]]:
    """See :func:`megapixels`."""
    return {count: train(folder / f'r{count}', data, RANK_SAMPLES, count) for count in RANKS}


def samples(picture: Image.Image, data: Path, folder: Path) -> dict[float, list[str]]:
    """See :func:`megapixels`."""
    return {count: train(folder / f's{count}', data, count, 1) for count in SAMPLES}


POINTS: dict[str, Callable[[Image.Image, Path, Path], dict[float, list[str]]]] = {
    'megapixels': megapixels,
    'pictures': pictures,
    'ranks': ranks,
    'samples': samples,
}


def slope(rows: list[dict], key: str) -> float:
    """Return d log y / d log x between the two largest points."""
    a, b = rows[-2:]
    return math.log(b[key] / a[key]) / math.log(b['x'] / a['x'])


def draw(name: str, rows: list[dict]) -> None:
    """Draw one curve on logarithmic axes."""
    figure = Figure(figsize=(9, 3.6), layout='constrained')
    for axes, key, label in zip(
        figure.subplots(1, 2), ('cpu_seconds', 'peak_mib'), ('processor seconds', 'peak memory, MiB'), strict=True
    ):
        axes.loglog([row['x'] for row in rows], [row[key] for row in rows], 'o-', color='black')
        for row in rows:
            value = f'{row[key]:.0f}' if row[key] >= 100 else f'{row[key]:.1f}'
            axes.annotate(value, (row['x'], row[key]), (0, 7), textcoords='offset points', ha='center')
        axes.set_xticks([row['x'] for row in rows], [f'{row["x"]:g}' for row in rows])
        axes.minorticks_off()  # the values are beside the points
        axes.margins(x=0.1)
        axes.set(xlabel=CURVES[name].partition(',')[0], ylabel=label, title=f'slope at the end: {slope(rows, key):.2f}')
        axes.set_ylim(min(row[key] for row in rows) / 2, 2 * max(row[key] for row in rows))
        axes.grid(True, which='both', alpha=0.3)
    save_figure(figure, OUT.with_name(f'growth_{name}.png'))


def page(facts: dict) -> str:
    """Return the tables in Markdown."""
    lines = ['<!-- written by docs/studies/growth.py -->', '']
    for name, curve in facts['curves'].items():
        rows = curve['rows']
        lines += [
            f'**{CURVES[name]}** (load of the machine before: {curve["load"]:.1f})',
            '',
            '| | ' + ' | '.join(f'{row["x"]:g}' for row in rows) + ' | slope |',
            '|---' * (len(rows) + 2) + '|',
        ]
        for key, label, form in (('cpu_seconds', 'processor seconds', '.1f'), ('peak_mib', 'peak MiB', '.0f')):
            cells = ' | '.join(f'{row[key]:{form}}' for row in rows)
            lines.append(f'| {label} | {cells} | {slope(rows, key):.2f} |')
        lines.append('')
    return '\n'.join(lines).rstrip() + '\n'


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('picture', type=Path)
    parser.add_argument('data', type=Path)
    parser.add_argument('--only', nargs='+', choices=[*POINTS], default=[*POINTS])
    args = parser.parse_args()
    path = OUT.with_suffix('.json')
    facts = json.loads(path.read_text()) if path.is_file() else {'curves': {}}
    facts |= {'torch': torch.__version__, 'processors': os.cpu_count()}
    with Image.open(args.picture) as opened:
        picture = opened.convert('RGB')
    for name in args.only:
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as folder:
            commands = POINTS[name](picture, args.data.resolve(), Path(folder))
            rows = [{'x': x, **measure(command)} for x, command in commands.items()]
        facts['curves'][name] = {'rows': rows, 'load': load}
        draw(name, rows)
        path.write_text(json.dumps(facts, indent=1) + '\n')
        OUT.with_suffix('.md').write_text(page(facts))
        print(page({'curves': {name: facts['curves'][name]}}), flush=True)


if __name__ == '__main__':
    guarded(main)
