"""Time how fast one worker makes training samples."""

from __future__ import annotations

import argparse
import time


def measure_data(args: argparse.Namespace) -> dict:
    """The figures of ``benchmark data``: samples per second of each config's training set, made in this process alone.

    Raises:
        ConfigError: a config without a training set.
    """
    import cv2
    import torch

    from restorebox.datasets.sampler import KeyedSampler
    from restorebox.engine.config import load_config, set_data_root
    from restorebox.errors import ConfigError
    from restorebox.registry import DATASETS

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # a worker has one core
    rows = []
    for path in args.config:
        cfg = load_config(path, args.cfg_options)
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
    """Print them."""
    width = max(len(row['config']) for row in figures['configs'])
    for row in figures['configs']:
        height, side = next(iter(row['sizes'].values()))
        print(f'{row["config"]:<{width}}  {row["per_second"]:8.1f} samples a second per worker, {height}x{side}')
