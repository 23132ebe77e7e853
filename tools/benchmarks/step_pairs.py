"""Measurement of time and memory of the training steps of two configs in alternating new processes."""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from multiprocessing import get_context

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from options import training_config
from step_input import random_pictures, roles_read, step_size

from restorebox.engine.measuring import device_name, peak_memory_since_reset, reset_peak_memory, synchronise
from restorebox.errors import ConfigError
from restorebox.metrics.scores import library_versions
from restorebox.processes import end_with_parent
from restorebox.registry import RESTORERS


def run_steps(args: argparse.Namespace) -> dict:
    """Train a few steps of one config on random pictures.

    Args:
        args: options of ``step.py`` with one config.

    Returns:
        ``seconds`` per step after the warm-up; ``memory_mib``, the increase of the peak memory after networks,
        optimisers and pictures were allocated; number of trained ``parameters``; ``device`` and ``threads``.
    """
    cfg = training_config(args)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)
    restorer = RESTORERS.build(cfg.model.to_dict()).to(device).train()
    with DefaultScope.overwrite_default_scope('restorebox'):
        wrapper = build_optim_wrapper(restorer, cfg.optim_wrapper.to_dict())
    data = random_pictures(roles_read(restorer), step_size(args, cfg))
    before = reset_peak_memory()  # before the first step, which allocates the optimisers' state
    for _ in range(args.warmup):
        restorer.train_step(data, wrapper)
    synchronise()
    start = time.perf_counter()
    for _ in range(args.stretch):
        restorer.train_step(data, wrapper)
    synchronise()
    trained = {name for roles in restorer.steps.values() for name in roles}
    return {
        'seconds': (time.perf_counter() - start) / args.stretch,
        'memory_mib': (peak_memory_since_reset() - before) / 2**20,
        'parameters': sum(p.numel() for name in trained for p in restorer.role(name).parameters()),
        'device': device_name(),
        'threads': torch.get_num_threads(),
    }


def _in_fresh_process(args: argparse.Namespace) -> dict:
    with ProcessPoolExecutor(1, get_context('spawn'), initializer=end_with_parent) as pool:
        try:
            return pool.submit(run_steps, args).result()
        except BrokenProcessPool:
            raise ConfigError(
                f'config {args.config}: the process that measured it died, most likely for want of memory; '
                'give a smaller --size or --batch'
            ) from None


def measure_pairs(args: argparse.Namespace) -> dict:
    """Measure medians over pairs of alternating processes.

    Memory is the resident set size on a CPU, and torch's allocated memory on a GPU.

    Raises:
        ConfigError: the configs' steps have different sizes, or a process failed.
    """
    sides, sizes = [], []
    rows = (args.row, args.row_b or args.row)
    for config, row, own in zip(args.config, rows, ({}, args.cfg_options_b), strict=True):
        side = copy.copy(args)
        side.config, side.row, side.cfg_options = config, row, {**args.cfg_options, **own}
        sides.append(side)
        sizes.append(step_size(side, training_config(side)))
    if sizes[0] != sizes[1]:
        each = ' and '.join('batch {} of {}x{}'.format(*size) for size in sizes)
        raise ConfigError(f'the configs train on {each}, which says nothing about them; give --size and --batch')
    pairs, load = [], [os.getloadavg()[0]]
    for _ in range(args.pairs):
        pairs.append([_in_fresh_process(side) for side in sides])
        load.append(os.getloadavg()[0])
    figures = {
        'configs': args.config,
        'rows': list(rows),
        'cfg_options': [side.cfg_options for side in sides],
        'device': pairs[0][0]['device'],
        'threads': pairs[0][0]['threads'],
        'batch': sizes[0][0],
        'crop': list(sizes[0][1:]),
        'precision': 'bf16 autocast' if args.amp else 'fp32',
        'pairs': args.pairs,
        'warmup': args.warmup,
        'stretch': args.stretch,
        'parameters': [each['parameters'] for each in pairs[0]],
    }
    for name in ('seconds', 'memory_mib'):
        ratios = [b[name] / a[name] for a, b in pairs]
        figures[name] = [statistics.median(pair[i][name] for pair in pairs) for i in (0, 1)]
        figures[f'{name}_ratio'] = statistics.median(ratios)
        figures[f'{name}_ratio_range'] = [min(ratios), max(ratios)]
    return figures | {
        'cores': os.cpu_count(),
        'load': [min(load), max(load)],
        'libraries': library_versions(),
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
    }


def show_pairs(figures: dict) -> None:
    """Print the results."""
    crop = 'x'.join(map(str, figures['crop']))
    print(f'batch {figures["batch"]}, crop {crop}, {figures["precision"]}, {figures["device"]}')
    for i, letter in enumerate('AB'):
        row, options = figures['rows'][i], figures['cfg_options'][i]
        given = ([f'--row {row}'] if row else []) + [f'{key}={value}' for key, value in options.items()]
        print(f'  {letter}  {" ".join([figures["configs"][i], *given])}')
    print(f'  {"":22}{"A":>12}{"B":>12}   B / A, median of {figures["pairs"]} pairs')
    rows = (('a step, ms', 'seconds', 1000), ('memory of a step, MiB', 'memory_mib', 1))
    for label, name, scale in rows:
        a, b = (scale * value for value in figures[name])
        low, high = figures[f'{name}_ratio_range']
        print(f'  {label:22}{a:12.1f}{b:12.1f}   {figures[f"{name}_ratio"]:.3f} ({low:.3f} to {high:.3f})')
    a, b = figures['parameters']
    print(f'  {"parameters":22}{a:12,}{b:12,}   {b / a:.3f}')
    low, high = figures['load']
    print(f'  load of the machine {low:.1f} to {high:.1f} on {figures["cores"]} cores, this included')
