"""Restore pictures and videos: files, folders with their structure, glob patterns; any size, never resized.

Names, bit depth, alpha channel, ICC profile and EXIF are kept. Outputs that the same model made already are skipped, so
that the same command continues an interrupted run. Under torchrun the files are divided among the processes; with
``--engine ray`` by Ray among its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from restorebox.cli.restore_options import KINDS, parse
from restorebox.errors import ConfigError, printable
from restorebox.files import READ_TIMEOUT, read_limit

if TYPE_CHECKING:
    from restorebox.inference import RestoreInferencer
    from restorebox.inference.folders import Engine, RestoreRun, RestoreSummary


def main(argv: list[str]) -> None:
    """Restore pictures, and print a summary."""
    args = parse(argv)
    from restorebox.inference.folders import SOME_FAILED, restore_into

    if args.read_timeout is not None:
        os.environ[READ_TIMEOUT] = str(args.read_timeout)
    read_limit()  # check the environment variable
    run, inferencer = read_run(args), partial(build, args)
    if args.dry_run:
        show(run)
    elif not restore_into(run, inferencer, lambda done: report(done, args.out), engine(args, inferencer)):
        sys.exit(SOME_FAILED)


def read_run(args: argparse.Namespace) -> RestoreRun:
    """Return the run that the options describe; reads the lists of files."""
    from restorebox.inference.folders import RestoreRun
    from restorebox.inference.inputs import Selection, read_list
    from restorebox.inference.records import maker_of
    from restorebox.storage import check_output

    if '-' in args.list and int(os.environ.get('WORLD_SIZE', 1)) > 1:
        raise ConfigError('list -: several processes cannot share standard input; write the list into a file')
    return RestoreRun(
        tuple(args.source),
        check_output(args.out),
        maker_of(args.model, args.checkpoint, args.strength, args.ensemble, args.quality, args.temporal == 'on'),
        tuple(path for name in args.list for path in read_list(name)),
        Selection(tuple(args.include), tuple(args.exclude), args.suffix, KINDS.get(args.format)),
        args.only_if_damaged,
        args.overwrite,
        args.batch_size,
        None if args.report is None else check_output(args.report),
    )


def show(run: RestoreRun) -> None:
    """Print what a run would do."""
    from restorebox.inference.folders import ACTIONS, preview

    numbers = dict.fromkeys(ACTIONS, 0)
    jobs, remarks = preview(run)
    for job, action in jobs:
        numbers[action] += 1
        print(printable(f'{job.source} -> {job.target}{ACTIONS[action]}'))
    would = f'would restore {numbers["restore"] + numbers["replace"]} into {run.out}'
    print('{}, {replace} of these replaced; {keep} are there already; {refuse} refused'.format(would, **numbers))
    for line in remarks:
        print(printable(line), file=sys.stderr)


def build(args: argparse.Namespace) -> RestoreInferencer:
    """Build the inferencer; rank 0 prints model, precision and device."""
    from restorebox.engine.zoo import architecture_licence
    from restorebox.inference import RestoreInferencer

    names = ('device', 'memory', 'ensemble', 'precision', 'backend', 'strength')
    options = {name: getattr(args, name) for name in names} | {'temporal': args.temporal == 'on'}
    options |= {'max_pixels': args.max_pixels} if args.max_pixels else {}
    inferencer = RestoreInferencer(args.model, args.checkpoint, **options)
    if os.environ.get('RANK', '0') == '0':
        print(f'{args.model} in {inferencer.precision} on {inferencer.runs_on}', flush=True)
        if licence := architecture_licence(inferencer.restorer):
            print(licence, flush=True)
    return inferencer


def engine(args: argparse.Namespace, inferencer: Callable[[], RestoreInferencer]) -> Engine | None:
    """Return the engine of the options, None for this process."""
    if args.engine == 'local':
        return None
    from restorebox.inference.ray_pool import RayPool

    return RayPool(inferencer, args.workers, args.verbose)


def report(done: RestoreSummary, out: str) -> None:
    """Print the numbers of files, then notes, ignored files, and a line for each file or folder that failed."""
    print(done.numbers(out))
    for line in done.remarks:
        print(printable(line), file=sys.stderr)
