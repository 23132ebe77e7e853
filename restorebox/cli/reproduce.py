"""Check the papers' claims: train both sides of each, test, compare, and write the pages of docs/claims.

    reproduce --list                              list the claims
    reproduce --status                            verdicts, what they still need, and the runs under way
    reproduce fdrnet/C1 --budget small            plan, train, test, write
    reproduce cclgan --budget medium --background the same in the background: hours on one core, at low priority
    reproduce --confirm                           repeat the probes of stale results: is what they compute unchanged?
    reproduce --render                            write the pages again from the stored results

The same command resumes an interrupted run. Complete runs are skipped; failed and stale ones are run again. The
baseline of a claim is trained first; if it does not restore, the other models of the claim are not trained.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

from restorebox.claims.ledger import BUDGETS, read_all, select
from restorebox.claims.records import root_dir
from restorebox.claims.reproduction import (
    Options,
    confirm,
    list_claims,
    reproduce,
    show_plan,
    show_status,
    start_in_background,
)
from restorebox.cli.common import positive
from restorebox.errors import RestoreboxError
from restorebox.files import PUBLISHED


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``reproduce``."""
    parser = argparse.ArgumentParser(
        prog='restorebox reproduce', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('claims', nargs='?', metavar='METHOD[/CLAIM]', help='(default: all)')
    parser.add_argument('--budget', choices=BUDGETS, default='small', help='(default: small)')
    parser.add_argument('--seeds', type=positive, help='number of seeds (default: 5; 1 at tiny)')
    parser.add_argument('--first-seed', type=int, default=0, help='first seed (default: 0)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    parser.add_argument('--data-root', help="folder of the pictures (default: the budget's; synthetic ones at tiny)")
    root, inside = root_dir(), '(default: %s of the checkout)'
    parser.add_argument('--work-dir', type=Path, default=root / 'work_dirs/claims', help=inside % 'work_dirs/claims')
    parser.add_argument('--docs', type=Path, default=root / 'docs/claims', help='pages, ' + inside % 'docs/claims')
    parser.add_argument('--published', type=Path, default=PUBLISHED, help="the papers' tables (default: included)")
    parser.add_argument('--background', action='store_true', help='start a process that outlives the terminal')
    parser.add_argument('--list', action='store_true', help='list the claims and stop')
    parser.add_argument('--status', action='store_true', help='list the verdicts and stop')
    parser.add_argument('--plan', action='store_true', help='show the plan and stop')
    parser.add_argument('--confirm', action='store_true', help='confirm stale results by their probes and stop')
    parser.add_argument('--render', action='store_true', help='write the pages from stored results and stop')
    args = parser.parse_args(argv)
    kind, _, number = args.device.partition(':')
    if kind not in ('auto', 'cpu', 'cuda') or (number and (kind != 'cuda' or not number.isdigit())):
        parser.error(f'--device {args.device}: it must be auto, cpu, cuda or cuda:N')
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
    if args.render:
        from restorebox.claims.pages import write_pages

        write_pages(ledgers, args.docs, args.published)
        return
    if args.confirm:
        from restorebox.claims.pages import write_pages

        confirm(chosen, Options(args.work_dir, args.docs, None, args.device, lambda: None))
        write_pages(ledgers, args.docs, args.published)
        return
    count = args.seeds or (1 if args.budget == 'tiny' else 5)
    seeds = list(range(args.first_seed, args.first_seed + count))
    show_plan(chosen, args.budget, seeds, args.docs)
    if args.plan:
        return
    if args.background:
        start_in_background([word for word in argv if word != '--background'], args.work_dir)
        return
    from restorebox.claims.pages import write_pages
    from restorebox.claims.pictures import draw_pictures

    data_root = args.data_root
    if data_root is None and args.budget == 'tiny':
        data_root = str(draw_pictures(args.work_dir / 'tiny_pictures'))
    write = functools.partial(write_pages, ledgers, args.docs, args.published)
    failed = reproduce(chosen, args.budget, seeds, Options(args.work_dir, args.docs, data_root, args.device, write))
    write()
    if failed:
        raise RestoreboxError(f'reproduce: {len(failed)} runs failed; the same command tries them again')
