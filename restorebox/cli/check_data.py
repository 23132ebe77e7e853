"""Check data sets before training.

Checks names, counts, sizes, unreadable files, mismatched or shifted pairs, near-duplicates between training and test,
and clean pictures that look degraded. Exit code 0: no errors, with or without warnings; 1: an error.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from restorebox.cli.common import add_row_option, options_action, positive
from restorebox.errors import ConfigError, DataError, printable
from restorebox.processes import usable_cores

if TYPE_CHECKING:
    from restorebox.datasets.inspection.picture_sets import Subject


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``check-data``."""
    parser = argparse.ArgumentParser(prog='restorebox check-data', description=__doc__)
    parser.add_argument('subject', help='a config file, or a folder with train/ and test/ (lq/, gt/, hq/ inside)')
    parser.add_argument('--data-root', help="folder of the config's data sets: train, val and test together")
    parser.add_argument('--quick', action='store_true', help='names, counts and 32 files only, as before a training')
    parser.add_argument('--workers', type=positive, help='number of reading processes (default: one per core, up to 8)')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/check_data'), help='folder for report.json and suspicious.png'
    )
    add_row_option(parser)
    parser.add_argument('--cfg-options', nargs='+', action=options_action(), default={}, metavar='KEY=VALUE')
    return parser.parse_args(argv)


def subject_of(args: argparse.Namespace) -> Subject:
    """Return the data sets of a config or a folder.

    Raises:
        ConfigError: an option that is not allowed with a folder, or an invalid config.
        DataError: the folder has an unknown layout.
    """
    from restorebox.datasets.inspection import from_config, from_folder
    from restorebox.engine.check import check_types
    from restorebox.engine.config import load_config, set_data_root

    if Path(args.subject).is_dir():
        if args.data_root or args.cfg_options or args.row:
            raise ConfigError(f'{args.subject} is a folder; --data-root, --row and --cfg-options go with a config')
        return from_folder(Path(args.subject))
    if not args.subject.endswith(('.py', '.json', '.yaml', '.yml')):
        raise DataError(f'{args.subject}: no such folder, and no config file either')
    cfg = load_config(args.subject, args.cfg_options, args.row)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    check_types(cfg)
    subject = from_config(cfg, args.subject)
    if not subject.sets and not subject.notes:
        raise ConfigError(f'config {args.subject}: names no data set of which pictures could be checked')
    return subject


class _Progress:
    """Progress line on stderr with the remaining time, overwritten on a terminal."""

    def __init__(self, every: float) -> None:
        self.every = every
        self.started = self.last = time.perf_counter()
        self.shown = False

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if done == total and self.shown and sys.stderr.isatty():
            print('\r\033[K', end='', file=sys.stderr, flush=True)
        if now - self.last < self.every or done == total:
            return
        self.last, self.shown = now, True
        rate = done / (now - self.started)
        left = (total - done) / rate
        line = f'{done} of {total}, {rate:.0f} a second, {int(left // 60)} min {int(left % 60)} s left'
        terminal = sys.stderr.isatty()
        print(f'\r\033[K{line}' if terminal else line, end='' if terminal else '\n', file=sys.stderr, flush=True)


def main(argv: list[str]) -> None:
    """Check the data, print a table, write the report and the sheet; exits with 1 if there are errors."""
    args = parse(argv)
    from restorebox.datasets.inspection import check, quick_check, save_findings
    from restorebox.engine.checkpoint import write_bytes

    subject = subject_of(args)
    if args.quick:
        report = quick_check(subject)
    else:
        progress = _Progress(0.5 if sys.stderr.isatty() else 15.0)
        report = check(subject, args.workers or min(usable_cores(), 8), progress)
    args.out.mkdir(parents=True, exist_ok=True)
    write_bytes(report.to_json().encode(), args.out / 'report.json')
    drawn = save_findings(report, args.out / 'suspicious.png')
    print(report.table())
    print(f'report: {printable(args.out / "report.json")}')
    if drawn:
        print(f'sheet:  {printable(args.out / "suspicious.png")}')
    if report.errors:
        sys.exit(1)
