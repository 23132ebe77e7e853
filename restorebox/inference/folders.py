"""A run of ``restore``: sources into a folder, shared out among ranks; the same call goes on where it was stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

import torch.distributed as dist

from restorebox.datasets.walking import Passed
from restorebox.files import locked, remove_leftovers
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import RestoreJob, plan_jobs
from restorebox.inference.queue import restore_all
from restorebox.inference.video import is_video, need_av
from restorebox.processes import leave


@dataclass
class Restored:
    """What came of a run, on all ranks together.

    Attributes:
        count: files that were restored.
        before: files that were there already.
        bad: a line for each that could not be restored.
        notes: a line for each thing that was not kept of a picture, or is not as its name says.
        passed: what was found and not taken, and folders that can't be read.
    """

    count: int
    before: int
    bad: list[str]
    notes: list[str]
    passed: Passed

    @property
    def complete(self) -> bool:
        """Whether everything that was named could be restored."""
        return not self.bad and not self.passed.unread


def restore_into(
    sources: Iterable[str | os.PathLike],
    out: str | os.PathLike,
    build: Callable[[], RestoreInferencer],
    report: Callable[[Restored], None],
) -> bool:
    """Restore files, folders and glob patterns into a folder; under torchrun each process takes its share.

    One of several ranks that have met does not return: it leaves when all are done.

    Args:
        sources: see :func:`restorebox.inference.inputs.find_pictures`.
        out: the folder; what is in it already is not made again.
        build: makes the inferencer, once the sources have been found.
        report: takes what came of it, on the first rank where ranks have met, else on each.

    Returns:
        Whether everything could be restored.

    Raises:
        DataError: there is nothing to restore, or two pictures for one place.
        BusyError: another run is at work in the folder.
        MissingPackageError: a clip, and no PyAV.
        ConfigError, CheckpointError: see :class:`RestoreInferencer`.
    """
    rank, world = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    passed = Passed()
    jobs = plan_jobs(sources, out, passed)
    if any(is_video(job.source) for job in jobs):
        need_av()
    folders = {job.target.parent for job in jobs}
    jobs = jobs[rank::world]  # before any is left out, so that all ranks share alike
    inferencer = build()
    meeting = world > 1 and 'MASTER_ADDR' in os.environ
    with locked(out, 'restore') if rank == 0 else nullcontext() as unlocked:
        if rank == 0:
            if unlocked:
                print(f'{out}: no lock ({unlocked}); keep other runs away from it', file=sys.stderr)
            for folder in folders:
                remove_leftovers(folder)
        complete = run_jobs(inferencer, jobs, passed, report, meeting)
    if meeting:
        leave(0 if complete else 1)
    return complete


def run_jobs(
    inferencer: RestoreInferencer,
    jobs: list[RestoreJob],
    passed: Passed,
    report: Callable[[Restored], None],
    meeting: bool,
) -> bool:
    """Restore this rank's share and report that of all -> whether everything could be restored."""
    if meeting:
        # where the first rank is refused the folder, the others wait here until torchrun ends them
        dist.init_process_group('gloo', timeout=timedelta(days=30))  # one rank may be done long before another
    todo = [job for job in jobs if not os.path.exists(job.target)]
    notes = [job.note for job in todo if job.note]
    bad = restore_all(inferencer, todo, notes)
    done = Restored(len(todo) - len(bad), len(jobs) - len(todo), bad, notes, passed)
    if meeting:
        # torchrun ends all ranks when one fails, so none may leave before the last is done
        shares: list = [None] * dist.get_world_size()
        dist.all_gather_object(shares, (done.count, done.before, bad, notes))
        counts, before, bad, notes = zip(*shares, strict=True)
        done = Restored(sum(counts), sum(before), sorted(chain(*bad)), sorted(chain(*notes)), passed)
    if not meeting or dist.get_rank() == 0:
        report(done)
    if meeting:
        dist.barrier()
    return done.complete
