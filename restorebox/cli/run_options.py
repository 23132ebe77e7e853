"""Options of the commands that train several models with several seeds: reproduce and sweep."""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.claims.ledger import BUDGETS
from restorebox.claims.records import root_dir
from restorebox.cli.common import not_negative, positive


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add budget, seeds, device, folders and the ways to start."""
    parser.add_argument('--budget', choices=BUDGETS, default='small', help='(default: small)')
    parser.add_argument('--seeds', type=positive, help='number of seeds (default: 5; 1 at tiny)')
    parser.add_argument('--first-seed', type=not_negative, default=0, help='first seed (default: 0)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    parser.add_argument('--data-root', help="folder of the pictures (default: the budget's; synthetic ones at tiny)")
    root, inside = root_dir(), '(default: %s of the checkout)'
    parser.add_argument('--work-dir', type=Path, default=root / 'work_dirs/claims', help=inside % 'work_dirs/claims')
    parser.add_argument('--docs', type=Path, default=root / 'docs/claims', help='results, ' + inside % 'docs/claims')
    parser.add_argument('--background', action='store_true', help='start a process that outlives the terminal')
    parser.add_argument('--plan', action='store_true', help='show the plan and stop')


def parse_runs(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse the options and check the device."""
    args = parser.parse_args(argv)
    kind, _, number = args.device.partition(':')
    if kind not in ('auto', 'cpu', 'cuda') or (number and (kind != 'cuda' or not number.isdigit())):
        parser.error(f'--device {args.device}: it must be auto, cpu, cuda or cuda:N')
    return args


def seeds_of(args: argparse.Namespace) -> list[int]:
    """Return the seeds."""
    count = args.seeds or (1 if args.budget == 'tiny' else 5)
    return list(range(args.first_seed, args.first_seed + count))


def pictures_of(args: argparse.Namespace) -> str | None:
    """Return the folder of the pictures, synthetic ones at ``tiny``; None for that of the budget."""
    if args.data_root is None and args.budget == 'tiny':
        from restorebox.claims.pictures import draw_pictures

        return str(draw_pictures(args.work_dir / 'tiny_pictures'))
    return args.data_root
