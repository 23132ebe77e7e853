"""Restoration of files and folders into an output folder, distributed over ranks; existing outputs are skipped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path

import torch.distributed as dist

from restorebox.datasets.formats import left_out
from restorebox.datasets.walking import SkippedFiles
from restorebox.errors import ConfigError, printable
from restorebox.files import locked, remove_leftovers
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import RestoreJob, plan_jobs
from restorebox.inference.queue import restore_all
from restorebox.inference.video import is_video, need_av
from restorebox.processes import exit_at_once


@dataclass
class RestoreSummary:
    """Summary of a run over all ranks.

    Attributes:
        count: number of restored files.
        copied: number of pictures in which nothing was found and which were copied.
        before: number of files that existed already.
        bad: one line for each file that could not be restored.
        notes: one line for each thing that was not kept, or for a suffix that does not match the format.
        skipped: files that were found but ignored, and unreadable folders.
    """

    count: int
    copied: int
    before: int
    bad: list[str]
    notes: list[str]
    skipped: SkippedFiles

    @property
    def complete(self) -> bool:
        """Whether all requested files were restored."""
        return not self.bad and not self.skipped.unreadable

    def numbers(self, out: str) -> str:
        """Return a line with the numbers of files by outcome; ``out`` is the name of the output folder."""
        copied = f', {self.copied} copied unchanged' if self.copied else ''
        there = f', {self.before} were there already' if self.before else ''
        failed = f', {len(self.bad)} could not be restored' if self.bad else ''
        folders = f'{len(self.skipped.unreadable)} folder{"s" if len(self.skipped.unreadable) > 1 else ""}'
        unread = f', {folders} could not be read' if self.skipped.unreadable else ''
        return f'{self.count} restored into {out}{copied}{there}{failed}{unread}'

    @property
    def remarks(self) -> list[str]:
        """Lines for notes, ignored files, folders not entered, and files and folders that failed."""
        return [
            *self.notes,
            *left_out(self.skipped.suffixes),
            *(f'not entered: {line}' for line in self.skipped.repeated),
            *(f'not restored: {line}' for line in (*self.skipped.unreadable, *self.bad)),
        ]


def restore_into(
    sources: Iterable[str | os.PathLike],
    out: str | os.PathLike,
    build: Callable[[], RestoreInferencer],
    report: Callable[[RestoreSummary], None],
    only_if_damaged: bool = False,
) -> bool:
    """Restore files, folders and glob patterns into a folder; under torchrun the files are divided among the ranks.

    With a process group of several ranks this function does not return: each process exits when all are done.

    Args:
        sources: see :func:`restorebox.inference.inputs.find_pictures`.
        out: output folder; files that exist in it are skipped.
        build: builds the inferencer, after the sources have been found.
        report: called with the summary, on rank 0 of a process group, else on each process.
        only_if_damaged: whether pictures in which nothing is found are copied byte for byte. Videos are restored.

    Returns:
        Whether all files were restored.

    Raises:
        DataError: there is nothing to restore, or two pictures have the same output file.
        BusyError: another run holds the lock of the folder.
        MissingPackageError: there are videos, and PyAV is not installed.
        ConfigError, CheckpointError: see :class:`RestoreInferencer`; or ``only_if_damaged`` at strength 0.
    """
    rank, world = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    skipped = SkippedFiles()
    jobs = plan_jobs(sources, Path(out), skipped, copies=only_if_damaged)
    if any(is_video(job.source) for job in jobs):
        need_av()
    folders = {job.target.parent for job in jobs}
    jobs = jobs[rank::world]  # before existing outputs are skipped, so that all ranks divide the same list
    inferencer = build()
    if only_if_damaged and inferencer.tiler.strength == 0:
        raise ConfigError('only-if-damaged needs a strength above 0: at 0 the network does not run and finds nothing')
    distributed = world > 1 and 'MASTER_ADDR' in os.environ
    with locked(Path(out), 'restore') if rank == 0 else nullcontext() as lock_error:
        if rank == 0:
            if lock_error:
                print(f'{out}: no lock ({lock_error}); keep other runs away from it', file=sys.stderr)
            for folder in folders:
                remove_leftovers(folder)
        complete = run_jobs(inferencer, jobs, skipped, report, distributed, only_if_damaged)
    if distributed:
        exit_at_once(0 if complete else 1)
    return complete


def print_found(line: str) -> None:
    """Print what was found in a picture."""
    print(printable(line), flush=True)


def run_jobs(
    inferencer: RestoreInferencer,
    jobs: list[RestoreJob],
    skipped: SkippedFiles,
    report: Callable[[RestoreSummary], None],
    distributed: bool,
    only_if_damaged: bool = False,
) -> bool:
    """Restore this rank's files and report the summary of all ranks; returns whether all files were restored."""
    if distributed:
        # if rank 0 can't lock the folder, the others wait here until torchrun ends them
        dist.init_process_group('gloo', timeout=timedelta(days=30))  # ranks may finish at very different times
    made = [{job.target, job.copy} if only_if_damaged else {job.target} for job in jobs]
    todo = [job for job, paths in zip(jobs, made, strict=True) if not any(map(os.path.exists, paths))]
    notes = [job.note for job in todo if job.note]
    copied: list[Path] = []
    bad = restore_all(inferencer, todo, notes, print_found, copied if only_if_damaged else None)
    count, before = len(todo) - len(bad) - len(copied), len(jobs) - len(todo)
    done = RestoreSummary(count, len(copied), before, bad, notes, skipped)
    if distributed:
        # torchrun ends all ranks when one fails, so none may exit before the last has finished
        shares: list = [None] * dist.get_world_size()
        dist.all_gather_object(shares, ((done.count, done.copied, done.before), bad, notes))
        numbers, all_bad, all_notes = zip(*shares, strict=True)
        restored, unchanged, before = (sum(each) for each in zip(*numbers, strict=True))
        bad, notes = sorted(chain(*all_bad)), sorted(chain(*all_notes))
        done = RestoreSummary(restored, unchanged, before, bad, notes, skipped)
    if not distributed or dist.get_rank() == 0:
        report(done)
    if distributed:
        dist.barrier()
    return done.complete
