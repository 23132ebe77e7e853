"""Worker processes of ``synthesize``: one clean picture at a time, each file written atomically.

Workers hold the folder's lock as well, so that a run which follows a killed one waits until the last of them is gone.
"""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from multiprocessing.connection import Connection, wait
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from restorebox.datasets.reading import read_picture
from restorebox.degradations import BaseDegradation, build_degradation, draw_record, render_again
from restorebox.degradations.records import as_stored
from restorebox.errors import DataError, PictureError, RestoreboxError, out_of_memory
from restorebox.files import read_bytes, write_whole
from restorebox.pixels import to_uint16

LAYERS = ('streak', 'transmission', 'airlight', 'depth')
# zlib's level of PNG, measured on rain, veil and noise at 512x512: level 1 takes 13.6 ms and 51% of the raw bytes,
# 2 14.4 ms and 50%, 3 18.9 ms and 49%, 6 44 ms and 49%, 9 161 ms and 48%
PNG = (cv2.IMWRITE_PNG_COMPRESSION, 2)
# formats, by Pillow's names, that every reader shows alike, and that may therefore stand in gt/ as they are
PLAIN = {
    'PNG': '.png',
    'JPEG': '.jpg .jpeg',
    'BMP': '.bmp',
    'WEBP': '.webp',
    'PPM': '.ppm .pgm .pnm',
}


@dataclass
class Job:
    """Settings shared by all pictures: input, output, recipe."""

    clean: Path
    home: Path
    recipe: str | dict
    seed: int = 0
    per_picture: int = 1
    layers: bool = False

    @cached_property
    def degradation(self) -> BaseDegradation:
        """The recipe, built."""
        return build_degradation(self.recipe)

    def names(self, source: str) -> list[str]:
        """Names of a source's degraded pictures: its own, or with ``_00``, ``_01``, ... behind it."""
        stem = source[: -len(Path(source).suffix)]
        digits = max(2, len(str(self.per_picture - 1)))
        return [stem] if self.per_picture == 1 else [f'{stem}_{k:0{digits}}' for k in range(self.per_picture)]


@dataclass
class Done:
    """A worker's result for one source."""

    source: str
    lines: tuple[str, ...] = ()  # of the manifest, without line ends
    kept: bool = False  # everything was there already
    bad: str = ''  # the source can't be read
    failure: str = ''  # nothing can go on: one line
    crash: str = ''  # our own mistake: a traceback


def make(job: Job, source: str, known: list[dict]) -> Done:
    """Make all pictures of one source, unless they are there as ``known`` lines of the manifest say.

    Raises:
        PictureError: the source can't be read.
        DataError: the source is another picture than before.
    """
    path = job.clean / source
    try:
        data = read_bytes(path)
    except OSError:
        data = b''  # the reader below says what is wrong
    digest = hashlib.sha256(data).hexdigest()
    if any(record['source_sha256'] != digest for record in known) and data:
        raise DataError(f'{path} has changed since {job.home} was made from it; take another OUT_DIR')
    if {r['name'] for r in known} == set(job.names(source)) and all(is_there(job.home, r) for r in known):
        return Done(source, kept=True)
    clean = as_stored(read_picture(path))
    gt = write_clean(job, source, data, clean)
    lines = []
    for copy, name in enumerate(job.names(source)):
        record = draw_record(job.degradation, job.recipe, clean.shape, job.seed, source, copy)
        rendered = render_again(record, clean, job.degradation)
        files = {'lq': write_picture(job.home, f'lq/{name}.png', rendered['lq']), 'gt': gt}
        layers: dict = {}
        for role in LAYERS if job.layers else ():
            if role in rendered:
                layers[role] = write_layer(job.home, f'{role}/{name}.png', rendered[role], files, role)
        facts = {'name': name, 'source': source, 'source_sha256': digest, **record, 'files': files}
        lines.append(json.dumps({**facts, 'layers': layers} if job.layers else facts))
    return Done(source, tuple(lines))


def is_there(home: Path, record: dict) -> bool:
    """Whether all files of a line of the manifest have the contents that it says."""
    return all(file_hash(home / file['path']) == file['sha256'] for file in record['files'].values())


def file_hash(path: Path) -> str | None:
    """SHA-256 of a file; None where there is none, or something else in its place."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except OSError:
        return None


def write_clean(job: Job, source: str, data: bytes, clean: np.ndarray) -> dict[str, str]:
    """The clean side: the file itself where it is an ordinary picture (a hard link if possible), else a PNG."""
    if clean.dtype != np.uint8 or not is_plain(job.clean / source, data):
        return write_picture(job.home, f'gt/{source[: -len(Path(source).suffix)]}.png', clean)
    place = job.home / 'gt' / source
    place.parent.mkdir(parents=True, exist_ok=True)
    facts = {'path': f'gt/{source}', 'sha256': hashlib.sha256(data).hexdigest()}
    try:
        os.link(os.path.realpath(job.clean / source), place)
    except FileExistsError:  # of an earlier, killed run
        if file_hash(place) != facts['sha256']:
            write_whole(place, data)
    except OSError:  # another disk, or one without links
        write_whole(place, data)
    return facts


def is_plain(path: Path, data: bytes) -> bool:
    """Whether any reader shows this 8-bit picture as ours does: RGB or grey, upright, one frame, the right suffix."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # about EXIF that is cut short, and size: it has been read already
        with Image.open(BytesIO(data)) as image:
            if image.mode not in ('RGB', 'L') or path.suffix.lower() not in PLAIN.get(image.format, '').split():
                return False
            if image.format == 'PNG':  # Pillow would decode it to find its EXIF
                upright = b'eXIf' not in data and b'Raw profile type' not in data
            else:
                try:
                    upright = image.getexif().get(274, 1) == 1
                except Exception:  # broken EXIF of any sort: a PNG without it stands there
                    return False
            return upright and 'transparency' not in image.info and getattr(image, 'n_frames', 1) == 1


def write_layer(home: Path, name: str, layer: np.ndarray, files: dict, role: str) -> dict:
    """A layer as 16-bit PNG, or, where it is one colour (as an airlight often is), only its numbers.

    Returns:
        {'constant': [value per channel]}, or {'scale': s}: the file holds round(layer / s * 65535).
    """
    if (layer == layer[:1, :1]).all():
        return {'constant': [float(value) for value in layer[0, 0]]}
    scale = max(1.0, float(layer.max()))
    files[role] = write_picture(home, name, layer / np.float32(scale))
    return {'scale': scale}


def write_picture(home: Path, name: str, picture: np.ndarray) -> dict[str, str]:
    """Write HW1 or HWC RGB as PNG, of 8 bits if uint8, else of 16 -> its 'path' below ``home`` and 'sha256'."""
    stored = picture if picture.dtype == np.uint8 else to_uint16(picture)
    stored = cv2.cvtColor(stored, cv2.COLOR_RGB2BGR) if stored.shape[2] == 3 else stored
    data = cv2.imencode('.png', stored, PNG)[1].tobytes()
    place = home / name
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, data)  # not flushed to the disk: a resumed run compares hashes instead
    return {'path': name, 'sha256': hashlib.sha256(data).hexdigest()}


def serve(line: Connection, job: Job) -> None:
    """Main loop of a worker; ends when told to, or when the main process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the main process says what to do
    cv2.setNumThreads(0)
    parent = multiprocessing.parent_process()  # of a fork server it is not the process that os.getppid names
    while True:
        while not line.poll(0.2):
            if not parent.is_alive():
                return
        try:
            task = line.recv()
        except EOFError:
            return
        if task is None or not parent.is_alive():
            return
        line.send(answer(job, *task))


def answer(job: Job, source: str, known: list[dict]) -> Done:
    """:func:`make`, with errors as data."""
    try:
        return make(job, source, known)
    except Exception as error:
        if out_of_memory(error):
            return Done(source, bad=f'{job.clean / source}: not enough memory for it; try fewer --workers')
        if isinstance(error, PictureError):
            return Done(source, bad=str(error))
        if isinstance(error, RestoreboxError):
            return Done(source, failure=str(error))
        if isinstance(error, OSError):
            line = f'{error.filename or job.home}: {error.strerror or error}'
            return Done(source, bad=line) if error.errno == errno.ENAMETOOLONG else Done(source, failure=line)
        return Done(source, crash=f'{source}:\n{traceback.format_exc()}')


def run_workers(job: Job, tasks: Iterator[tuple[str, list[dict]]], count: int) -> Iterator[Done]:
    """Give tasks (a source, the lines known of it) to ``count`` processes; answers come in any order.

    A process that is killed is replaced, and its picture tried once more; the second time it is taken for unreadable.
    Where the caller stops early, the workers end the picture that they are at and no other.
    """
    workers: dict[Connection, multiprocessing.process.BaseProcess] = {}
    at: dict[Connection, tuple[str, list[dict]]] = {}  # what each is busy with
    tried: set[str] = set()
    try:
        for _ in range(count):
            _start(job, workers)
        # One task at a time: with two, both sides could wait for the other to read.
        for line in workers:
            _hand_out(line, next(tasks, None), at)
        while at:
            for line in wait(list(at)):
                task = at.pop(line)
                try:
                    done = line.recv()
                except (EOFError, ConnectionResetError):
                    reason = _death(workers.pop(line))
                    line.close()
                    line = _start(job, workers)
                    if task[0] not in tried:
                        tried.add(task[0])
                        _hand_out(line, task, at)
                        continue
                    done = Done(task[0], bad=f'{job.clean / task[0]}: {reason}')
                _hand_out(line, next(tasks, None), at)
                yield done
    finally:
        _end(workers)


def start_method() -> str:
    """How workers are started: ``'fork'``, the fastest, unless another thread may hold a lock that a fork inherits."""
    known = multiprocessing.get_all_start_methods()
    alone = len(sys._current_frames()) == 1  # also counts threads that ``threading`` did not start
    return 'fork' if 'fork' in known and alone else 'forkserver' if 'forkserver' in known else 'spawn'


def _start(job: Job, workers: dict[Connection, multiprocessing.process.BaseProcess]) -> Connection:
    """Start one worker."""
    context = multiprocessing.get_context(start_method())
    ours, theirs = context.Pipe()
    workers[ours] = context.Process(target=serve, args=(theirs, job), daemon=True)
    workers[ours].start()
    theirs.close()  # so that a worker's death is seen as the end of its line
    return ours


def _hand_out(line: Connection, task: tuple[str, list[dict]] | None, at: dict) -> None:
    """Send the next task, where there is one."""
    if task is not None:
        at[line] = task
        with suppress(BrokenPipeError):  # dead, as the next look at its line will show
            line.send(task)


def _death(worker: multiprocessing.process.BaseProcess) -> str:
    worker.join(5)
    return (
        f'its worker was killed twice (exit code {worker.exitcode}; -9 is often too little memory: try fewer --workers)'
    )


def _end(workers: dict[Connection, multiprocessing.process.BaseProcess]) -> None:
    """Ask all workers to end, and wait for the pictures in progress."""
    for line in workers:
        with suppress(OSError):
            line.send(None)
    for line, worker in workers.items():
        with suppress(OSError, EOFError):
            while worker.is_alive() and line.poll(60):  # an answer that nobody waits for, then the line's end
                line.recv()
        worker.join(5)
        if worker.is_alive():
            worker.kill()
        line.close()
