"""The training step of CUT and CycleGAN against the public code of CUT's authors, which is only run, never included."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from options import training_config
from step_input import random_pictures, roles_read, step_size
from torch.utils.flop_counter import FlopCounterMode

from restorebox.engine.measuring import compare_pairs, device_name, synchronise, time_call
from restorebox.engine.recompute import recompute
from restorebox.errors import ConfigError
from restorebox.metrics.scores import library_versions
from restorebox.registry import RESTORERS

PEERS = {'CUT': ['--model', 'cut', '--CUT_mode', 'CUT'], 'CycleGAN': ['--model', 'cycle_gan']}


def peer_step(
    code: Path, method: str, size: tuple[int, int, int], device: str, seed: int = 0
) -> tuple[Callable[[int], None], int]:
    """Return a function that runs steps of the authors' training, and the number of trained parameters.

    Networks and weights of losses are the code's defaults, the pictures random.

    Args:
        code: checkout of the public code.
        method: key of ``PEERS``.
        size: (batch, height, width); pictures are square.
        device: ``'cpu'`` or ``'cuda'``.
        seed: of the pictures.

    Raises:
        ConfigError: ``code`` is not a checkout.
    """
    if not (code / 'models' / 'cut_model.py').is_file():
        raise ConfigError(f'--cut {code}: has no models/cut_model.py; give a checkout of the code of CUT')
    batch, height, _ = size
    # its option parser reads the command line, and writes a file into its folder of checkpoints
    folder = tempfile.mkdtemp()
    words = ['--dataroot', folder, '--checkpoints_dir', folder, '--name', 'peer', *PEERS[method]]
    words += ['--batch_size', str(batch), '--crop_size', str(height), '--load_size', str(height)]
    words += ['--gpu_ids', '0' if device == 'cuda' else '-1']
    held, modules, path = sys.argv, dict(sys.modules), list(sys.path)
    # the benchmarks have a module named as the code's package
    sys.modules.pop('options', None)
    sys.path.insert(0, str(code))
    try:
        sys.argv = ['train.py', *words]
        with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):
            from models import create_model
            from options.train_options import TrainOptions

            chosen = TrainOptions().parse()
            chosen.amp = False  # CycleGAN's training reads this option, which no parser of the code defines
            rng = torch.Generator().manual_seed(seed)
            pictures = {side: 2 * torch.rand(batch, 3, *size[1:], generator=rng) - 1 for side in 'AB'}
            data = {**pictures, 'A_paths': [''] * batch, 'B_paths': [''] * batch}
            model = create_model(chosen)
            if method == 'CUT':  # its projection heads are built with the first batch
                model.data_dependent_initialize(data)
            model.setup(chosen)
            model.parallelize()
    finally:
        sys.argv, sys.path[:] = held, path
        if 'options' in modules:
            sys.modules['options'] = modules['options']

    def run(steps: int) -> None:
        for _ in range(steps):
            model.set_input(data)
            model.optimize_parameters()
        synchronise()

    networks = [getattr(model, f'net{name}') for name in model.model_names]
    return run, sum(p.numel() for network in networks for p in network.parameters())


def measure_against_peer(args: argparse.Namespace) -> dict:
    """Measure our step and the authors' in turn, in one process; processor seconds on a CPU.

    Raises:
        ConfigError: see :func:`peer_step`.
    """
    cfg = training_config(args)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)
    restorer = RESTORERS.build(cfg.model.to_dict()).to(device).train()
    if cfg.get('activation_checkpointing'):
        recompute(restorer, cfg.activation_checkpointing)
    with DefaultScope.overwrite_default_scope('restorebox'):
        wrapper = build_optim_wrapper(restorer, cfg.optim_wrapper.to_dict())
    size = step_size(args, cfg)
    data = random_pictures(roles_read(restorer), size)
    method = 'CycleGAN' if restorer.two_way else 'CUT'
    theirs, their_parameters = peer_step(args.cut, method, size, device)

    def ours(steps: int) -> None:
        for _ in range(steps):
            restorer.train_step(data, wrapper)

    load = [os.getloadavg()[0]]
    ours(args.warmup)
    with FlopCounterMode(display=False) as counter:
        ours(1)
    theirs(args.warmup)
    clock = 0 if device == 'cuda' else 1  # wall-clock or processor seconds
    pairs = [
        tuple(time_call(run, args.stretch)[clock] / args.stretch for run in (theirs, ours)) for _ in range(args.pairs)
    ]
    load.append(os.getloadavg()[0])
    trained = {name for roles in restorer.steps.values() for name in roles}
    return {
        'config': args.config,
        'method': method,
        'batch': size[0],
        'crop': list(size[1:]),
        'recomputation': bool(cfg.get('activation_checkpointing')),
        'device': device_name(),
        'threads': torch.get_num_threads(),
        'stretch': args.stretch,
        'compared': ["the authors' code", 'ours'],
        'flop': counter.get_total_flops(),
        **compare_pairs(pairs),
        'parameters': [their_parameters, sum(p.numel() for n in trained for p in restorer.role(n).parameters())],
        'cores': os.cpu_count(),
        'load': load,
        'libraries': library_versions(),
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
    }


def show_against_peer(figures: dict) -> None:
    """Print the results."""
    low, high = figures['interval'] or figures['range']
    theirs, ours = figures['seconds']
    crop = 'x'.join(map(str, figures['crop']))
    kept = 'recomputed activations' if figures['recomputation'] else 'stored activations'
    print(f'{figures["method"]}, batch {figures["batch"]}, crop {crop}, {kept}, {figures["device"]}')
    print(f"  the authors' code       {1000 * theirs:8.0f} ms a step, {figures['parameters'][0]:,} parameters")
    print(f'  ours                    {1000 * ours:8.0f} ms a step, {figures["parameters"][1]:,} parameters')
    print(f'  theirs / ours           {1 / figures["ratio"]:8.3f} ({1 / high:.3f} to {1 / low:.3f})')


def store_row(figures: dict, out: Path | None) -> None:
    """Add the results to a JSON list, in place of an earlier row of the same method, size and recomputation."""
    if out is None:
        return
    same = ('method', 'crop', 'batch', 'recomputation', 'device')
    rows = json.loads(out.read_text()) if out.is_file() else []
    rows = [row for row in rows if any(row[key] != figures[key] for key in same)]
    out.write_text(json.dumps([*rows, figures], indent=1) + '\n')
