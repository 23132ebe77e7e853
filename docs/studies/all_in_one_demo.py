"""All-in-one restoration at laptop size: networks trained on one mixture of haze, rain and noise at equal compute.

    python docs/studies/all_in_one_demo.py --data-root FOLDER --data WORDS [--seconds 300] [--seeds 0 1 2]

FOLDER contains clean photographs, {train,test}/gt. Networks are those of configs/all_in_one/three_tasks_demo.py and its
rows. The CPU seconds of a training step on one thread are measured first, in turn; each network then gets as many
samples as its steps take ``--seconds``. Complete runs are read, an interrupted one is resumed. With ``--large PICTURE``
a large picture is also restored by the trained networks, whole and in tiles. Writes docs/results/all_in_one_demo.json
and .md after each run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from restorebox.claims.runs import KEPT, last_checkpoint, train_and_test, write_json
from restorebox.claims.statistics import interval
from restorebox.cli.common import guarded
from restorebox.datasets.reading import read_picture
from restorebox.engine.config import load_config
from restorebox.inference import RestoreInferencer
from restorebox.registry import RESTORERS

OUT = Path(__file__).resolve().parents[1] / 'results' / 'all_in_one_demo.json'
CONFIG = 'all_in_one/three_tasks_demo.py'
ROWS: dict[str, str | None] = {
    'U-Net with scene statistics': None,
    'UNet-4': 'demo_unet',
    'NAFNet, width 16': 'demo_nafnet',
    'Restormer, width 16': 'demo_restormer',
    'PReNet': 'demo_prenet',
}
SETS = ('haze', 'rain', 'sigma15', 'sigma25', 'sigma50')
REPEATS, SIDE = 7, 64
WHOLE, TILED = 16_384, (60, 300)  # MiB


def build(row: str | None) -> torch.nn.Module:
    """Return the generator of the config or of a row."""
    return RESTORERS.build(load_config(CONFIG, row=row).model).generator


def step_seconds(network: torch.nn.Module, batch: int) -> float:
    """Return the CPU seconds per sample of a forward and backward pass."""
    x = torch.rand(batch, 3, SIDE, SIDE)
    start = time.process_time()
    (network(x)['picture'] - x).abs().mean().backward()
    return (time.process_time() - start) / batch


def costs(batch: int) -> dict[str, dict]:
    """Return parameters and median CPU seconds per sample of each network, measured in turn."""
    torch.set_num_threads(1)
    networks = {name: build(row) for name, row in ROWS.items()}
    taken: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(REPEATS + 1):
        for name, network in networks.items():
            taken[name].append(step_seconds(network, batch))
    return {
        name: {
            'parameters': sum(p.numel() for p in network.parameters()),
            'cpu_seconds_per_sample': statistics.median(taken[name][1:]),
        }
        for name, network in networks.items()
    }


def tiles(checkpoint: str, picture: Path) -> dict:
    """Return the differences between the whole picture's result and those of tiles, in levels of 255, per memory."""
    given = read_picture(str(picture))

    def restore(memory: int) -> np.ndarray:
        return RestoreInferencer(checkpoint, device='cpu', memory=memory, precision='fp32')(given).astype(int)

    whole = restore(WHOLE)
    differences = {memory: np.abs(whole - restore(memory)) for memory in TILED}
    return {
        'picture': picture.name,
        'size': list(given.shape[:2]),
        'levels': {
            memory: {'mean': float(each.mean()), 'largest': int(each.max())} for memory, each in differences.items()
        },
    }


def page(facts: dict) -> str:
    """Return the table in Markdown."""
    lines = [
        '<!-- written by docs/studies/all_in_one_demo.py -->',
        '',
        f'{facts["data"]}. Each network is trained for {facts["seconds"]} CPU seconds of steps, on crops of {SIDE} '
        'pixels; gains over the input are in dB of PSNR (RGB), means over the seeds; the interval of the mean over the '
        'sets is a 95 % t-interval over the seeds.',
        '',
        '| network | parameters | samples | seeds | ' + ' | '.join(SETS) + ' | mean | interval '
        f'| tiles at {" and ".join(map(str, TILED))} MiB, levels |',
        '|---' * (len(SETS) + 7) + '|',
    ]
    for name, entry in facts['networks'].items():
        runs = [*entry['runs'].values()]
        if not runs:
            continue
        each = {part: [run['gains'][part] for run in runs] for part in SETS}
        means = [statistics.mean(run['gains'].values()) for run in runs]
        bounds = interval(means)
        cut = entry.get('tiles', {}).get('levels', {})
        lines.append(
            f'| {name} | {entry["parameters"]:,} | {entry["samples"]:,} | {len(runs)} | '
            + ' | '.join(f'{statistics.mean(values):+.2f}' for values in each.values())
            + f' | {statistics.mean(means):+.2f} | '
            + (f'{bounds[0]:+.2f} to {bounds[1]:+.2f}' if bounds else 'one seed')
            + ' | '
            + ', '.join(f'{levels["mean"]:.3f} (at most {levels["largest"]})' for levels in cut.values())
            + ' |'
        )
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Run what is missing; write after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--data', required=True, help='what the images are, for the page')
    parser.add_argument('--seconds', type=int, default=300)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--only', nargs='+', choices=[*ROWS], default=[*ROWS])
    parser.add_argument('--large', type=Path, help='a large picture, restored whole and in tiles')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/all_in_one_demo'))
    args = parser.parse_args()
    batch = load_config(CONFIG).train_dataloader.batch_size
    facts = json.loads(OUT.read_text()) if OUT.is_file() else {}
    if facts.get('seconds') != args.seconds:
        networks = {name: {**cost, 'runs': {}} for name, cost in costs(batch).items()}
        for entry in networks.values():
            steps = args.seconds / entry['cpu_seconds_per_sample'] / batch
            entry['samples'] = max(4, round(steps / 4) * 4) * batch
        facts = {'data': args.data, 'seconds': args.seconds, 'networks': networks}
    for seed in args.seeds:
        for name in args.only:
            entry, folder = facts['networks'][name], args.work_dir / f'{ROWS[name] or "scene"}_{args.seconds}_s{seed}'
            if str(seed) not in entry['runs']:
                samples = entry['samples']
                changed = {
                    'train_cfg.max_samples': samples,
                    'train_cfg.val_samples': samples,
                    'param_scheduler.0.T_max': samples,
                    'default_hooks.checkpoint.every_samples': samples // 4,
                }
                scores = train_and_test(
                    CONFIG, seed, folder, data_root=args.data_root, row=ROWS[name], overrides=changed
                )
                kept = {key: scores[key] for key in KEPT if key in scores and key != 'overrides'}
                kept['gains'] = {
                    part: scores['sets'][part]['mean']['psnr_rgb'] - scores['sets'][part]['mean']['input/psnr_rgb']
                    for part in SETS
                }
                entry['runs'][str(seed)] = kept
            if args.large and 'tiles' not in entry:
                entry['tiles'] = tiles(str(last_checkpoint(folder)), args.large)
            write_json(OUT, facts)
            OUT.with_suffix('.md').write_text(page(facts))
            print(f'{name} seed {seed}: {entry["runs"][str(seed)]["gains"]}', flush=True)
    print(page(facts))


if __name__ == '__main__':
    guarded(main)
