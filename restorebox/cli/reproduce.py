"""Check the papers' claims: train both sides of each, test, compare, and write the pages of docs/claims.

    reproduce --list                              list the claims
    reproduce --status                            verdicts, what they still need, and the runs under way
    reproduce fdrnet/C1 --budget small            plan, train, test, write
    reproduce cclgan --budget medium --background the same in the background: hours on one core, at low priority
    reproduce --confirm                           repeat the probes of stale results: is what they compute unchanged?
    reproduce --render                            write the pages again from the stored results

The same command resumes an interrupted run. Complete runs are skipped; failed and stale ones are run again. The
baseline of a claim is trained first; if neither it nor the stored runs of the other side restore, the other models of
the claim are not trained.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

from restorebox.claims.ledger import read_all, select
from restorebox.claims.reproduction import (
    Options,
    confirm,
    list_claims,
    reproduce,
    show_plan,
    show_status,
    show_verdicts,
    start_in_background,
)
from restorebox.claims.runs import plan
from restorebox.cli.run_options import add_run_options, parse_runs, pictures_of, seeds_of
from restorebox.errors import RestoreboxError
from restorebox.files import PUBLISHED


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``reproduce``."""
    parser = argparse.ArgumentParser(
        prog='restorebox reproduce', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('claims', nargs='?', metavar='METHOD[/CLAIM]', help='(default: all)')
    add_run_options(parser)
    parser.add_argument('--published', type=Path, default=PUBLISHED, help="the papers' tables (default: included)")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument('--list', action='store_true', help='list the claims and stop')
    instead.add_argument('--status', action='store_true', help='list the verdicts and stop')
    instead.add_argument('--confirm', action='store_true', help='confirm stale results by their probes and stop')
    instead.add_argument('--render', action='store_true', help='write the pages from stored results and stop')
    parser.add_argument('--against', type=Path, help='--confirm on another machine: a checkout where they are valid')
    args = parse_runs(parser, argv)
    if args.against and not args.confirm:
        parser.error('--against: only with --confirm')
    return args


def main(argv: list[str]) -> None:
    """Plan and execute the runs, and write the pages.

    Raises:
        RestoreboxError: runs failed; raised after all others are done and the pages are written.
    """
    args = parse(argv)
    ledgers = read_all()
    chosen = select(ledgers, args.claims)
    if args.list:
        list_claims(chosen)
        return
    if args.status:
        show_status(chosen, args.docs, args.work_dir)
        return
    from restorebox.claims.pages import write_pages

    if args.render:
        write_pages(ledgers, args.docs, args.published)
        return
    if args.confirm:
        confirm(chosen, Options(args.work_dir, args.docs, None, args.device, lambda: None), args.against)
        write_pages(ledgers, args.docs, args.published)
        return
    seeds = seeds_of(args)
    runs = plan(chosen, args.budget, seeds)
    show_plan(runs, args.docs, args.work_dir, args.data_root)
    if args.plan:
        if not runs:
            show_verdicts(chosen, args.budget, args.docs)
        return
    if args.background:
        start_in_background('reproduce', [word for word in argv if word != '--background'], args.work_dir)
        return
    write = functools.partial(write_pages, ledgers, args.docs, args.published)
    options = Options(args.work_dir, args.docs, pictures_of(args), args.device, write)
    failed = reproduce(chosen, args.budget, seeds, options)
    write()
    show_verdicts(chosen, args.budget, args.docs)
    if failed:
        raise RestoreboxError(f'reproduce: {len(failed)} runs failed; the same command tries them again')
