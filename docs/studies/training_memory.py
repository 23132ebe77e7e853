"""Measure the memory of one training process of each method at the paper's size, on a CPU.

    python docs/studies/training_memory.py [CONFIG ...]

Each config is built with random weights in a process of its own, which trains three steps on random images of the
config's crop and batch size: with `activation_checkpointing` as in the config, and without it. The peak is the largest
resident memory of the process, without a data loader's workers. Ranks share no memory; DDP adds a copy of the
gradients. Writes docs/results/training_memory.json and training_memory.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

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
STEPS = 3
LAYERS = {'transmission': 1}  # channels; 3 for other images


def measure(config: str, stored: bool) -> dict:
    """Train a few steps; return peak memory in GiB and CPU seconds of the last step.

    Args:
        config: path below configs/.
        stored: ignore the config's activation_checkpointing.
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
    patterns = None if stored else cfg.get('activation_checkpointing')
    if patterns:
        recompute(model, patterns)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    loader = cfg.train_dataloader
    side = [each['size'] for each in loader.dataset.pipeline if each['type'] == 'RandomWindow'][-1]
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
        'estimated_gib': None if estimate is None else (before + estimate) / 2**30,
    }


def table(rows: list[dict]) -> str:
    """One row per config."""
    head = 'config | crop | batch | peak GiB | estimated | without checkpointing | CPU seconds a step | without'
    lines = [f'| {head} |', '|---' * 8 + '|']
    for row in rows:
        own, plain = row['as_configured'], row['stored']
        guess = own['estimated_gib']
        cells = [f'{own["peak_gib"]:.1f}', f'{guess:.1f}' if guess else '', f'{plain["peak_gib"]:.1f}' if plain else '']
        times = [f'{own["cpu_seconds"]:.0f}', f'{plain["cpu_seconds"]:.0f}' if plain else '']
        lines.append(f'| {own["config"]} | {own["crop"]} | {own["batch"]} | {" | ".join(cells + times)} |')
    return '\n'.join(lines)


def in_process(config: str, stored: bool) -> dict:
    """Run :func:`measure` in a new process."""
    command = [sys.executable, __file__, config, '--measure', *(['--stored'] if stored else [])]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', default=CONFIGS)
    parser.add_argument('--measure', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--stored', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.configs[0], args.stored)))
        return
    from restorebox.engine.config import load_config

    path = RESULTS / 'training_memory.json'
    known = json.loads(path.read_text())['rows'] if path.is_file() else []
    rows = {row['as_configured']['config']: row for row in known}
    for config in args.configs:
        saves = load_config(config).get('activation_checkpointing')
        rows[config] = {
            'as_configured': in_process(config, False),
            'stored': in_process(config, True) if saves else None,
        }
        result = {'date': datetime.now().isoformat(timespec='seconds'), 'rows': list(rows.values())}
        path.write_text(json.dumps(result, indent=1) + '\n')
        text = '<!-- written by docs/studies/training_memory.py -->\n\n' + table(list(rows.values())) + '\n'
        RESULTS.joinpath('training_memory.md').write_text(text)
    print(table(list(rows.values())))


if __name__ == '__main__':
    main()
