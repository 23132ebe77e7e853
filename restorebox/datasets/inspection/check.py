"""The complete check of a config's or folder's data sets, and a quick check before training."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cv2

from restorebox.datasets.inspection import clean, duplicates
from restorebox.datasets.inspection.examine import Facts, Task, decoded_picture, examine, is_clean, read_plane
from restorebox.datasets.inspection.findings import ERROR, WARNING, Finding, Report
from restorebox.datasets.inspection.judge import judge_pairs
from restorebox.datasets.inspection.picture_sets import Picture, PictureSet, Subject
from restorebox.errors import DataError, PictureError

QUICK_FILES = 32
BATCH = 16  # tasks handed to a worker at once
SLICE = 4096  # tasks in the queue at once
LOOKS = {
    'noisy': 'noise of about {:.0f} grey levels',
    'blocky': 'steps of {:.1f} grey levels at every eighth pixel',
    'blurred': 'no edge is sharp (steepness {:.2f} of that after a blur)',
    'streaked': 'bright streaks of one direction (strength {:.2f})',
}

Progress = Callable[[int, int], None]


def check(subject: Subject, workers: int = 1, progress: Progress | None = None) -> Report:
    """Read every picture, and look at pairs, at near-duplicates between training and test, and at the clean sides.

    Args:
        subject: what to check.
        workers: processes that read; 1 reads in this one.
        progress: called with (tasks done, of how many) after each.

    Raises:
        DataError: a worker was killed.
    """
    began = time.perf_counter()
    report = Report(subject.name, findings=list(subject.findings), notes=list(subject.notes))
    gathered = _Gathered(subject, report)
    tasks = list(_tasks(subject.sets))
    for done, (task, facts) in enumerate(_run(tasks, workers), start=1):
        gathered.take(task, facts)
        if progress:
            progress(done, len(tasks))
    gathered.judge_pairs()
    gathered.judge_clean()
    gathered.judge_duplicates()
    decoded_picture.cache_clear()
    return report.finish(time.perf_counter() - began)


def quick_check(subject: Subject, files: int = QUICK_FILES) -> Report:
    """Names and counts, and a few files spread evenly over the data sets: read, and compared with their partners.

    Args:
        subject: what to check.
        files: how many to read in all; each data set has its share.
    """
    began = time.perf_counter()
    report = Report(subject.name, quick=True, findings=list(subject.findings), notes=list(subject.notes))
    gathered = _Gathered(subject, report)
    for k, picture_set in enumerate(subject.sets):
        # the remainder of the share goes to the first, which is what is trained on
        share = files // len(subject.sets) + (k < files % len(subject.sets))
        for task in _spread(k, picture_set, share):
            gathered.take(task, examine(task))
    gathered.judge_pairs()
    gathered.same_files(WARNING)
    decoded_picture.cache_clear()
    return report.finish(time.perf_counter() - began)


def _tasks(sets: list[PictureSet]) -> Iterator[Task]:
    """One task per pair, and per picture without a partner; what is asked of a picture is asked once."""
    for k, picture_set in enumerate(sets):
        seen: set[Picture] = set()
        for lq, gt in picture_set.pairs:
            wanted = () if gt in seen else ('gt',)
            seen.add(gt)
            yield Task(k, ('lq', 'gt'), (lq, gt), wanted, wanted)
        for role, pictures in picture_set.singles.items():
            measures = (role,) if is_clean(role) else ()
            yield from (Task(k, (role,), (picture,), (role,), measures) for picture in pictures)


def _spread(k: int, picture_set: PictureSet, files: int) -> list[Task]:
    """Tasks that read about ``files`` files of a data set, the first and the last of each list among them."""
    lists: list[list[Task]] = [[Task(k, ('lq', 'gt'), pair) for pair in _evenly(picture_set.pairs, max(1, files // 2))]]
    room = files - 2 * len(lists[0])
    for role, pictures in picture_set.singles.items():
        lists.append([Task(k, (role,), (p,)) for p in _evenly(pictures, max(0, room // len(picture_set.singles)))])
    return [task for tasks in lists for task in tasks]


def _evenly(items: list, number: int) -> list:
    if number >= len(items):
        return items
    if number < 2:
        return items[:number]
    return [items[round(i * (len(items) - 1) / (number - 1))] for i in range(number)]


def _run(tasks: list[Task], workers: int) -> Iterable[tuple[Task, Facts]]:
    """Each task with its facts, in the order of the tasks."""
    if workers <= 1:
        for task in tasks:
            yield task, examine(task)
        return
    # forked where that exists: importing torch anew in each worker takes longer than reading a thousand pictures
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method)) as pool:
            for begin in range(0, len(tasks), SLICE):
                part = tasks[begin : begin + SLICE]
                yield from zip(part, pool.map(examine, part, chunksize=BATCH), strict=True)
    except BrokenProcessPool:
        raise DataError('a worker that read pictures was killed, perhaps for memory; try fewer --workers') from None
    finally:
        cv2.setNumThreads(threads)


class _Gathered:
    """Facts of all pictures, and the findings that follow from them."""

    def __init__(self, subject: Subject, report: Report) -> None:
        self.sets = subject.sets
        self.report = report
        self.seen: set[tuple[int, str, Picture]] = set()
        self.prints: list[tuple[int, Picture, object]] = []
        self.measures: list[tuple[int, Picture, object]] = []
        self.pairs: list[tuple[Task, Facts]] = []
        for picture_set in self.sets:
            for role, pictures in picture_set.by_role().items():
                report.count(picture_set.split, role).files += len(pictures)
            if picture_set.pairs:
                report.pairs[picture_set.split] = report.pairs.get(picture_set.split, 0) + len(picture_set.pairs)

    def take(self, task: Task, facts: Facts) -> None:
        """Count a task's pictures; note what can't be read and what has another size than its partner."""
        picture_set = self.sets[task.picture_set]
        for role, picture in zip(task.roles, task.pictures, strict=True):
            known = (task.picture_set, role, picture) in self.seen
            self.seen.add((task.picture_set, role, picture))
            if known:
                continue
            count = self.report.count(picture_set.split, role)
            if role in facts.bad:
                count.unreadable += 1
                text = facts.bad[role]
                self._add('unreadable', picture_set.severity, picture_set.split, (picture,), text)
            else:
                count.read += 1
                count.sizes[facts.sizes[role]] += 1
            if facts.prints.get(role) is not None:
                self.prints.append((task.picture_set, picture, facts.prints[role]))
            if facts.measures.get(role) is not None:
                self.measures.append((task.picture_set, picture, facts.measures[role]))
        if len(facts.sizes) == 2 and facts.sizes['lq'] != facts.sizes['gt']:
            sizes = [
                '{} is {}x{}'.format(p.path, *facts.sizes[r]) for r, p in zip(task.roles, task.pictures, strict=True)
            ]
            severity = ERROR if picture_set.same_size else WARNING
            self._add(
                'size', severity, picture_set.split, task.pictures, f'partners differ in size: {", ".join(sizes)}'
            )
        if facts.scenes is not None or (facts.pair is not None and facts.pair.is_shifted):
            self.pairs.append((task, facts))

    def judge_pairs(self) -> None:
        """Findings about pairs that show different scenes or are shifted."""
        for k, picture_set in enumerate(self.sets):
            mine = [(task, facts) for task, facts in self.pairs if task.picture_set == k]
            self.report.findings += judge_pairs(mine, picture_set.split)

    def judge_clean(self) -> None:
        """Warnings about clean pictures that look degraded beside the others."""
        for i, what, value in clean.outliers([measured for _, _, measured in self.measures]):
            picture_set, picture, _ = self.measures[i]
            text = f'{picture.path}: {LOOKS[what].format(1 / value if what == "blurred" else value)}'
            self._add(f'clean_{what}', WARNING, self.sets[picture_set].split, (picture,), text, value)

    def same_files(self, severity: str) -> set[tuple[str, str]]:
        """Findings about files that are both trained on and tested on; returns the paths of both sides."""
        tested = [picture_set for picture_set in self.sets if not picture_set.trains]
        if len(tested) in (0, len(self.sets)):
            return set()  # to follow the links of a million names takes a while
        trained = {
            os.path.realpath(p.path): p
            for picture_set in self.sets
            if picture_set.trains
            for pictures in picture_set.by_role().values()
            for p in pictures
        }
        found = set()
        for picture_set in tested:
            both = []
            for pictures in picture_set.by_role().values():
                both += [p for p in pictures if os.path.realpath(p.path) in trained]
            for picture in dict.fromkeys(both):
                other = trained[os.path.realpath(picture.path)]
                found.add((other.path, picture.path))
                text = f'{picture.path} is trained on and is in {picture_set.split}'
                self._add('same_file', severity, f'train, {picture_set.split}', (other, picture), text)
        return found

    def judge_duplicates(self) -> None:
        """Errors about pictures of validation and test that are trained on in another file."""
        same = self.same_files(ERROR)
        train = [each for each in self.prints if self.sets[each[0]].trains]
        held = [each for each in self.prints if not self.sets[each[0]].trains]
        first, _ = duplicates.stacked([hashes for _, _, hashes in train])
        second, _ = duplicates.stacked([hashes for _, _, hashes in held])
        done: set[Picture] = set()
        for match in duplicates.candidates(first, second):
            a, b = train[match.first][1], held[match.second][1]
            if b in done or (a.path, b.path) in same:
                continue
            try:
                value = duplicates.likeness(read_plane(a), read_plane(b))
            except PictureError:  # it could be read a moment ago
                continue
            if value >= duplicates.SAME_PICTURE:
                done.add(b)
                split = self.sets[held[match.second][0]].split
                text = f'{b.path} shows what {a.path} shows (likeness {value:.2f})'
                self._add('near_duplicate', ERROR, f'train, {split}', (a, b), text, value)

    def _add(
        self,
        kind: str,
        severity: str,
        split: str,
        pictures: tuple[Picture, ...],
        text: str,
        value: float | None = None,
    ) -> None:
        value = None if value is None else round(float(value), 4)
        files, parts = tuple(p.path for p in pictures), tuple(p.part for p in pictures)
        self.report.findings.append(Finding(kind, severity, split, files, text, value, parts))
