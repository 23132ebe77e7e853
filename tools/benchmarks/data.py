#!/usr/bin/env python3
"""Measure the training samples per second of one worker; configs of data sets alone are accepted."""

from __future__ import annotations

import os

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in cli/main.py; read when torch loads OpenMP

import argparse
import time
from pathlib import Path

import cv2
import torch
from options import write_figures

from restorebox.cli.common import add_row_option, guarded, options_action, positive
from restorebox.datasets.sampler import KeyedSampler
from restorebox.engine.config import load_config, set_data_root
from restorebox.errors import ConfigError
from restorebox.processes import keep_freed_memory
from restorebox.registry import DATASETS


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(prog='data.py', description=__doc__)
    parser.add_argument('config', nargs='+')
    parser.add_argument('--warmup', type=positive, default=10, help='samples before the clock (default: %(default)s)')
    parser.add_argument('--seconds', type=positive, default=5, help='for each data set (default: %(default)s)')
    parser.add_argument('--data-root', help="folder of the configs' data sets")
    add_row_option(parser)
    parser.add_argument('--cfg-options', nargs='+', action=options_action(), default={}, metavar='KEY=VALUE')
    parser.add_argument('--out', type=Path, help='write the figures as JSON')
    return parser.parse_args(argv)


def measure_data(args: argparse.Namespace) -> dict:
    """Measure samples per second of each config's training set in this process.

    Raises:
        ConfigError: a config has no training set.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # a worker has one core
    keep_freed_memory()  # as a worker does
    rows = []
    for path in args.config:
        cfg = load_config(path, args.cfg_options, args.row)
        if cfg.get('train_dataloader') is None:
            raise ConfigError(f'config {path}: has no train_dataloader')
        if args.data_root:
            set_data_root(cfg, args.data_root)
        dataset = DATASETS.build(cfg.train_dataloader.dataset.to_dict())
        keys = iter(KeyedSampler(dataset))
        for _ in range(args.warmup):
            dataset[next(keys)]
        made, began = 0, time.perf_counter()
        while time.perf_counter() - began < args.seconds:
            sample = dataset[next(keys)]
            made += 1
        seconds = time.perf_counter() - began
        sizes = {role: list(x.shape[-2:]) for role, x in sample['inputs'].items()}
        rows.append({'config': path, 'pictures': len(dataset), 'per_second': made / seconds, 'sizes': sizes})
    torch.set_num_threads(threads)
    return {'seconds': args.seconds, 'configs': rows}


def show_data(figures: dict) -> None:
    """Print the results."""
    width = max(len(row['config']) for row in figures['configs'])
    for row in figures['configs']:
        height, side = next(iter(row['sizes'].values()))
        print(f'{row["config"]:<{width}}  {row["per_second"]:8.1f} samples a second per worker, {height}x{side}')


def main(argv: list[str] | None = None) -> None:
    """Measure, print, and optionally write JSON."""
    args = parse(argv)
    figures = measure_data(args)
    show_data(figures)
    write_figures(figures, args.out)


if __name__ == '__main__':
    guarded(main)
