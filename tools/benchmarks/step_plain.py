"""Comparison of a cycle restorer's training step with its reference implementation."""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch
from options import training_config
from plain_cycle import PlainCycleRestorer
from step_input import random_pictures, roles_read, step_size
from torch.utils.flop_counter import FlopCounterMode

from restorebox.engine.measuring import device_name, peak_memory, synchronise
from restorebox.engine.optim import RoleOptimWrapperConstructor
from restorebox.errors import ConfigError
from restorebox.registry import RESTORERS
from restorebox.restorers.cycle import CycleRestorer


def measure_against_plain(args: argparse.Namespace) -> dict:
    """Measure medians over pairs of alternating intervals, after a warm-up.

    Raises:
        ConfigError: the restorer has no reference implementation.
    """
    cfg = training_config(args)
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
    data = random_pictures(roles_read(shared), size)
    plain.load_training_state(shared.training_state())  # both sample the same positions
    runs, losses, flops = {}, {}, {}
    for name, restorer in (('shared', shared), ('plain', plain)):
        wrapper = RoleOptimWrapperConstructor(copy.deepcopy(cfg.optim_wrapper.to_dict()))(restorer)
        runs[name] = (restorer, wrapper)
        restorer.train_step(data, wrapper)  # compare after some training
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
        'device': device_name(),
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


def show_against_plain(figures: dict) -> None:
    """Print the results."""
    low, high = figures['ratio_range']
    crop = 'x'.join(map(str, figures['crop']))
    print(f'{figures["config"]}, batch {figures["batch"]}, crop {crop}, {figures["precision"]}, {figures["device"]}')
    print(f'  a step                  {1000 * figures["shared_seconds"]:8.1f} ms')
    print(f'  written plainly         {1000 * figures["plain_seconds"]:8.1f} ms')
    print(f'  ratio                   {figures["ratio"]:8.3f}, {figures["pairs"]} pairs ({low:.3f} to {high:.3f})')
    print(f'  ratio of arithmetic     {figures["flops_ratio"]:8.3f}; a step is {figures["flops"] / 1e12:.3f} TFLOP')
    print(f'  losses differ by        {figures["losses_differ_by"]:8.1e} (relative, second step)')
    print(f'  peak memory of both     {figures["peak_memory_mib"]:8.0f} MiB')
