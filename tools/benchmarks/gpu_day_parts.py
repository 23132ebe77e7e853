#!/usr/bin/env python3
"""Measure one part of the GPU day in this process and write its figures; called by gpu_day.py."""

from __future__ import annotations

import os

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in cli/main.py; read when torch loads OpenMP

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from restorebox.cli.common import guarded
from restorebox.engine.measuring import (
    compare_pairs,
    device_name,
    peak_memory_since_reset,
    reset_peak_memory,
    synchronise,
    time_call,
)
from restorebox.errors import ConfigError, DataError
from restorebox.metrics.scores import library_versions

REPO = Path(__file__).resolve().parents[2]
LONGEST = 60.0  # seconds of the repeats of a part
SHRINK = 0.004  # of the pixels, in a miniature
SAMPLED = (320, 480)  # height and width of the restored picture


def parse() -> argparse.Namespace:
    """Parse the options; gpu_day.py has checked them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name')
    parser.add_argument('--device', required=True)
    parser.add_argument('--miniature', action='store_true')
    parser.add_argument('--pairs', type=int, required=True)
    parser.add_argument('--seed', type=int, required=True)
    parser.add_argument('--seconds', type=float, default=0)
    parser.add_argument('--cut', type=Path)
    parser.add_argument('--data-root', type=Path)
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--out', type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Measure and write."""
    args = parse()
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError('--device cuda: PyTorch finds no GPU here; --device cpu --miniature tries the command itself')
    torch.manual_seed(args.seed)
    group, *rest = args.name.split('/')
    if group == 'step_times':
        from gpu_day_steps import step_times

        figures = step_times(args, *rest)
    else:
        work = {'machine': machine, 'tests': tests, 'nccl': nccl, 'restore': restore, 'sampling': sampling}
        figures = {**work, 'training': training}[group](args, *rest)
    args.out.write_text(json.dumps(figures))


def machine(args: argparse.Namespace) -> dict:
    """Return what figures depend on: device, driver, versions."""
    found = {'device': device_name(), 'cores': os.cpu_count(), 'threads': torch.get_num_threads()}
    if args.device == 'cuda':
        properties = torch.cuda.get_device_properties(0)
        found['memory_gib'] = round(properties.total_memory / 2**30, 1)
        found['capability'] = f'{properties.major}.{properties.minor}'
        found['cuda'], found['cudnn'] = torch.version.cuda, torch.backends.cudnn.version()
        query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
        try:
            asked = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
            found['driver'] = asked.stdout.split()[0]
        except (OSError, subprocess.SubprocessError):
            found['driver'] = None  # a container may lack the program
    return found | {'libraries': library_versions()}


def tests(args: argparse.Namespace) -> dict:
    """Run the tests that need a GPU; on a CPU those that simulate one.

    Raises:
        DataError: a test failed.
    """
    chosen = ['-m', 'gpu', 'tests'] if args.device == 'cuda' else ['tests/restorers/test_devices.py', '-k', 'one_step']
    command = [sys.executable, '-m', 'pytest', '-q', '-n0', '-rf', '-p', 'no:cacheprovider', *chosen]
    run = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    print(run.stdout, run.stderr)
    counts = {word: int(n) for n, word in re.findall(r'(\d+) (passed|failed|skipped|error)', run.stdout[-300:])}
    failed = re.findall(r'^FAILED (\S+)', run.stdout, re.MULTILINE)
    if run.returncode or not counts.get('passed'):
        raise DataError(f'tests: {counts or "none ran"}; {", ".join(failed) or f"exit code {run.returncode}"}')
    return {'selected': ' '.join(chosen), **counts}


def nccl(args: argparse.Namespace) -> dict:
    """Run NCCL's collectives and a DDP step with one rank; gloo on a CPU.

    Raises:
        DataError: a collective or a gradient is wrong.
    """
    from torch import distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    backend = 'nccl' if args.device == 'cuda' else 'gloo'
    values = 2**12 if args.miniature else 2**26
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group(backend, init_method=f'file://{folder}/store', rank=0, world_size=1)
        x = torch.arange(values, dtype=torch.float32, device=args.device)
        kept, gathered = x.clone(), [torch.empty_like(x)]
        dist.all_reduce(x)
        dist.broadcast(x, 0)
        dist.all_gather(gathered, x)
        if not (torch.equal(x, kept) and torch.equal(gathered[0], kept)):
            raise DataError(f'{backend}: a collective of one rank changed its tensor')
        plain = nn.Conv2d(3, 8, 3).to(args.device)
        wrapped = DistributedDataParallel(plain)
        picture = torch.rand(1, 3, 32, 32, device=args.device)
        wrapped(picture).square().mean().backward()
        own = plain.weight.grad.clone()
        plain.weight.grad = None
        plain(picture).square().mean().backward()
        difference = float((own - plain.weight.grad).abs().max() / own.abs().max())
        if difference > 1e-3:
            raise DataError(f'{backend}: the gradient of DDP differs by {difference:.1e}')
        seconds = [time_call(dist.all_reduce, x)[0] for _ in range(args.pairs)]
        version = '.'.join(map(str, torch.cuda.nccl.version())) if backend == 'nccl' else None
        dist.destroy_process_group()
    return {
        'backend': backend,
        'version': version,
        'all_reduce_mib': values * 4 / 2**20,
        'all_reduce_seconds': sorted(seconds)[len(seconds) // 2],
        'gradient_differs_by': difference,
    }


def smooth_picture(height: int, width: int, seed: int) -> np.ndarray:
    """Return a random picture that PNG compresses like a photograph, HWC uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def repeats(args: argparse.Namespace, seconds: float) -> int:
    """Return how many repeats of ``seconds`` fit in :data:`LONGEST`, at most ``--pairs``."""
    return max(1, min(args.pairs, int(LONGEST / seconds)))


def restore(args: argparse.Namespace, megapixels: str) -> dict:
    """Measure `restore` of a picture with the included model: its network in fp32 and bf16, and the whole file."""
    from restorebox.inference import RestoreInferencer
    from restorebox.inference.inputs import RestoreJob
    from restorebox.inference.queue import restore_all
    from restorebox.layers.precision import has_bf16

    pixels = float(megapixels) * 1e6 * (SHRINK if args.miniature else 1)
    height = round((pixels * 2 / 3) ** 0.5)
    picture = smooth_picture(height, round(pixels / height), args.seed)
    precisions = ['fp32', 'bf16'] if has_bf16(torch.device(args.device)) or args.miniature else ['fp32']
    made = {name: RestoreInferencer('weather', device=args.device, precision=name) for name in precisions}
    memory = {}
    for name, inferencer in made.items():
        inferencer.tiler(picture)  # warm-up, with the measurement of its memory
        held = reset_peak_memory()
        first = time_call(inferencer.tiler, picture)[0]
        memory[name] = (peak_memory_since_reset() - held) / 2**20
    last = [*made.values()][-1]
    rounds = [[time_call(each.tiler, picture)[0] for each in made.values()] for _ in range(repeats(args, 2 * first))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'in.png')
        cv2.imwrite(str(path), picture)
        start = time.perf_counter()
        bad = restore_all(last, [RestoreJob(path, Path(folder, 'out.png'))])
        whole = time.perf_counter() - start
    if bad:
        raise DataError(f'restore of {megapixels} megapixels: {bad[0]}')
    pairs = [(each[0], each[-1]) for each in rounds]
    return {
        'size': list(picture.shape[:2]),
        'megapixels': picture.shape[0] * picture.shape[1] / 1e6,
        'tiled': not last.tiler.fits(*picture.shape[:2]),
        'compared': [precisions[0], precisions[-1]],
        **compare_pairs(pairs),
        'file_seconds': whole,
        'file_precision': precisions[-1],
        'peak_mib': [memory[precisions[0]], memory[precisions[-1]]],
    }


def sampling(args: argparse.Namespace) -> dict:
    """Measure the restoration of a picture by the diffusion model with overlapping windows and random weights."""
    from restorebox.engine.config import load_config
    from restorebox.registry import RESTORERS

    name = 'diffusion_demo' if args.miniature else 'weatherdiffusion_rain800'
    config = f'configs/raindiffusion/{name}.py'
    restorer = RESTORERS.build(load_config(config).model.to_dict()).to(args.device).eval()
    height, width = (64, 96) if args.miniature else SAMPLED
    rng = torch.Generator().manual_seed(args.seed)
    x = torch.rand(1, 3, height, width, generator=rng).to(args.device)

    def run(bf16: bool) -> None:
        with torch.inference_mode(), torch.autocast(args.device, torch.bfloat16, enabled=bf16):
            restorer.restore(x)
        synchronise()

    run(True)
    run(False)
    held = reset_peak_memory()
    first = time_call(run, False)[0]
    memory = (peak_memory_since_reset() - held) / 2**20
    pairs = [(time_call(run, False)[0], time_call(run, True)[0]) for _ in range(repeats(args, 2 * first))]
    return {
        'config': config,
        'size': [height, width],
        'steps': restorer.sampling.steps,
        'compared': ['fp32', 'bf16'],
        **compare_pairs(pairs),
        'peak_mib': [memory, None],
    }


def training(args: argparse.Namespace) -> dict:
    """Train the included model for ``--seconds`` by docs/studies/weather_train.py, which continues an earlier session.

    Raises:
        DataError: the training failed.
    """
    from restorebox.files import find_checkpoints

    folder = args.work_dir / 'weather2'
    data, more = args.data_root, []
    if data is None:
        data = args.work_dir / 'data'
        for split, count in (('train', 4), ('test', 1)):
            (data / split / 'gt').mkdir(parents=True, exist_ok=True)
            for number in range(count):
                picture = smooth_picture(256, 320, args.seed + number + (100 if split == 'test' else 0))
                cv2.imwrite(str(data / split / 'gt' / f'{number}.png'), picture)
    if args.miniature:
        more = [
            '--start-samples',
            '4',
            '--cfg-options',
            'train_dataloader.batch_size=1',
            'train_dataloader.num_workers=0',
        ]
    else:  # one worker renders about 30 samples a second, less than a GPU trains on
        more = ['--cfg-options', f'train_dataloader.num_workers={max(1, min(16, (os.cpu_count() or 1) - 1))}']
    before = _steps(find_checkpoints(folder) if folder.is_dir() else [])
    script = REPO / 'docs' / 'studies' / 'weather_train.py'
    words = ['--data-root', data, '--work-dir', folder, '--stop-after', args.seconds / 60, '--nice', 0, *more]
    start = time.perf_counter()
    run = subprocess.run([sys.executable, str(script), *map(str, words)], check=False, cwd=REPO)
    seconds = time.perf_counter() - start
    after = _steps(find_checkpoints(folder) if folder.is_dir() else [])
    if run.returncode or after <= before:
        raise DataError(f'training: ended with code {run.returncode} after {seconds:.0f} s, at step {after}')
    return {'seconds': seconds, 'first_step': before, 'last_step': after}


def _steps(checkpoints: list[Path]) -> int:
    return max((int(path.stem.split('_')[-1]) for path in checkpoints), default=0)


if __name__ == '__main__':
    guarded(main)
