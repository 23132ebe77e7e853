"""Options and configs shared by the benchmarks of training."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmengine.config import Config

from restorebox.cli.common import add_config_options, positive, prepare
from restorebox.cli.train import apply_options


def training_parser(name: str, description: str, warmup: str, pairs: str) -> argparse.ArgumentParser:
    """Return a parser with the options of a training benchmark.

    Args:
        name: name of the script.
        description: description of the script.
        warmup: help of ``--warmup``.
        pairs: help of ``--pairs``.
    """
    parser = argparse.ArgumentParser(
        prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--warmup', type=positive, default=10, help=f'{warmup} (default: %(default)s)')
    parser.add_argument('--pairs', type=positive, default=7, help=f'{pairs} (default: %(default)s)')
    parser.add_argument('--stretch', type=positive, default=20, help='steps of each stretch (default: %(default)s)')
    parser.add_argument('--amp', action='store_true', help='forward passes in bfloat16')
    parser.add_argument('--out', type=Path, help='write the figures as JSON')
    add_config_options(parser)
    return parser


def training_config(args: argparse.Namespace, work_dir: str = '') -> Config:
    """Return the config ``args.config`` with the options of a training."""
    args.work_dir, args.resume, args.seed, args.deterministic, args.auto_scale_lr = work_dir, False, 0, False, False
    cfg = prepare(args)
    apply_options(cfg, args)
    return cfg


def write_figures(figures: dict, out: Path | None) -> None:
    """Write the results as JSON if a path is given."""
    if out:
        out.write_text(json.dumps(figures, indent=1) + '\n')
