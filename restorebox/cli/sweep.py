"""Train a config over the values of a key, or over rows, with several seeds, and draw the scores as curves.

Usage::

    sweep --list                                       list the sweeps of the papers' figures
    sweep infoaccum/fig6 --budget small --seeds 3      one of them: plan, train, test, write docs/claims
    sweep infoaccum/infoaccum_demo.py --over model.generator.backbone.levels=1,3,5 --rows none endecoder
                                                       any config: one curve per row, 'none' is the config itself

Runs are those of `restorebox reproduce`: the same command resumes an interrupted run, complete ones are skipped. Figure
and scores with their 95 % intervals are written after each run: METHOD_SWEEP_BUDGET.png and .json in --docs, or
CONFIG_KEY.png and .json in work_dirs/sweeps for a config, which trains as it is, without a budget.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.claims.sweeping import execute_sweep, list_sweeps, select_sweep, sweep_of_config
from restorebox.cli.run_options import add_run_options, parse_runs, pictures_of, seeds_of
from restorebox.errors import RestoreboxError

FOR_CONFIG = Path('work_dirs/sweeps')


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``sweep``."""
    parser = argparse.ArgumentParser(
        prog='restorebox sweep', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sweep', nargs='?', metavar='METHOD/SWEEP or CONFIG.py')
    add_run_options(parser)
    parser.add_argument('--over', metavar='KEY=V1,V2,...', help='for a config: the key and its values')
    parser.add_argument(
        '--rows', nargs='+', default=['none'], help='for a config: a curve for each row (default: none)'
    )
    parser.add_argument('--score', default='psnr_rgb', help='for a config: the score to draw (default: psnr_rgb)')
    parser.add_argument('--list', action='store_true', help='list the sweeps and stop')
    args = parse_runs(parser, argv)
    if not args.sweep and not args.list:
        parser.error('give a sweep or a config; --list lists the sweeps')
    args.config = (args.sweep or '').endswith('.py')
    if args.config and not args.over:
        parser.error(f'{args.sweep}: a config needs --over KEY=V1,V2,...')
    if args.config and args.budget != parser.get_default('budget'):
        parser.error('--budget: only the sweeps of papers have budgets; a config trains as it is')
    if args.over and not args.config:
        parser.error('--over: a sweep of a paper has its own keys; give a config')
    if args.config:
        args.budget = 'paper'
        for key in ('work_dir', 'docs'):
            if getattr(args, key) == parser.get_default(key):
                setattr(args, key, FOR_CONFIG)
    return args


def main(argv: list[str]) -> None:
    """Plan and execute the runs, and draw the figure.

    Raises:
        RestoreboxError: runs failed; raised after all others are done and the figure is drawn.
    """
    args = parse(argv)
    if args.list:
        list_sweeps()
        return
    chosen = sweep_of_config(args.sweep, args.over, args.rows, args.score) if args.config else select_sweep(args.sweep)
    if args.plan:
        from restorebox.claims.sweeping import show_sweep_plan

        show_sweep_plan(chosen, args.budget, seeds_of(args), args.docs, args.work_dir, args.data_root)
        return
    if args.background:
        from restorebox.claims.reproduction import start_in_background

        start_in_background('sweep', [word for word in argv if word != '--background'], args.work_dir)
        return
    found = execute_sweep(
        chosen,
        args.budget,
        seeds_of(args),
        work=args.work_dir,
        docs=args.docs,
        data_root=pictures_of(args),
        device=args.device,
    )
    print(found.picture or 'no figure: it needs scores of at least two values')
    if found.failed:
        raise RestoreboxError(f'sweep: {found.failed} runs failed; the same command tries them again')
