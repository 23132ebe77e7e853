"""Measure the memory of one training process of each method at the paper's size, on a CPU.

    python docs/studies/training_memory.py [CONFIG ...] [--limit 12]

Each config is built with random weights in a process of its own, which trains three steps on random images of the
config's crop and batch size: with `activation_checkpointing` of the config or, where it has none, of `PATTERNS`, and
without it. Frozen networks of losses have random weights as well. The peak is the largest resident memory of the
process, without a data loader's workers. A process that grows above the limit in GiB is ended, and the table says so.
Ranks share no memory; DDP adds a copy of the gradients. Writes docs/results/training_memory.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from restorebox.cli.common import guarded
from restorebox.errors import RestoreboxError

RESULTS = Path(__file__).resolve().parents[1] / 'results'
CONFIGS = (
    'cclgan/cclgan_spa.py',
    'cyclegan/cyclegan_spa.py',
    'cut/cut_spa.py',
    'raindiffusion/raindiffusion_rain1400.py',
    'heavy_rain/heavy_rain_outdoor_rain_stage1.py',
    'heavy_rain/heavy_rain_outdoor_rain_stage2.py',
    'fdrnet/did_hy_fdrnet.py',
    'fdrnet/rain1200_fdrnet.py',
    'infoaccum/rain800_pix2pix.py',
)
# for configs that do not recompute by default
PATTERNS = {
    'raindiffusion/raindiffusion_rain1400.py': [
        *(f'*denoiser.backbone.inner.{part}' for part in ('down.*', 'middle.*', 'up.*')),
        *(f'*generator.backbone.{part}' for part in ('down.*', 'middle', 'up.*')),
    ],
    'heavy_rain/heavy_rain_outdoor_rain_stage1.py': ['physics.backbone.streak', 'physics.backbone.transmission'],
    'heavy_rain/heavy_rain_outdoor_rain_stage2.py': [
        'physics.backbone.streak',
        'physics.backbone.transmission',
        'generator.backbone.body.*.*',
    ],
    'fdrnet/did_hy_fdrnet.py': ['generator.backbone.phases.*'],
    'fdrnet/rain1200_fdrnet.py': ['generator.backbone.phases.*'],
}
STEPS = 3
LAYERS = {'transmission': 1}  # channels; 3 for other images


def write_random_vgg(folder: str) -> None:
    """Write a VGG-16 with random weights where losses look for it."""
    import torch
    from torchvision.models import vgg16

    from restorebox.encoders.frozen import VGG16_FILE

    torch.hub.set_dir(folder)
    (Path(folder) / 'checkpoints').mkdir()
    torch.save(vgg16().state_dict(), Path(folder) / 'checkpoints' / VGG16_FILE)


def crop(loader: Any) -> int:
    """Return the side of a loader's training crop."""
    return [each['size'] for each in loader.dataset.pipeline if each['type'] == 'RandomWindow'][-1]


def measure(config: str, stored: bool) -> dict:
    """Train a few steps; return peak memory in GiB and CPU seconds of the last step.

    Args:
        config: path below configs/.
        stored: recompute nothing.
    """
    import torch
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import DefaultScope

    import restorebox.engine.optim
    import restorebox.engine.runner  # noqa: F401 (registers)
    from restorebox.engine.config import load_config
    from restorebox.engine.measuring import resident_size
    from restorebox.engine.memory import training_bytes
    from restorebox.engine.recompute import recompute
    from restorebox.registry import RESTORERS

    cfg = load_config(config)
    DefaultScope.get_instance('training_memory', scope_name='restorebox')
    torch.manual_seed(0)
    model = RESTORERS.build(cfg.model).train()
    patterns = None if stored else cfg.get('activation_checkpointing') or PATTERNS.get(config)
    if patterns:
        recompute(model, patterns)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    loader = cfg.train_dataloader
    side = crop(loader)
    roles = (*model.picture_roles, *(role for role in model.optional_roles if role != 'real'))
    batch = {
        'inputs': {role: torch.rand(loader.batch_size, LAYERS.get(role, 3), side, side) for role in roles},
        'data_samples': [],
    }
    estimate = training_bytes(model, cfg.model, batch, patterns)
    before = resident_size()
    for _ in range(STEPS):
        start = time.process_time()
        model.train_step(batch, wrapper)
        seconds = time.process_time() - start
    return {
        'config': config,
        'crop': side,
        'batch': loader.batch_size,
        'peak_gib': resident_size('VmHWM') / 2**30,
        'cpu_seconds': seconds,
        'recomputed': patterns,
        'estimated_gib': None if estimate is None else (before + estimate) / 2**30,
    }


def table(rows: list[dict]) -> str:
    """One row per config."""
    head = 'config | crop | batch | default | recomputing: peak GiB | estimated | CPU seconds a step '
    head += '| storing: peak GiB | CPU seconds a step'
    lines = [f'| {head} |', '|---' * 9 + '|']
    for row in rows:
        own, plain = row['recomputing'], row['storing']
        facts = own or plain
        default = 'recomputes' if row['default'] else 'stores'
        guess = own and own.get('estimated_gib')
        cells = [
            facts['config'],
            str(facts['crop']),
            str(facts['batch']),
            default,
            _peak(own),
            f'{guess:.1f}' if guess else '',
        ]
        cells += [_seconds(own), _peak(plain), _seconds(plain)]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _peak(measured: dict | None) -> str:
    if measured is None:
        return ''
    return f'above {measured["limit_gib"]:.0f}' if 'limit_gib' in measured else f'{measured["peak_gib"]:.1f}'


def _seconds(measured: dict | None) -> str:
    return '' if measured is None or 'limit_gib' in measured else f'{measured["cpu_seconds"]:.0f}'


def in_process(config: str, stored: bool, limit: float) -> dict:
    """Run :func:`measure` in a new process, which is ended when it needs more than ``limit`` GiB."""
    from restorebox.engine.config import load_config
    from restorebox.engine.measuring import resident_size

    command = [sys.executable, __file__, config, '--measure', *(['--stored'] if stored else [])]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'}
    with tempfile.TemporaryFile('w+') as out, subprocess.Popen(command, env=environment, stdout=out) as process:
        while process.poll() is None:
            try:
                size = resident_size(process=process.pid)
            except (OSError, RestoreboxError):  # it has just ended
                continue
            if size > limit * 2**30:
                process.kill()
                loader = load_config(config).train_dataloader
                return {'config': config, 'crop': crop(loader), 'batch': loader.batch_size, 'limit_gib': limit}
            time.sleep(0.2)
        if process.returncode:
            sys.exit(f'{config}: the measurement failed')
        out.seek(0)
        return json.loads(out.read().splitlines()[-1])


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', default=CONFIGS)
    parser.add_argument('--measure', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--stored', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--limit', type=float, default=12, help='GiB')
    args = parser.parse_args()
    if args.measure:
        with tempfile.TemporaryDirectory() as folder:
            write_random_vgg(folder)
            print(json.dumps(measure(args.configs[0], args.stored)))
        return
    from restorebox.engine.config import load_config

    path = RESULTS / 'training_memory.json'
    known = json.loads(path.read_text())['rows'] if path.is_file() else []
    rows = {(row['recomputing'] or row['storing'])['config']: row for row in known}
    for config in args.configs:
        default = bool(load_config(config).get('activation_checkpointing'))
        rows[config] = {
            'default': default,
            'recomputing': in_process(config, False, args.limit) if default or config in PATTERNS else None,
            'storing': in_process(config, True, args.limit),
        }
        result = {'date': datetime.now().isoformat(timespec='seconds'), 'rows': list(rows.values())}
        path.write_text(json.dumps(result, indent=1) + '\n')
        text = '<!-- written by docs/studies/training_memory.py -->\n\n' + table(list(rows.values())) + '\n'
        RESULTS.joinpath('training_memory.md').write_text(text)
    print(table(list(rows.values())))


if __name__ == '__main__':
    guarded(main)
