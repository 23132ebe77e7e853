#!/usr/bin/env python3
"""Measure training steps on random pictures.

``step.py CONFIG``: compare a cycle restorer's step with a reference implementation without shared passes, in time and
losses.

``step.py CONFIG_A CONFIG_B``: compare the steps of two configs in time and peak memory, in alternating new processes.
Both may be the same config, with ``--row-b`` or ``--cfg-options-b`` for the differences.

``step.py CONFIG --cut FOLDER``: compare the step of CUT or CycleGAN with that of the public code of CUT's authors
(https://github.com/taesungp/contrastive-unpaired-translation, BSD licence), of which FOLDER is a checkout, in processor
time. ``--out`` adds a row to a JSON list.
"""

from __future__ import annotations

import os

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in cli/main.py; read when torch loads OpenMP

import argparse
from pathlib import Path

from options import training_parser, write_figures
from step_pairs import measure_pairs, show_pairs
from step_peer import measure_against_peer, show_against_peer, store_row
from step_plain import measure_against_plain, show_against_plain

from restorebox.cli.common import guarded, options_action, positive


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = training_parser('step.py', __doc__, 'two configs: steps before the clock starts', 'pairs, in turn')
    parser.add_argument('config', nargs='+', help='one or two')
    parser.add_argument('--size', type=positive, help="side of the square crops (default: the config's)")
    parser.add_argument('--batch', type=positive, help="pictures of a step (default: the config's)")
    parser.add_argument('--row-b', help='row of the second config (default: that of --row)')
    parser.add_argument(
        '--cfg-options-b',
        nargs='+',
        action=options_action(),
        default={},
        metavar='KEY=VALUE',
        help='options of the second config alone; --cfg-options are of both',
    )
    parser.add_argument('--cut', type=Path, metavar='FOLDER', help="checkout of CUT's public code, only run")
    args = parser.parse_args(argv)
    if len(args.config) > 2:
        parser.error(f'one config or two, {len(args.config)} are given')
    if args.cut and len(args.config) > 1:
        parser.error('--cut takes one config')
    for option, given in (('--row-b', args.row_b), ('--cfg-options-b', args.cfg_options_b)):
        if given and len(args.config) < 2:
            parser.error(f'{option} needs two configs')
    return args


def main(argv: list[str] | None = None) -> None:
    """Measure, print, and optionally write JSON."""
    args = parse(argv)
    if len(args.config) == 2:
        figures = measure_pairs(args)
        show_pairs(figures)
        write_figures(figures, args.out)
        return
    args.config = args.config[0]
    if args.cut:
        figures = measure_against_peer(args)
        show_against_peer(figures)
        store_row(figures, args.out)
    else:
        figures = measure_against_plain(args)
        show_against_plain(figures)
        write_figures(figures, args.out)


if __name__ == '__main__':
    guarded(main)
