"""Tasks of worker processes: short lists of files, each with a journal that outlives the process that works on it."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from restorebox.files import json_bytes
from restorebox.inference.inputs import RestoreJob
from restorebox.inference.records import FileRecord

TASK_FILES = 64  # most files of a task: a worker that is killed loses the unfinished ones of one task
TASK_BYTES = 4 * 2**20  # of the sources of a task, so that slow files are recorded soon after they are finished
UNKNOWN_BYTES = TASK_BYTES // 8  # taken as the size of a source without one
TASKS_PER_WORKER = 8  # at least, if there are enough files, so that all workers end at about the same time
TRIES = 3  # with a file that ends its worker process each time


def divide(
    jobs: Sequence[RestoreJob], sizes: Sequence[int], workers: int, batch_size: int = 1
) -> Iterator[list[RestoreJob]]:
    """Yield the files of each task, in order.

    Args:
        jobs: all files.
        sizes: bytes of each source; a task has at most :data:`TASK_BYTES`, or one file.
        workers: number of workers.
        batch_size: pictures of one pass of the network; a task has a multiple of it, if the sizes allow.
    """
    most = min(TASK_FILES, max(1, len(jobs) // (TASKS_PER_WORKER * workers)))
    most = math.ceil(most / batch_size) * batch_size
    task: list[RestoreJob] = []
    used = 0
    for job, size in zip(jobs, sizes, strict=True):
        if task and (len(task) == most or used + size > TASK_BYTES):
            yield task
            task, used = [], 0
        task.append(job)
        used += size
    if task:
        yield task


def source_size(job: RestoreJob) -> int:
    """Return the bytes of a source, or :data:`UNKNOWN_BYTES`."""
    try:
        return os.path.getsize(job.source)
    except OSError:
        return UNKNOWN_BYTES


class Journal:
    """What has happened to the files of a task, in a file that outlives the worker process.

    Args:
        path: the file, one for each task; it need not exist.
        jobs: files of the task.
        keep: called with each record that is added. If the process ends just then, it is called again for the file.

    Attributes:
        records: records of the finished files.
        tries: index of a file -> how often its restoration was begun.
        left: indices of the unfinished files.
    """

    def __init__(self, path: Path, jobs: Sequence[RestoreJob], keep: Callable[[FileRecord], None]) -> None:
        self.path, self.keep = path, keep
        self.records: list[FileRecord] = []
        self.tries: Counter[int] = Counter()
        if path.exists():
            for line in path.read_bytes().splitlines():
                with suppress(ValueError):  # the last line may be incomplete
                    content = json.loads(line)
                    if 'begin' in content:
                        self.tries.update(content['begin'])
                    else:
                        self.records.append(FileRecord(**content | {'notes': tuple(content['notes'])}))
        finished = {record.source for record in self.records}
        self.left = [i for i, job in enumerate(jobs) if str(job.source) not in finished]

    def begin(self, files: Iterable[int]) -> None:
        """Note that the restoration of files begins; indices."""
        self._add({'begin': list(files)})

    def add(self, record: FileRecord) -> None:
        """Note that a file is finished."""
        self.keep(record)
        self._add(asdict(record))
        self.records.append(record)

    def _add(self, content: dict[str, Any]) -> None:
        with open(self.path, 'ab') as file:
            file.write(b'\n' + json_bytes(content, indent=None))  # after an incomplete line


def restore_task(journal: Journal, jobs: Sequence[RestoreJob], restore: Callable[[list[RestoreJob]], None]) -> int:
    """Restore the files of a task that its journal does not have yet.

    If a worker process ended before, the files are restored one by one. One that was begun :data:`TRIES` times fails.

    Args:
        journal: journal of the task.
        jobs: all files of the task.
        restore: restores files and adds their records to the journal.

    Returns:
        Number of files that a worker process which ended had left.
    """
    lost = len(journal.left) if journal.tries else 0
    if not lost:
        journal.begin(journal.left)
        restore(list(jobs))
        return 0
    for i in journal.left:
        if journal.tries[i] < TRIES:
            journal.begin([i])
            restore([jobs[i]])
        else:
            source = str(jobs[i].source)
            reason = f'{source}: the worker process ended {TRIES} times at it (killed for its memory, or a crash?)'
            journal.add(FileRecord(source, str(jobs[i].target), 'failed', error=reason, seconds=0.0))
    return lost
