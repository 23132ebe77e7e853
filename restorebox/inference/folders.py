"""Restoration of files and folders into an output folder, distributed over ranks; existing outputs are skipped."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist

from restorebox.datasets.formats import left_out
from restorebox.datasets.walking import SkippedFiles
from restorebox.errors import ConfigError, printable
from restorebox.files import LOCK, locked, remove_leftovers
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import ALL, RestoreJob, Selection, plan_jobs
from restorebox.inference.output_log import OUTPUTS, OutputLog
from restorebox.inference.queue import restore_all
from restorebox.inference.records import DONE, FileRecord, Maker, Report
from restorebox.inference.video import is_video, need_av
from restorebox.processes import environment_number, exit_at_once
from restorebox.storage import RemotePath

SOME_FAILED = 3  # exit code
Action = Literal['restore', 'replace', 'keep', 'refuse']
# what a preview says of each
ACTIONS: dict[Action, str] = {
    'restore': '',
    'replace': ' (replaces the one there)',
    'keep': ' (is there already)',
    'refuse': ' (refused: the one there was made from another file)',
}
OWN = ('same', 'nothing', 'copied')
Names = dict[str, RestoreJob]


@dataclass(frozen=True)
class RestoreRun:
    """What a run restores, into which folder, and how.

    Attributes:
        sources: files, folders and glob patterns, see :func:`restorebox.inference.inputs.find_pictures`.
        out: output folder.
        maker: model and settings, with which existing outputs are compared.
        listed: files of a list, which keep their folders in ``out``.
        selection: which of these files, and how the outputs are named.
        only_if_damaged: whether pictures and videos in which nothing is found are copied byte for byte.
        overwrite: whether existing outputs are replaced, whatever made them.
        batch_size: maximum number of pictures of one size in one pass of the network.
        report: file of the report, or None.
    """

    sources: tuple[str, ...]
    out: Path | RemotePath
    maker: Maker
    listed: tuple[str, ...] = ()
    selection: Selection = ALL
    only_if_damaged: bool = False
    overwrite: bool = False
    batch_size: int = 1
    report: Path | RemotePath | None = None

    def __post_init__(self) -> None:
        if self.only_if_damaged and self.maker.strength == 0:
            raise ConfigError(
                'only-if-damaged needs a strength above 0: at 0 the network does not run and finds nothing'
            )

    def plan(self, skipped: SkippedFiles) -> list[RestoreJob]:
        """Return all files with their outputs, see :func:`plan_jobs`."""
        return plan_jobs(self.sources, self.out, skipped, self.only_if_damaged, self.listed, self.selection)

    def outputs(self, job: RestoreJob) -> set[Path | RemotePath]:
        """Return the paths of which one will be the output of a file."""
        return {job.target, job.copy} if self.only_if_damaged else {job.target}

    def action(self, job: RestoreJob, outputs: OutputLog) -> Action:
        """Return what happens to a file.

        Returns:
            ``'keep'``: its output is there, made by the same model and settings, or by something unknown;
            ``'replace'``: another model, other settings or ``overwrite``, or a copy is wanted where none is, or the
            other way round; ``'refuse'``: its output was made from another file; ``'restore'``: there is none.
        """
        there = [outputs.made(path, job.stamp) for path in self.outputs(job) if outputs.exists(path)]
        done = (None, 'same', 'copied' if self.only_if_damaged else 'nothing')
        if not there:
            return 'restore'
        if self.overwrite:
            return 'replace'
        if any(maker in done for maker in there):
            return 'keep'
        return 'refuse' if 'foreign' in there else 'replace'


@dataclass
class RestoreSummary:
    """Summary of a run over all ranks.

    Attributes:
        counts: number of files by status, see :class:`~restorebox.inference.records.FileRecord`; ``'replaced'`` are
            the restored and copied ones that took the place of another output.
        bad: one line for each file that could not be restored.
        notes: one line for each thing that was not kept, or for a suffix that does not match the format.
        skipped: files that were found but ignored, and unreadable folders.
    """

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: SkippedFiles = field(default_factory=SkippedFiles)

    @property
    def complete(self) -> bool:
        """Whether all requested files were restored."""
        return not (self.bad or self.skipped.unreadable or self.skipped.refused)

    def add(self, record: FileRecord) -> None:
        """Count a file."""
        self.counts[record.status] += 1
        if record.error is not None:
            self.bad.append(record.error)
        if not is_video(record.source):  # whose notes have been printed
            self.notes += [f'{record.source}: {note}' for note in record.notes]

    def numbers(self, out: str) -> str:
        """Return a line with the numbers of files by outcome; ``out`` is the name of the output folder."""
        counts = self.counts
        unread, refused = len(self.skipped.unreadable), len(self.skipped.refused)
        parts = [
            f'{counts["restored"]} restored into {out}',
            f'{counts["copied"]} copied unchanged' * bool(counts['copied']),
            f'{counts["replaced"]} of these in place of others' * bool(counts['replaced']),
            f'{counts["existing"]} were there already' * bool(counts['existing']),
            f'{len(self.bad)} could not be restored' * bool(self.bad),
            f'{unread} folder{"s" if unread > 1 else ""} could not be read' * bool(unread),
            f'{refused} object{"s" if refused > 1 else ""} could not be used' * bool(refused),
        ]
        return ', '.join(filter(None, parts))

    @property
    def remarks(self) -> list[str]:
        """Lines for notes, ignored files, folders not entered, and files and folders that failed."""
        excluded = self.skipped.excluded
        return [
            *self.notes,
            *left_out(self.skipped.suffixes),
            *([f'left out by --include and --exclude: {excluded}'] if excluded else []),
            *([f'left out, since they lie in the output folder: {self.skipped.inside}'] if self.skipped.inside else []),
            *(f'not entered: {line}' for line in self.skipped.repeated),
            *(f'not restored: {line}' for line in (*self.skipped.unreadable, *self.skipped.refused, *self.bad)),
        ]


# restores files, and records each: (files, record, record of the folder's outputs, label of the progress display)
Restore = Callable[[list[RestoreJob], Callable[[FileRecord], None], OutputLog, str | None], None]
# the same with the run and the device that the workers should use as first arguments; it writes the report itself
Engine = Callable[
    [RestoreRun, torch.device, list[RestoreJob], Callable[[FileRecord], None], OutputLog, str | None], None
]


def preview(run: RestoreRun) -> tuple[list[tuple[RestoreJob, Action]], list[str]]:
    """Return what a run would do with each file, and lines on what it would leave out.

    Nothing is written, and the model is not loaded.

    Raises:
        DataError: see :func:`restore_into`.
    """
    outputs, summary = OutputLog(run.out, run.maker, read_only=True), RestoreSummary()
    jobs = run.plan(summary.skipped)
    return [(job, run.action(job, outputs)) for job in jobs], summary.remarks


def restore_into(
    run: RestoreRun,
    build: Callable[[], RestoreInferencer],
    summarise: Callable[[RestoreSummary], None],
    engine: Engine | None = None,
) -> bool:
    """Restore files, folders and glob patterns into a folder; under torchrun the files are divided among the ranks.

    With a process group of several ranks this function does not return: each process exits when all are done.

    Args:
        run: what to restore and how.
        build: builds the inferencer, after the sources have been found.
        summarise: called with the summary, on rank 0 of a process group, else on each process.
        engine: restores the files in other processes, such as a :class:`~restorebox.inference.ray_pool.RayPool`; None
            for this process.

    Returns:
        Whether all files were restored.

    Raises:
        DataError: there is nothing to restore, a source does not exist, or two pictures have the same output file.
        BusyError: another run holds the lock of the folder.
        MissingPackageError: there are videos, and PyAV is not installed.
        ConfigError, CheckpointError: see :class:`RestoreInferencer`; ``only_if_damaged`` at strength 0; or the report
            can't be written.
    """
    rank, world = environment_number('RANK', 0), environment_number('WORLD_SIZE', 1)
    skipped = SkippedFiles()
    jobs = run.plan(skipped)
    if run.report is not None and run.report in {
        run.out / OUTPUTS,
        run.out / LOCK,
        *chain.from_iterable(map(run.outputs, jobs)),
    }:
        raise ConfigError(f'report {run.report}: the run writes another file of this name; give it another name')
    if any(is_video(job.source) for job in jobs):
        need_av()
    folders = {job.target.parent for job in jobs if isinstance(job.target, Path)}
    targets = set() if run.only_if_damaged else {job.target for job in jobs}  # a copy has no other's name then
    jobs = jobs[rank::world]  # before existing outputs are skipped, so that all ranks divide the same list
    inferencer = build()  # with an engine too, so that a wrong model ends the run before any process is started
    if engine is None:
        restore: Restore = partial(restore_share, run, inferencer)
    else:
        restore = partial(engine, run, inferencer.tiler.device)
        del inferencer  # the model's memory
    distributed = world > 1 and 'MASTER_ADDR' in os.environ
    lock: AbstractContextManager[str | None] = nullcontext()
    if rank == 0:
        lock = locked(run.out, 'restore') if isinstance(run.out, Path) else nullcontext('storage has none')
    with lock as lock_error:
        if rank == 0:
            if lock_error:
                print(f'{run.out}: no lock ({lock_error}); keep other runs away from it', file=sys.stderr)
            for folder in folders:
                remove_leftovers(folder)
        twice = [job for job in jobs if job.copy != job.target and job.copy not in targets]
        names: Names = {str(job.source): job for job in twice}
        done = run_jobs(run, restore, jobs, skipped, summarise, distributed, engine is not None, names)
    if distributed:
        # torchrun answers any other code with a long traceback and its own code 1
        exit_at_once(0 if done.complete or 'TORCHELASTIC_RUN_ID' in os.environ else SOME_FAILED)
    return done.complete


def restore_share(
    run: RestoreRun,
    inferencer: RestoreInferencer,
    jobs: list[RestoreJob],
    record: Callable[[FileRecord], None],
    outputs: OutputLog,
    label: str | None,
) -> None:
    """Restore files of a run in this process with the settings of the run, see :func:`restore_all`."""
    restore_all(
        inferencer,
        jobs,
        record,
        outputs,
        find=True,
        only_if_damaged=run.only_if_damaged,
        quality=run.maker.quality,
        batch_size=run.batch_size,
        label=label,
    )


def run_jobs(
    run: RestoreRun,
    restore: Restore,
    jobs: list[RestoreJob],
    skipped: SkippedFiles,
    summarise: Callable[[RestoreSummary], None],
    distributed: bool,
    reported: bool,
    names: Names,
) -> RestoreSummary:
    """Restore this rank's files and report the summary of all ranks; returns it.

    ``reported``: whether ``restore`` adds the records to the report itself. ``names``: source -> the file, for those
    that may have two outputs; an earlier run's of the other name is deleted, see :meth:`OutputLog.discard`.
    """
    if distributed:
        # if rank 0 can't lock the folder, the others wait here until torchrun ends them
        dist.init_process_group('gloo', timeout=timedelta(days=30))  # ranks may finish at very different times
    rank = environment_number('RANK', 0)
    done, maker, replaced = RestoreSummary(skipped=skipped), run.maker, set[str]()
    expected: dict[str, tuple[set[Path | RemotePath], str | None]] = {}  # source -> outputs in storage, its stamp
    with ExitStack() as stack:
        report = None if run.report is None else stack.enter_context(Report(run.report))
        outputs = OutputLog(run.out, maker)
        stack.callback(outputs.close)

        def keep(record: FileRecord, planned: bool = False) -> None:
            if record.found is not None:
                found = ', '.join(f'{kind} {value:.1f}' for kind, value in record.found.items())
                print(printable(f'{record.source}: {found or "nothing"}'), flush=True)
            if report is not None and (planned or not reported):
                report.add(maker.signed(record))
            if record.source in expected:
                outputs.confirm(record, *expected[record.source])
            if record.status in DONE and (job := names.get(record.source)) is not None:
                for path in (job.target, job.copy):
                    if str(path) != record.output:
                        outputs.discard(path, record.status == 'restored', None if run.overwrite else job.stamp)
            done.add(record)
            done.counts['replaced'] += record.status in DONE and record.source in replaced

        todo = []
        for job in jobs:
            if (action := run.action(job, outputs)) == 'keep':
                keep(_existing(job, outputs), planned=True)
                continue
            if action == 'refuse':
                keep(_refused(job, outputs), planned=True)
                continue
            todo.append(job)
            if action == 'replace':
                replaced.add(str(job.source))
        if isinstance(run.out, RemotePath):
            expected |= {str(job.source): (run.outputs(job), job.stamp) for job in todo}
            for paths, stamp in expected.values():
                outputs.expect(paths, stamp, run.only_if_damaged)
            outputs.flush()
        label = None if rank else f'restore, rank 0 of {dist.get_world_size()}' if distributed else 'restore'
        restore(todo, keep, outputs, label)
        outputs.flush()
        if report is not None:
            report.flush()
        if distributed:
            # torchrun ends all ranks when one fails, so none may exit before the last has finished
            shares: list = [None] * dist.get_world_size()
            dist.all_gather_object(shares, (done.counts, done.bad, done.notes))
            done = RestoreSummary(skipped=skipped)
            for counts, bad, notes in shares:
                done.counts += counts
                done.bad += bad
                done.notes += notes
            done.bad.sort()
            done.notes.sort()
        if rank == 0:
            outputs.finish()
            if report is not None:
                report.finish()
        if not distributed or rank == 0:
            summarise(done)
    if distributed:
        dist.barrier()
    return done


def _refused(job: RestoreJob, outputs: OutputLog) -> FileRecord:
    paths = (job.target, job.copy)
    path = next(each for each in paths if outputs.exists(each) and outputs.made(each, job.stamp) == 'foreign')
    why = f'{path} was made from another file, or from this one before it changed'
    line = f'{job.source}: {why}; take another --out, or --overwrite'
    return FileRecord(str(job.source), str(job.target), 'failed', error=line)


def _existing(job: RestoreJob, outputs: OutputLog) -> FileRecord:
    there = [path for path in (job.target, job.copy) if outputs.exists(path)]
    path = next((each for each in there if outputs.made(each, job.stamp) in OWN), there[0])
    maker = outputs.maker if outputs.made(path, job.stamp) in OWN else None
    model, sha256 = (None, None) if maker is None else (maker.model, maker.sha256)
    return FileRecord(str(job.source), str(path), 'existing', model, sha256)
