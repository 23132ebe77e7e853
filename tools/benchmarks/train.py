#!/usr/bin/env python3
"""Measure the speed and memory of training.

Reports steps per second of the training loop with its real data, the share of time spent waiting for data, peak memory,
and the overhead over a bare PyTorch loop with the same network and batch, in alternating pairs.
"""

from __future__ import annotations

import os

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in cli/main.py; read when torch loads OpenMP

import argparse
import statistics
import tempfile
import time

import torch
from mmengine.hooks import Hook
from options import training_config, training_parser, write_figures
from train_loops import bare_loop, build_runner, our_loop

from restorebox.cli.common import guarded, positive
from restorebox.engine.measuring import device_name, peak_memory, synchronise


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = training_parser('train.py', __doc__, 'steps before the clock starts', 'pairs of stretches, in turn')
    parser.add_argument('config')
    parser.add_argument('--steps', type=positive, default=100, help='steps with real data (default: %(default)s)')
    return parser.parse_args(argv)


def measure_train(args: argparse.Namespace) -> dict:
    """Measure the training of a config."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = training_config(args, folder)
        total = (args.warmup + args.steps) * cfg.train_dataloader.batch_size
        cfg.train_cfg.max_samples = total
        runner = build_runner(cfg)
        marks: dict[str, float] = {}

        class Clock(Hook):
            priority = 'VERY_LOW'

            def after_train_iter(self, runner: object, batch_idx: int, data_batch: dict, outputs: dict) -> None:
                if batch_idx + 1 == args.warmup:
                    synchronise()
                    marks.update(start=time.perf_counter(), waited=runner.train_loop.waited)

        runner.register_hook(Clock())
        runner.train()
        synchronise()
        seconds = time.perf_counter() - marks['start']
        waited = runner.train_loop.waited - marks['waited']
        memory = peak_memory()
        loader = runner.train_dataloader
        batch = next(iter(loader))
        pairs = [
            (our_loop(runner, batch, args.stretch), bare_loop(runner, batch, args.stretch))
            for _ in range(args.pairs + 1)
        ][1:]  # the first pair warms up
    overheads = [1000 * (ours - bare) / args.stretch for ours, bare in pairs]
    return {
        'config': args.config,
        'device': device_name(),
        'threads': torch.get_num_threads(),
        'batch': loader.batch_size,
        'precision': 'bf16 autocast' if args.amp else 'fp32',
        'steps': args.steps,
        'steps_per_second': args.steps / seconds,
        'waiting_for_data': waited / seconds,
        'peak_memory_mib': memory / 2**20,
        'loop_over_bare': statistics.median(ours / bare for ours, bare in pairs),
        'overhead_ms_per_step': statistics.median(overheads),
        'overhead_ms_range': [min(overheads), max(overheads)],
        'bare_ms_per_step': statistics.median(1000 * bare / args.stretch for _, bare in pairs),
        'torch': torch.__version__,
    }


def show_train(figures: dict, pairs: int) -> None:
    """Print the results."""
    low, high = figures['overhead_ms_range']
    print(f'{figures["config"]}, batch {figures["batch"]}, {figures["precision"]}, {figures["device"]}')
    print(f'  steps per second        {figures["steps_per_second"]:8.2f}')
    print(f'  waiting for data        {100 * figures["waiting_for_data"]:7.1f} %')
    print(f'  peak memory             {figures["peak_memory_mib"]:8.0f} MiB')
    print(
        f'  loop over a bare loop   {figures["overhead_ms_per_step"]:8.2f} ms a step, median of {pairs} pairs '
        f'({low:.2f} to {high:.2f}); a bare step takes {figures["bare_ms_per_step"]:.2f} ms'
    )


def main(argv: list[str] | None = None) -> None:
    """Measure, print, and optionally write JSON."""
    args = parse(argv)
    figures = measure_train(args)
    show_train(figures, args.pairs)
    write_figures(figures, args.out)


if __name__ == '__main__':
    guarded(main)
