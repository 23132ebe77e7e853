"""Restore pictures and videos: files, folders with their structure, glob patterns; any size, never resized.

Pictures keep their names, bit depth, alpha, ICC profile and EXIF. One that is in the output folder already is not made
again, so that the same command goes on where a run was stopped. Under torchrun each process takes its share. Pictures
that could not be restored are named at the end, and the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from restorebox.cli.common import leave, one_line, positive
from restorebox.cli.progress import Progress
from restorebox.errors import PictureError, out_of_memory, printable
from restorebox.files import READ_TIMEOUT, locked, read_limit, remove_leftovers

IDLE = 0.05  # of a core: what a process takes at most that waits for a disk
WAITING = 2  # pictures per thread that are read ahead, and that wait to be written
PRECISIONS = ('auto', 'fp32', 'bf16')

if TYPE_CHECKING:
    from pathlib import Path

    from restorebox.datasets.walking import Passed
    from restorebox.inference import RestoreInferencer
    from restorebox.inference.files import PictureFile
    from restorebox.inference.inputs import RestoreJob

T = TypeVar('T')


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``restore``."""
    parser = argparse.ArgumentParser(prog='restorebox restore', description=__doc__)
    parser.add_argument(
        'source', nargs='+', help="a picture, a video, a folder, or a pattern such as 'photos/**/*.jpg'"
    )
    parser.add_argument(
        '--model',
        default='weather',
        help='a name (`restorebox models` lists them), a file of weights, URL#sha256=DIGITS, or with --checkpoint a '
        'config (default: %(default)s)',
    )
    parser.add_argument('--checkpoint', help='weights for a config')
    parser.add_argument('--out', default='restored', help='the folder to write into (default: %(default)s)')
    parser.add_argument('--device', help="such as cpu or cuda:1 (default: this process's GPU where there is one)")
    parser.add_argument(
        '--memory',
        type=positive,
        default=1024,
        metavar='MIB',
        help="what the network's work may take; larger pictures are restored in tiles (default: %(default)s)",
    )
    parser.add_argument(
        '--read-timeout',
        type=positive,
        metavar='SECONDS',
        help='for which a read may give nothing before the file is passed over, as on a network disk that is gone '
        '(default: 60)',
    )
    parser.add_argument(
        '--ensemble', action='store_true', help='the mean over eight flips and rotations: eight times the work'
    )
    parser.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='auto',
        help="of the network's numbers; auto: bf16 where the processor has it and the model bears it, else fp32",
    )
    parser.add_argument(
        '--backend',
        choices=('torch', 'onnxruntime'),
        help='onnxruntime for a --model that `restorebox export` made (default: what its suffix says)',
    )
    parser.add_argument(
        '--max-pixels',
        type=positive,
        metavar='N',
        help='that a file may have, all its pages together, since a small file may claim any number; 12 bytes of '
        'memory each, 32 with 16 bits (default: 178956970)',
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Restore; prints what was done and the pictures that could not be restored."""
    args = parse(argv)
    from restorebox.datasets.walking import Passed
    from restorebox.inference import RestoreInferencer
    from restorebox.inference.inputs import plan_jobs
    from restorebox.inference.video import is_video, need_av

    if args.read_timeout is not None:
        os.environ[READ_TIMEOUT] = str(args.read_timeout)
    read_limit()  # what the environment says may be wrong
    rank, world = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    passed = Passed()
    jobs = plan_jobs(args.source, args.out, passed)
    if any(is_video(job.source) for job in jobs):
        need_av()
    folders = {job.target.parent for job in jobs}
    jobs = jobs[rank::world]  # before any is left out, so that all ranks share alike
    inferencer = RestoreInferencer(
        args.model,
        args.checkpoint,
        device=args.device,
        memory=args.memory,
        ensemble=args.ensemble,
        precision=args.precision,
        backend=args.backend,
    )
    if rank == 0:
        print(f'{args.model} in {inferencer.precision} on {inferencer.tiler.device}', flush=True)
    with locked(args.out, 'restore') if rank == 0 else nullcontext() as unlocked:
        if rank == 0:
            if unlocked:
                print(f'{args.out}: no lock ({unlocked}); keep other runs away from it', file=sys.stderr)
            for folder in folders:
                remove_leftovers(folder)
        failed = run_jobs(inferencer, jobs, passed, args.out, rank, world, args.max_pixels)
    if world > 1 and 'MASTER_ADDR' in os.environ:
        leave(1 if failed else 0)
    if failed:
        sys.exit(1)


def run_jobs(
    inferencer: RestoreInferencer,
    jobs: list[RestoreJob],
    passed: Passed,
    out: str,
    rank: int,
    world: int,
    max_pixels: int | None = None,
) -> bool:
    """Restore this rank's share and report that of all -> whether anything could not be restored."""
    meeting = world > 1 and 'MASTER_ADDR' in os.environ
    if meeting:
        import torch.distributed as dist

        # where the first rank is refused the folder, the others wait here until torchrun ends them
        dist.init_process_group('gloo', timeout=timedelta(days=30))  # one rank may be done long before another
    todo = [job for job in jobs if not os.path.exists(job.target)]
    notes = [job.note for job in todo if job.note]
    bad = restore_all(inferencer, todo, notes, max_pixels)
    counts = [len(todo) - len(bad), len(jobs) - len(todo)]
    if meeting:
        # torchrun ends all ranks when one fails, so none may leave before the last is done
        answers: list = [None] * world
        dist.all_gather_object(answers, (counts, bad, notes))
        counts = [sum(each) for each in zip(*(numbers for numbers, *_ in answers), strict=True)]
        bad = sorted(line for _, lines, _ in answers for line in lines)
        notes = sorted(line for *_, lines in answers for line in lines)
    if rank == 0 or not meeting:
        report(counts, bad, notes, passed, out)
    if meeting:
        dist.barrier()
    return bool(bad or passed.unread)


def report(counts: list[int], bad: list[str], notes: list[str], passed: Passed, out: str) -> None:
    """Print (restored, there before), what was not kept or not taken, and a line for each picture and folder missed."""
    from restorebox.datasets.formats import left_out

    restored, before = counts
    there = f', {before} were there already' if before else ''
    failed = f', {len(bad)} could not be restored' if bad else ''
    folders = f'{len(passed.unread)} folder{"s" if len(passed.unread) > 1 else ""}'
    unread = f', {folders} could not be read' if passed.unread else ''
    print(f'{restored} restored into {out}{there}{failed}{unread}')
    for line in (*notes, *left_out(passed.kinds)):
        print(printable(line), file=sys.stderr)
    for line in passed.again:
        print(f'not entered: {printable(line)}', file=sys.stderr)
    for line in (*passed.unread, *bad):
        print(f'not restored: {printable(line)}', file=sys.stderr)


def restore_all(
    inferencer: RestoreInferencer,
    jobs: list[RestoreJob],
    notes: list[str] | None = None,
    max_pixels: int | None = None,
) -> list[str]:
    """Restore files one after the other, while others are read and written.

    What waits on either side is bounded, so that a folder takes no more memory than some of its pictures. One for which
    even that leaves too little is tried once more in the end, alone.

    Args:
        inferencer: of whose ``tiler`` use is made.
        jobs: the files.
        notes: takes a line for each thing that could not be kept of a picture that was restored.
        max_pixels: that a file may have; None for the default.

    Returns:
        A line for each that could not be restored: the file, and why.
    """
    from restorebox.inference.files import picture_size

    bad: list[str] = []
    short: list[RestoreJob] = []  # of memory
    writing: deque[tuple[RestoreJob, Callable[[], list[str]]]] = deque()
    # on a CPU more threads would only take the cores from the network; a GPU waits for them
    threads = 1 if inferencer.tiler.device.type == 'cpu' else 4
    with (
        ThreadPoolExecutor(threads) as readers,
        ThreadPoolExecutor(threads) as writers,
        Progress(len(jobs), 'restore') as progress,
    ):

        def finish(job: RestoreJob, written: Callable[[], list[str]]) -> None:
            """Wait for a picture to be written."""
            lost = settle(job, written)
            if notes is not None and lost:
                notes.extend(f'{job.source}: {line}' for line in lost)

        def settle(job: RestoreJob, work: Callable[[], T]) -> T | None:
            """The result of some work, often a future's; notes a picture's fault."""
            try:
                return work()
            except Exception as error:
                if out_of_memory(error) and len(jobs) > 1:
                    short.append(job)
                elif out_of_memory(error):
                    size = picture_size(job.source)
                    of = f' of {size[0]} x {size[1]}' if size else ''
                    bad.append(
                        f'{job.source}: not enough memory for a picture{of}; lower --memory or close other programs'
                    )
                elif isinstance(error, PictureError):
                    line = one_line(error)
                    bad.append(line if printable(job.source) in line else f'{job.source}: {line}')
                elif isinstance(error, OSError):
                    bad.append(f'{job.source}: {error.filename or job.target}: {error.strerror or error}')
                elif os.environ.get('RESTOREBOX_TRACEBACK'):
                    raise
                else:  # our mistake, for which the other pictures need not wait
                    what = f'{type(error).__name__}: {one_line(error)}'
                    bad.append(f'{job.source}: {what} (RESTOREBOX_TRACEBACK=1 shows where)')
            return None

        for job, reading in read_ahead(readers, jobs, WAITING * threads, max_pixels):
            picture = None
            if reading is None:
                settle(job, partial(restore_clip, inferencer, job))
            else:
                picture = settle(job, reading.result)
            if picture is not None:
                picture = settle(job, partial(picture.restored, inferencer.tiler))
            if len(writing) == WAITING * threads:
                finish(*writing.popleft())
            if picture is not None:
                writing.append((job, begin(writers, _write, picture, job.target).result))
            progress.advance()
        while writing:
            finish(*writing.popleft())
    for job in short:
        bad += restore_all(inferencer, [job], notes, max_pixels)
    return bad


def say(line: str) -> None:
    """Print what is changed or not kept of a clip that is restored."""
    print(f'note: {printable(line)}', file=sys.stderr, flush=True)


class _Clip(threading.Thread):
    """Restores a clip, and shows how far it is."""

    def __init__(self, inferencer: RestoreInferencer, job: RestoreJob) -> None:
        super().__init__(daemon=True)
        self.inferencer, self.job = inferencer, job
        self.frames = 0
        self.given_up = False
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        """Restore."""
        try:
            self.inferencer.restore_video(self.job.source, self.job.target, self.count, note=say)
        except BaseException as error:  # the caller raises it
            self.error = error
        finally:
            self.ended.set()

    def count(self, done: int, total: int) -> None:
        """A frame is done."""
        self.frames = done
        if self.given_up:
            raise PictureError('nobody waits for it any more')


def restore_clip(inferencer: RestoreInferencer, job: RestoreJob) -> None:
    """Restore a clip in a thread, which is left behind where a read gives nothing: it can't be stopped.

    A clip is read while it is decoded. So what tells a frame that takes long from a disk that is gone is the processor,
    which is at work for the one and not for the other.

    Raises:
        PictureError, OSError: see :func:`restorebox.inference.video.restore_video`; or a read gave nothing for
            :func:`restorebox.files.read_limit` seconds.
    """
    limit = read_limit()
    clip = _Clip(inferencer, job)
    clip.start()
    tick, idle, before = min(1.0, limit), 0.0, (0, time.process_time())
    try:
        while not clip.ended.wait(tick):
            now = (clip.frames, time.process_time())
            at_work = now[0] != before[0] or now[1] - before[1] > IDLE * tick
            idle, before = (0.0 if at_work else idle + tick), now
            if idle >= limit:
                clip.given_up = True
                reason = f'it gave nothing for {limit:g} seconds; is its disk gone?'
                raise PictureError(f"{job.source}: can't be read ({reason})")
    except KeyboardInterrupt:
        clip.given_up = True
        clip.join(limit)  # until the frame that it is at is done, so that nothing half-written stays
        raise
    if clip.error is not None:
        raise clip.error


def begin(pool: ThreadPoolExecutor, work: Callable[..., T], *args: object) -> Future[T]:
    """Hand work to a pool; where there is no memory for its thread, that is what came of the work."""
    try:
        return pool.submit(work, *args)
    except (RuntimeError, MemoryError) as error:
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


def _write(picture: PictureFile, target: Path) -> list[str]:
    """Write a picture -> what could not be kept of it."""
    from restorebox.inference.files import write_file

    return [*picture.notes, *(write_file(picture, target) or ())]


def read_ahead(
    readers: ThreadPoolExecutor, jobs: list[RestoreJob], ahead: int, max_pixels: int | None = None
) -> Iterator[tuple[RestoreJob, Future[PictureFile] | None]]:
    """Each job and its picture, None for a clip; the next ``ahead`` are being read or wait meanwhile, and no others."""
    from restorebox.inference.files import read_file
    from restorebox.inference.video import is_video

    read = read_file if max_pixels is None else partial(read_file, max_pixels=max_pixels)
    reading: deque[tuple[RestoreJob, Future[PictureFile] | None]] = deque()
    for job in jobs:
        reading.append((job, None if is_video(job.source) else begin(readers, read, job.source)))
        if len(reading) > ahead:
            yield reading.popleft()
    while reading:
        yield reading.popleft()
