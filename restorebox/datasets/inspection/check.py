"""Full check of the data sets of a config or folder, and a quick check before training."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cv2
import numpy as np

from restorebox.datasets.inspection import clean, duplicates
from restorebox.datasets.inspection.examine import Measurements, Task, decoded_picture, examine, is_clean, read_plane
from restorebox.datasets.inspection.findings import ERROR, WARNING, Finding, Report
from restorebox.datasets.inspection.pair_findings import pair_findings
from restorebox.datasets.inspection.picture_sets import Picture, PictureSet, Subject
from restorebox.errors import DataError, PictureError
from restorebox.processes import end_with_parent

QUICK_FILES = 32
CHUNK = 16  # tasks sent to a worker at once
QUEUE = 4096  # tasks submitted at once, which limits memory
DESCRIPTIONS = {
    'noisy': 'noise of about {:.0f} grey levels',
    'blocky': 'steps of {:.1f} grey levels at every eighth pixel',
    'blurred': 'no sharp edges (strongest gradients are {:.2f} times those after a blur)',
    'streaked': 'bright streaks of one direction (strength {:.2f})',
}

Progress = Callable[[int, int], None]


def check(subject: Subject, workers: int = 1, progress: Progress | None = None) -> Report:
    """Read every picture; check pairs, near-duplicates between training and test, and the quality of clean pictures.

    Args:
        subject: the data sets to check.
        workers: number of reading processes; 1 reads in this process.
        progress: called after each task with (tasks done, all tasks).

    Raises:
        DataError: a worker was killed.
    """
    start = time.perf_counter()
    report = Report(subject.name, findings=list(subject.findings), notes=list(subject.notes))
    results = _Results(subject, report)
    tasks = list(_all_tasks(subject.sets))
    for done, (task, measured) in enumerate(_run_tasks(tasks, workers), start=1):
        results.add(task, measured)
        if progress:
            progress(done, len(tasks))
    results.check_pairs()
    results.check_clean()
    results.check_duplicates()
    decoded_picture.cache_clear()
    return report.finish(time.perf_counter() - start)


def quick_check(subject: Subject, files: int = QUICK_FILES) -> Report:
    """Check names and counts; read a few evenly spaced files and compare them with their partners.

    Args:
        subject: the data sets to check.
        files: number of files to read, divided between the data sets.
    """
    start = time.perf_counter()
    report = Report(subject.name, quick=True, findings=list(subject.findings), notes=list(subject.notes))
    results = _Results(subject, report)
    for k, picture_set in enumerate(subject.sets):
        # the first sets, which are those for training, share the remainder of the division
        share = files // len(subject.sets) + (k < files % len(subject.sets))
        for task in _sample_tasks(k, picture_set, share):
            results.add(task, examine(task))
    results.check_pairs()
    results.check_same_files(WARNING)
    decoded_picture.cache_clear()
    return report.finish(time.perf_counter() - start)


def _all_tasks(sets: list[PictureSet]) -> Iterator[Task]:
    """Yield one task per pair and per picture without a partner; a repeated clean picture is measured only once."""
    for k, picture_set in enumerate(sets):
        seen: set[Picture] = set()
        for lq, gt in picture_set.pairs:
            wanted = () if gt in seen else ('gt',)
            seen.add(gt)
            yield Task(k, ('lq', 'gt'), (lq, gt), wanted, wanted)
        for role, pictures in picture_set.singles.items():
            quality = (role,) if is_clean(role) else ()
            yield from (Task(k, (role,), (picture,), (role,), quality) for picture in pictures)


def _sample_tasks(k: int, picture_set: PictureSet, files: int) -> list[Task]:
    """Return tasks that read about ``files`` files of a data set, with the first and the last of each list."""
    tasks = [Task(k, ('lq', 'gt'), pair) for pair in _evenly_spaced(picture_set.pairs, max(1, files // 2))]
    remaining = files - 2 * len(tasks)
    for role, pictures in picture_set.singles.items():
        number = max(0, remaining // len(picture_set.singles))
        tasks += [Task(k, (role,), (picture,)) for picture in _evenly_spaced(pictures, number)]
    return tasks


def _evenly_spaced(items: list, number: int) -> list:
    if number >= len(items):
        return items
    if number < 2:
        return items[:number]
    return [items[round(i * (len(items) - 1) / (number - 1))] for i in range(number)]


def _run_tasks(tasks: list[Task], workers: int) -> Iterable[tuple[Task, Measurements]]:
    """Yield each task with its measurements, in the order of the tasks."""
    if workers <= 1:
        for task in tasks:
            yield task, examine(task)
        return
    # fork if available: importing torch in each spawned worker takes longer than reading a thousand pictures
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(workers, context, initializer=end_with_parent) as pool:
            for begin in range(0, len(tasks), QUEUE):
                part = tasks[begin : begin + QUEUE]
                yield from zip(part, pool.map(examine, part, chunksize=CHUNK), strict=True)
    except BrokenProcessPool:
        raise DataError('a reading process was killed, possibly for lack of memory; try fewer --workers') from None
    finally:
        cv2.setNumThreads(threads)


class _Results:
    """Measurements of all pictures, and the findings derived from them."""

    def __init__(self, subject: Subject, report: Report) -> None:
        self.sets = subject.sets
        self.report = report
        self.seen: set[tuple[int, str, Picture]] = set()
        self.fingerprints: list[tuple[int, Picture, np.ndarray]] = []
        self.quality: list[tuple[int, Picture, np.ndarray]] = []
        self.pairs: list[tuple[Task, Measurements]] = []  # only suspicious or shifted ones
        for picture_set in self.sets:
            for role, pictures in picture_set.by_role().items():
                report.count(picture_set.split, role).files += len(pictures)
            if picture_set.pairs:
                report.pairs[picture_set.split] = report.pairs.get(picture_set.split, 0) + len(picture_set.pairs)

    def add(self, task: Task, measured: Measurements) -> None:
        """Count the pictures of a task; report unreadable pictures and partners of different size."""
        picture_set = self.sets[task.picture_set]
        for role, picture in zip(task.roles, task.pictures, strict=True):
            seen = (task.picture_set, role, picture) in self.seen
            self.seen.add((task.picture_set, role, picture))
            if seen:
                continue
            count = self.report.count(picture_set.split, role)
            if role in measured.unreadable:
                count.unreadable += 1
                text = measured.unreadable[role]
                self._report('unreadable', picture_set.severity, picture_set.split, (picture,), text)
            else:
                count.read += 1
                count.sizes[measured.sizes[role]] += 1
            fingerprint, quality = measured.fingerprints.get(role), measured.quality.get(role)
            if fingerprint is not None:
                self.fingerprints.append((task.picture_set, picture, fingerprint))
            if quality is not None:
                self.quality.append((task.picture_set, picture, quality))
        if len(measured.sizes) == 2 and measured.sizes['lq'] != measured.sizes['gt']:
            sizes = [
                '{} is {}x{}'.format(p.path, *measured.sizes[r]) for r, p in zip(task.roles, task.pictures, strict=True)
            ]
            severity = ERROR if picture_set.same_size else WARNING
            text = f'partners differ in size: {", ".join(sizes)}'
            self._report('size', severity, picture_set.split, task.pictures, text)
        if measured.scenes is not None or (measured.pair is not None and measured.pair.is_shifted):
            self.pairs.append((task, measured))

    def check_pairs(self) -> None:
        """Report pairs that show different scenes or are shifted."""
        for k, picture_set in enumerate(self.sets):
            of_set = [(task, measured) for task, measured in self.pairs if task.picture_set == k]
            self.report.findings += pair_findings(of_set, picture_set.split)

    def check_clean(self) -> None:
        """Report clean pictures that look degraded compared with the others."""
        for i, fault, value in clean.outliers([quality for _, _, quality in self.quality]):
            picture_set, picture, _ = self.quality[i]
            text = f'{picture.path}: {DESCRIPTIONS[fault].format(1 / value if fault == "blurred" else value)}'
            self._report(f'clean_{fault}', WARNING, self.sets[picture_set].split, (picture,), text, value)

    def check_same_files(self, severity: str) -> set[tuple[str, str]]:
        """Report files that are in both training and test; return their (training path, test path)."""
        tested = [picture_set for picture_set in self.sets if not picture_set.is_training]
        if len(tested) in (0, len(self.sets)):
            return set()  # resolving the links of a million files is slow
        trained = {
            os.path.realpath(p.path): p
            for picture_set in self.sets
            if picture_set.is_training
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
                text = f'{picture.path} is used for training and is in {picture_set.split}'
                self._report('same_file', severity, f'train, {picture_set.split}', (other, picture), text)
        return found

    def check_duplicates(self) -> None:
        """Report validation and test pictures that are, as another file, in the training set."""
        same = self.check_same_files(ERROR)
        train = [each for each in self.fingerprints if self.sets[each[0]].is_training]
        held_out = [each for each in self.fingerprints if not self.sets[each[0]].is_training]
        first, _ = duplicates.stack_fingerprints([hashes for _, _, hashes in train])
        second, _ = duplicates.stack_fingerprints([hashes for _, _, hashes in held_out])
        reported: set[Picture] = set()
        for match in duplicates.candidates(first, second):
            a, b = train[match.first][1], held_out[match.second][1]
            if b in reported or (a.path, b.path) in same:
                continue
            try:
                value = duplicates.similarity(read_plane(a), read_plane(b))
            except PictureError:  # the file was readable before, so it changed during the check
                continue
            if value >= duplicates.MIN_SIMILARITY:
                reported.add(b)
                split = self.sets[held_out[match.second][0]].split
                text = f'{b.path} is a near-duplicate of {a.path} (similarity {value:.2f})'
                self._report('near_duplicate', ERROR, f'train, {split}', (a, b), text, value)

    def _report(
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
