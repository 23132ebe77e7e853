"""Time a restorer's training step against the same step written plainly."""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from typing import Any

from restorebox.cli.common import prepare
from restorebox.errors import ConfigError

WINDOWS = ('RandomWindow', 'CentreWindow')


def step_config(args: argparse.Namespace) -> Any:
    """The config of ``benchmark step`` with the options of a training in it."""
    from restorebox.cli.train import apply_options

    args.work_dir, args.resume, args.seed, args.deterministic, args.auto_scale_lr = '', False, 0, False, False
    cfg = prepare(args)
    apply_options(cfg, args)
    return cfg


def step_size(args: argparse.Namespace, cfg: Any) -> tuple[int, int, int]:
    """(batch, height, width) of a step: the command line's, else those of the config's loader and its last window.

    Raises:
        ConfigError: neither says a size, or there is no training set.
    """
    if cfg.get('train_dataloader') is None:
        raise ConfigError(f'config {args.config}: has no train_dataloader')
    batch = args.batch or cfg.train_dataloader.batch_size
    if args.size:
        return batch, args.size, args.size
    sizes = [step['size'] for step in cfg.train_dataloader.dataset.pipeline if step['type'] in WINDOWS]
    if not sizes:
        raise ConfigError('train_dataloader.dataset.pipeline: cuts no window, so the size of a step is not known')
    return (batch, *((sizes[-1],) * 2 if isinstance(sizes[-1], int) else sizes[-1]))


def random_pictures(restorer: Any, size: tuple[int, int, int]) -> dict:
    """A batch of random pictures in each role that a restorer trains on, as a loader gives it."""
    import torch

    batch, height, width = size
    rng = torch.Generator().manual_seed(0)
    inputs = {role: torch.rand(batch, 3, height, width, generator=rng) for role in restorer.picture_roles}
    return {'inputs': inputs, 'data_samples': []}


def measure_step(args: argparse.Namespace) -> dict:
    """The figures of ``benchmark step``: medians over pairs of stretches in turn, after a warm-up.

    Raises:
        ConfigError: the restorer has no plain form.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from restorebox.cli.benchmark import peak_memory, synchronise
    from restorebox.cli.plain_cycle import PlainCycleRestorer
    from restorebox.engine.optim import RoleOptimWrapperConstructor
    from restorebox.registry import RESTORERS
    from restorebox.restorers.cycle import CycleRestorer

    cfg = step_config(args)
    model = cfg.model.to_dict()
    if RESTORERS.get(model['type']) is not CycleRestorer:
        raise ConfigError(f'config {args.config}: {model["type"]} has no plainly written step to compare with')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)
    shared = RESTORERS.build(copy.deepcopy(model)).to(device).train()
    del model['type']
    plain = PlainCycleRestorer(**model).to(device).train()
    plain.load_state_dict(shared.state_dict())

    batch, *side = size = step_size(args, cfg)
    data = random_pictures(shared, size)
    plain.load_training_state(shared.training_state())  # both sample the same positions
    runs, losses, flops = {}, {}, {}
    for name, restorer in (('shared', shared), ('plain', plain)):
        wrapper = RoleOptimWrapperConstructor(copy.deepcopy(cfg.optim_wrapper.to_dict()))(restorer)
        runs[name] = (restorer, wrapper)
        restorer.train_step(data, wrapper)  # so that what is compared is not the untrained network's
        with FlopCounterMode(display=False) as counter:
            losses[name] = {term: float(value) for term, value in restorer.train_step(data, wrapper).items()}
        flops[name] = counter.get_total_flops()
    worst = max(abs(value - losses['plain'][term]) / max(1.0, abs(value)) for term, value in losses['shared'].items())

    def stretch(name: str) -> float:
        restorer, wrapper = runs[name]
        synchronise()
        start = time.perf_counter()
        for _ in range(args.stretch):
            restorer.train_step(data, wrapper)
        synchronise()
        return (time.perf_counter() - start) / args.stretch

    rounds = [{name: stretch(name) for name in runs} for _ in range(args.pairs + 1)][1:]  # the first warms up

    def median(name: str) -> float:
        return statistics.median(seconds[name] for seconds in rounds)

    ratios = [seconds['shared'] / seconds['plain'] for seconds in rounds]
    return {
        'config': args.config,
        'device': torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
        'threads': torch.get_num_threads(),
        'batch': batch,
        'crop': side,
        'precision': 'bf16 autocast' if args.amp else 'fp32',
        'shared_seconds': median('shared'),
        'plain_seconds': median('plain'),
        'ratio': statistics.median(ratios),
        'flops': flops['shared'],
        'flops_ratio': flops['shared'] / flops['plain'],
        'ratio_range': [min(ratios), max(ratios)],
        'pairs': args.pairs,
        'losses_differ_by': worst,
        'peak_memory_mib': peak_memory() / 2**20,
        'torch': torch.__version__,
    }


def show_step(figures: dict) -> None:
    """Print them."""
    low, high = figures['ratio_range']
    crop = 'x'.join(map(str, figures['crop']))
    print(f'{figures["config"]}, batch {figures["batch"]}, crop {crop}, {figures["precision"]}, {figures["device"]}')
    print(f'  a step                  {1000 * figures["shared_seconds"]:8.1f} ms')
    print(f'  written plainly         {1000 * figures["plain_seconds"]:8.1f} ms')
    print(f'  ratio                   {figures["ratio"]:8.3f}, {figures["pairs"]} pairs ({low:.3f} to {high:.3f})')
    print(f'  ratio of arithmetic     {figures["flops_ratio"]:8.3f}; a step is {figures["flops"] / 1e12:.3f} TFLOP')
    print(f'  losses differ by        {figures["losses_differ_by"]:8.1e} (relative, second step)')
    print(f'  peak memory of both     {figures["peak_memory_mib"]:8.0f} MiB')
