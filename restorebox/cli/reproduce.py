"""Check the papers' claims: train both sides of each, test, compare, and write the pages of docs/claims.

    reproduce --list                          list the claims
    reproduce --status                        list the verdicts so far
    reproduce fdrnet/C1 --budget small        plan, train, test, write
    reproduce --render                        write the pages again from the stored results

The same command resumes an interrupted run. Complete runs are skipped; failed ones are tried again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from restorebox.claims.ledger import BUDGETS, Claim, Ledger, read_all, select
from restorebox.claims.runs import Run, execute, minutes_known, plan, read_result, sees_device
from restorebox.cli.common import positive
from restorebox.errors import RestoreboxError


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``reproduce``."""
    parser = argparse.ArgumentParser(
        prog='restorebox reproduce', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('claims', nargs='?', metavar='METHOD[/CLAIM]', help='(default: all)')
    parser.add_argument('--budget', choices=BUDGETS, default='small', help='(default: small)')
    parser.add_argument('--seeds', type=positive, help='number of seeds (default: 3; 1 at tiny)')
    parser.add_argument('--first-seed', type=int, default=0, help='first seed (default: 0)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    parser.add_argument('--data-root', help="folder of the pictures (default: the budget's; synthetic ones at tiny)")
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/claims'), help='(default: work_dirs/claims)')
    parser.add_argument('--docs', type=Path, default=Path('docs/claims'), help='pages and results (docs/claims)')
    parser.add_argument('--published', type=Path, default=Path('docs/published'), help="the papers' tables")
    parser.add_argument('--list', action='store_true', help='list the claims and stop')
    parser.add_argument('--status', action='store_true', help='list the verdicts and stop')
    parser.add_argument('--plan', action='store_true', help='show the plan and stop')
    parser.add_argument('--render', action='store_true', help='write the pages from stored results and stop')
    args = parser.parse_args(argv)
    kind, _, number = args.device.partition(':')
    if kind not in ('auto', 'cpu', 'cuda') or (number and (kind != 'cuda' or not number.isdigit())):
        parser.error(f'--device {args.device}: it must be auto, cpu, cuda or cuda:N')
    return args


def show_plan(runs: list[Run], todo: list[Run], docs: Path) -> None:
    """Print a line per run, and the total time."""
    total, unknown = 0.0, 0
    for run in runs:
        known = minutes_known(run, docs)
        if run not in todo:
            print(f'  done   {run.name}')
            continue
        total, unknown = total + (known or 0), unknown + (known is None)
        print(f'  to do  {run.name}: ' + ('time unknown' if known is None else f'about {known:.1f} min'))
    left = f'{len(todo)} of {len(runs)} runs to do, about {total:.0f} min'
    print(left + (f' and {unknown} of unknown time' if unknown else ''), flush=True)


def list_claims(chosen: list[tuple[Ledger, list[Claim]]], docs: Path, verdicts: bool) -> None:
    """Print the claims (``--list``) or verdicts (``--status``) without slow imports."""
    from restorebox.claims.rows import rows

    count = 0
    for ledger, claims in chosen:
        for claim in claims:
            count += 1
            if not verdicts:
                size = '' if claim.size is None else f' ({claim.size:+g})'
                print(f'{ledger.method}/{claim.id}: {claim.sentence}{size}. {claim.where}')
        if verdicts:
            for row in rows(ledger, claims, docs):
                print(f'{ledger.method}/{row["id"]} {row["budget"]}: {row["verdict"]}')
    print(f'{count} claims')


def main(argv: list[str]) -> None:
    """Plan and execute the runs, and write the pages.

    Raises:
        RestoreboxError: runs failed; raised after all others are done and the pages are written.
    """
    args = parse(argv)
    ledgers = read_all()
    chosen = select(ledgers, args.claims)
    if args.list or args.status:
        list_claims(chosen, args.docs, args.status)
        return
    if args.render:
        from restorebox.claims.pages import write_pages

        write_pages(ledgers, args.docs, args.published)
        return
    count = args.seeds or (1 if args.budget == 'tiny' else 3)
    runs = plan(chosen, args.budget, list(range(args.first_seed, args.first_seed + count)))
    stored = {run.name: read_result(run, args.docs) or {'failed': ''} for run in runs}
    todo = [run for run in runs if 'failed' in stored[run.name]]
    show_plan(runs, todo, args.docs)
    if args.plan:
        return
    from restorebox.claims.pages import write_pages
    from restorebox.claims.pictures import draw_pictures

    data_root = args.data_root
    if data_root is None and args.budget == 'tiny' and todo:
        data_root = str(draw_pictures(args.work_dir / 'tiny_pictures'))
    failed = 0
    for number, run in enumerate(todo, 1):
        began = time.perf_counter()
        result = execute(run, args.work_dir, args.docs, data_root=data_root, environment=sees_device(args.device))
        failed += 'failed' in result
        state = f'failed: {result["failed"]}' if 'failed' in result else 'done'
        print(f'[{number}/{len(todo)}] {run.name}: {state} ({(time.perf_counter() - began) / 60:.1f} min)', flush=True)
        write_pages(ledgers, args.docs, args.published)
    write_pages(ledgers, args.docs, args.published)
    if failed:
        raise RestoreboxError(f'reproduce: {failed} of {len(todo)} runs failed; the same command tries them again')
