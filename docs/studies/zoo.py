"""Five architectures of spandrel through restore, fine-tuning and export; writes docs/results/zoo.json and zoo.md.

Fine-tuning, export and a small picture use networks of the papers' sizes; the weights are random, since time, memory
and support do not depend on them. The large picture uses narrow networks; `--large` uses those of the papers' sizes as
well, which takes minutes each on an idle core. Their time is stated from a measurement at 192x192 pixels in any case.

    python docs/studies/zoo.py [--only NAME ...] [--seconds 600] [--large]
"""

import argparse
import importlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from restorebox.backbones.spandrel_network import SpandrelNetwork
from restorebox.cli.common import guarded
from restorebox.cli.main import main as restorebox
from restorebox.engine.zoo import architecture_licence
from restorebox.files import configs_dir
from restorebox.inference.models import load_model
from restorebox.inference.tiles import Tiler

RESULTS = Path(__file__).resolve().parent.parent / 'results'
NETWORKS = {
    'DnCNN': dict(in_nc=3, out_nc=3, nc=64, nb=20),
    'SAFMN': dict(dim=36, n_blocks=8, upscaling_factor=1),
    'NAFNet': dict(width=32, enc_blk_nums=[1, 1, 1, 28], middle_blk_num=1, dec_blk_nums=[1, 1, 1, 1]),
    'SwinIR': dict(
        img_size=64,
        window_size=8,
        embed_dim=60,
        depths=[6] * 4,
        num_heads=[6] * 4,
        upscale=1,
        upsampler='',
        img_range=1.0,
        resi_connection='1conv',
    ),
    'PLKSR': dict(dim=64, n_blocks=28, upscaling_factor=1),
}
NARROW = {
    'DnCNN': dict(nc=8, nb=4),
    'SAFMN': dict(dim=8, n_blocks=1),
    'NAFNet': dict(width=8, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]),
    'SwinIR': dict(embed_dim=12, depths=[2], num_heads=[2]),
    'PLKSR': dict(dim=8, n_blocks=1),
}
SIDE = 192  # of the picture whose time is measured for the statement
SIZES = ((37, 53), (1000, 1500))
MEMORY = 512  # MiB of the network, `--memory`
CONFIG = """
_base_ = {base!r}
load_from = {weights!r}
model = dict(
    type='SupervisedRestorer',
    generator=dict(backbone={backbone}, head=dict(type='IdentityHead', output='picture')),
    losses=dict(l1=dict(type='L1Loss')),
)
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='KeyedSampler', shuffle=True),
    dataset=dict(type='PairedPictures', data_root={data!r}, split='train',
                 pipeline=[dict(type='LoadPictures'), dict(type='RandomWindow', size=64), dict(type='Pack')]),
)
train_cfg = dict(type='SampleTrainLoop', max_samples=5, val_samples=5)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4))
default_hooks = dict(checkpoint=dict(every_samples=5), ema=None, sheets=None, curves=None)
"""


def call(words: list[str], seconds: int) -> dict[str, Any]:
    """Run a command in a forked process; return its outcome, wall seconds, CPU seconds and largest memory in MiB."""
    with tempfile.NamedTemporaryFile('r+') as log:

        def run() -> None:
            os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
            try:
                restorebox(words)
            finally:
                usage = resource.getrusage(resource.RUSAGE_SELF)
                print(f'\nUSED {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss / 1024}')
                sys.stdout.flush()

        started = time.monotonic()
        process = multiprocessing.get_context('fork').Process(target=run)
        process.start()
        process.join(seconds)
        wall = time.monotonic() - started
        if process.is_alive():
            process.terminate()
            process.join()
            return {'outcome': f'not finished in {seconds} s'}
        lines = [line.strip() for line in Path(log.name).read_text().splitlines() if line.strip()]
    used = [line.split()[1:] for line in lines if line.startswith('USED ')]
    errors = [line for line in lines if line.startswith('error: ')]
    outcome = 'done' if process.exitcode == 0 else errors[0] if errors else f'fails: {lines[-2:]}'
    cpu, peak = map(float, used[0]) if used else (None, None)
    return {
        'outcome': outcome,
        'seconds': round(wall, 1),
        'cpu_seconds': cpu and round(cpu, 1),
        'MiB': peak and round(peak),
        'notes': [line for line in lines if 'more minutes' in line or 'discourage' in line],
    }


def save(name: str, path: Path, settings: dict[str, Any]) -> str:
    """Save an architecture's network with random weights."""
    module = importlib.import_module(f'spandrel.architectures.{name}')
    torch.manual_seed(0)
    torch.save({'params': getattr(module, name)(**settings).state_dict()}, path)
    return str(path)


def restore(weights: str, folder: Path, size: tuple[int, int], seconds: int) -> dict[str, Any]:
    """Restore the picture of a size by the command."""
    height, width = size
    source, out = folder / f'{height}.png', Path(weights).with_suffix('') / str(height)
    words = ['restore', str(source), '--model', weights, '--out', str(out), '--device', 'cpu']
    result = call([*words, '--memory', str(MEMORY)], seconds)
    if result['outcome'] == 'done':
        with Image.open(out / source.name) as made:
            assert made.size == (width, height)
    return result


def expected(restorer: Any) -> float:
    """Return the CPU seconds of the large picture: those per pixel at 192x192, times the pixels of all tiles."""
    tiler = Tiler(restorer, MEMORY)
    height, width = SIZES[1]
    pixels = height * width
    if not tiler.fits(height, width):
        rows, columns, _ = tiler.plan(height, width)
        pixels = sum(b - a for a, b in rows) * sum(b - a for a, b in columns)
    x = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    restorer.restore(x)
    started = time.process_time()
    restorer.restore(x)
    return (time.process_time() - started) / SIDE**2 * pixels


def measure(name: str, folder: Path, seconds: int, large: bool) -> dict[str, Any]:
    """Return the row of an architecture."""
    weights = save(name, folder / f'{name}.pth', NETWORKS[name])
    restorer = load_model(weights)
    backbone = restorer.role('generator').backbone
    assert isinstance(backbone, SpandrelNetwork)
    row = {
        'weights': sum(p.numel() for p in restorer.parameters()),
        'licence': architecture_licence(restorer),
        'tiling': restorer.needs.tiling,
        'stride': restorer.needs.stride,
    }
    settings = ', '.join(f'{key}={value!r}' for key, value in backbone.settings.items())
    config = folder / f'{name}.py'
    config.write_text(
        CONFIG.format(
            base=str(configs_dir() / '_base_' / 'default_runtime.py'),
            weights=weights,
            backbone=f"dict(type='SpandrelNetwork', {settings})",
            data=str(folder),
        )
    )
    words = ['train', str(config), '--work-dir', str(folder / f'{name}_run'), '--no-data-check']
    row['fine-tuning'] = call(words, seconds)
    if row['fine-tuning']['outcome'] == 'done' and not (folder / f'{name}_run' / 'iter_5.pth').is_file():
        row['fine-tuning']['outcome'] = 'no checkpoint'
    row['export'] = call(['export', weights, '--to', 'pt2', '--out', str(folder / f'{name}.pt2')], seconds)
    row['53x37'] = restore(weights, folder, SIZES[0], seconds)
    narrow = save(name, folder / f'{name}_narrow.pth', {**NETWORKS[name], **NARROW[name]})
    row['narrow 1500x1000'] = restore(narrow, folder, SIZES[1], seconds)
    with torch.no_grad():
        row['expected 1500x1000'] = round(expected(restorer))
    if large:
        row['1500x1000'] = restore(weights, folder, SIZES[1], seconds)
    return row


def cell(result: dict[str, Any]) -> str:
    """Return a result as text of a table."""
    outcome = result['outcome'].removeprefix('error: ').replace(str(tempfile.gettempdir()), '').replace('|', '/')
    if outcome != 'done':
        return 'refused: ' + outcome[:90] if result['outcome'].startswith('error') else outcome
    return f'{result["seconds"]:.0f} s ({result["cpu_seconds"]:.0f} s CPU), {result["MiB"]:,} MiB'


def table(rows: dict[str, Any]) -> str:
    """Return the rows as Markdown."""
    lines = [
        '| architecture | weights | licence of its code | 53x37 | 1500x1000, narrow | 1500x1000, expected | 5 steps '
        '| export to pt2 |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for name, row in rows.items():
        cells = [cell(row[key]) for key in ('53x37', 'narrow 1500x1000', 'fine-tuning', 'export')]
        measured = f', measured {cell(row["1500x1000"])}' if '1500x1000' in row else ''
        cells.insert(2, f'{row["expected 1500x1000"]} s CPU{measured}')
        licence = row['licence'].split(': ')[1].split(' (')[0]
        lines.append(f'| {name} | {row["weights"]:,} | {licence} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Measure, and write the results after each architecture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--only', nargs='+', choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument('--seconds', type=int, default=600, help='limit of each command')
    parser.add_argument('--large', action='store_true', help='also the large picture by networks of full size')
    args = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / 'zoo.json'
    rows = json.loads(file.read_text())['rows'] if file.is_file() else {}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for height, width in SIZES:
            small = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
            Image.fromarray(small).resize((width, height)).save(folder / f'{height}.png')
        for role in ('lq', 'gt'):
            (folder / 'train' / role).mkdir(parents=True)
            for i in range(4):
                pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / 'train' / role / f'{i}.png')
        for name in args.only:
            rows[name] = json.loads(json.dumps(measure(name, folder, args.seconds, args.large)).replace(text, ''))
            ordered = {each: rows[each] for each in NETWORKS if each in rows}
            about = {'threads': 1, 'memory': MEMORY, 'limit': args.seconds, 'torch': torch.__version__}
            file.write_text(json.dumps({'about': about, 'rows': ordered}, indent=2) + '\n')
            (RESULTS / 'zoo.md').write_text(table(ordered))
            print(name, rows[name], flush=True)


if __name__ == '__main__':
    guarded(main)
