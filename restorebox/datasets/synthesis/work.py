"""Worker processes of ``synthesize``: one clean picture at a time, each file written atomically.

Workers also hold the lock of the folder. A run that follows a killed one therefore waits until its workers have ended.
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
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

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
# Compression levels measured on rain, veil and noise at 512x512: level 1 takes 13.6 ms and 51 % of the raw bytes,
# 2 14.4 ms and 50 %, 3 18.9 ms and 49 %, 6 44 ms and 49 %, 9 161 ms and 48 %.
PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 2)
# Format in Pillow -> suffixes; every reader decodes these alike, so that they can be linked in gt/ unchanged.
COMMON_FORMATS = {
    'PNG': '.png',
    'JPEG': '.jpg .jpeg',
    'BMP': '.bmp',
    'WEBP': '.webp',
    'PPM': '.ppm .pgm .pnm',
}
Task = tuple[str, list[dict]]  # source, its existing manifest records


@dataclass
class Job:
    """Settings of a synthesis.

    Args:
        clean_dir: folder of the clean pictures.
        out_dir: folder of the set.
        recipe: name or config of the degradation.
        seed: seed of all random parameters.
        per_picture: number of degraded pictures per clean one.
        layers: whether to store streaks, transmission, airlight and depth as well.
    """

    clean_dir: Path
    out_dir: Path
    recipe: str | dict
    seed: int = 0
    per_picture: int = 1
    layers: bool = False

    @cached_property
    def degradation(self) -> BaseDegradation:
        """The degradation that the recipe describes."""
        return build_degradation(self.recipe)

    def names(self, source: str) -> list[str]:
        """Return the names of the degraded pictures: that of the source, or with ``_00``, ``_01``, ... appended."""
        stem = source[: -len(Path(source).suffix)]
        digits = max(2, len(str(self.per_picture - 1)))
        return [stem] if self.per_picture == 1 else [f'{stem}_{k:0{digits}}' for k in range(self.per_picture)]


@dataclass
class Result:
    """Result of a worker for one source.

    Args:
        source: the clean picture, relative to its folder.
        lines: lines of the manifest, without line ends.
        exists: all pictures existed and were not made again.
        unreadable: error message if the source can't be read.
        fatal: error message of one line if the run can't continue.
        traceback: traceback of an unexpected error.
    """

    source: str
    lines: tuple[str, ...] = ()
    exists: bool = False
    unreadable: str = ''
    fatal: str = ''
    traceback: str = ''


def degrade(job: Job, source: str, records: list[dict]) -> Result:
    """Make all pictures of one source, unless they exist as its manifest records describe them.

    Raises:
        PictureError: the source can't be read.
        DataError: the source has changed since the records were written.
    """
    path = job.clean_dir / source
    try:
        data = read_bytes(path)
    except OSError:
        data = b''  # read_picture reports the reason below
    digest = hashlib.sha256(data).hexdigest()
    if any(record['source_sha256'] != digest for record in records) and data:
        raise DataError(f'{path} has changed since {job.out_dir} was made from it; use another OUT_DIR')
    if {r['name'] for r in records} == set(job.names(source)) and all(is_complete(job.out_dir, r) for r in records):
        return Result(source, exists=True)
    clean = as_stored(read_picture(path))
    gt = write_clean(job, source, data, clean)
    lines = []
    for copy, name in enumerate(job.names(source)):
        record = draw_record(job.degradation, job.recipe, clean.shape, job.seed, source, copy)
        rendered = render_again(record, clean, job.degradation)
        files = {'lq': write_picture(job.out_dir, f'lq/{name}.png', rendered['lq']), 'gt': gt}
        layers: dict = {}
        for role in LAYERS if job.layers else ():
            if role in rendered:
                layers[role] = write_layer(job.out_dir, f'{role}/{name}.png', rendered[role], files, role)
        line = {'name': name, 'source': source, 'source_sha256': digest, **record, 'files': files}
        lines.append(json.dumps({**line, 'layers': layers} if job.layers else line))
    return Result(source, tuple(lines))


def is_complete(out_dir: Path, record: dict) -> bool:
    """Return whether all files of a manifest record exist with the recorded SHA-256."""
    return all(file_hash(out_dir / file['path']) == file['sha256'] for file in record['files'].values())


def file_hash(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if it does not exist or is not a regular file."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except OSError:
        return None


def write_clean(job: Job, source: str, data: bytes, clean: np.ndarray) -> dict[str, str]:
    """Write the clean picture: the file itself if every reader decodes it alike (as a hard link if possible), or a PNG.

    Returns:
        Its 'path' relative to ``job.out_dir``, and 'sha256'.
    """
    if clean.dtype != np.uint8 or not is_common(job.clean_dir / source, data):
        return write_picture(job.out_dir, f'gt/{source[: -len(Path(source).suffix)]}.png', clean)
    path = job.out_dir / 'gt' / source
    path.parent.mkdir(parents=True, exist_ok=True)
    file = {'path': f'gt/{source}', 'sha256': hashlib.sha256(data).hexdigest()}
    try:
        os.link(os.path.realpath(job.clean_dir / source), path)
    except FileExistsError:  # from an earlier run that was killed
        if file_hash(path) != file['sha256']:
            write_whole(path, data)
    except OSError:  # another disk, or a file system without hard links
        write_whole(path, data)
    return file


def is_common(path: Path, data: bytes) -> bool:
    """Return whether every reader decodes an 8-bit picture alike.

    True for RGB or grey, without rotation, transparency or several frames, in a common format with its own suffix.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of truncated EXIF or large size; the picture was read before
        with Image.open(BytesIO(data)) as image:
            if (
                image.mode not in ('RGB', 'L')
                or path.suffix.lower() not in COMMON_FORMATS.get(str(image.format), '').split()
            ):
                return False
            if image.format == 'PNG':  # Pillow would decode the picture to find its EXIF
                upright = b'eXIf' not in data and b'Raw profile type' not in data
            else:
                try:
                    upright = image.getexif().get(274, 1) == 1
                except Exception:  # damaged EXIF raises various exceptions; a PNG without it is written instead
                    return False
            return upright and 'transparency' not in image.info and getattr(image, 'n_frames', 1) == 1


def write_layer(out_dir: Path, name: str, layer: np.ndarray, files: dict, role: str) -> dict:
    """Write a layer as 16-bit PNG and add it to ``files``, also a constant one: data sets read layers as pictures.

    Returns:
        {'scale': s} with stored values round(layer / s * 65535), and {'constant': [value per channel]} of a constant
        layer, such as many airlights.
    """
    scale = max(1.0, float(layer.max()))
    files[role] = write_picture(out_dir, name, layer / np.float32(scale))
    constant = {'constant': [float(value) for value in layer[0, 0]]} if (layer == layer[:1, :1]).all() else {}
    return {'scale': scale, **constant}


def write_picture(out_dir: Path, name: str, picture: np.ndarray) -> dict[str, str]:
    """Write HW1 or HWC RGB as PNG with 8 bits if it is uint8, else with 16 bits.

    Returns:
        Its 'path' relative to ``out_dir``, and 'sha256'.
    """
    stored = picture if picture.dtype == np.uint8 else to_uint16(picture)
    stored = cv2.cvtColor(stored, cv2.COLOR_RGB2BGR) if stored.shape[2] == 3 else stored
    data = cv2.imencode('.png', stored, PNG_OPTIONS)[1].tobytes()
    path = out_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)  # without fsync: a resumed run compares hashes instead
    return {'path': name, 'sha256': hashlib.sha256(data).hexdigest()}


def worker_loop(connection: Connection, job: Job) -> None:
    """Run tasks from the main process until it sends None or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main process stops the workers
    cv2.setNumThreads(0)
    parent = multiprocessing.parent_process()  # os.getppid would return the fork server
    assert parent is not None, 'this function runs in a child process'
    while True:
        while not connection.poll(0.2):
            if not parent.is_alive():
                return
        try:
            task = connection.recv()
        except EOFError:
            return
        if task is None or not parent.is_alive():
            return
        connection.send(run_task(job, *task))


def run_task(job: Job, source: str, records: list[dict]) -> Result:
    """Call :func:`degrade` and return errors as a result."""
    try:
        return degrade(job, source, records)
    except Exception as error:
        if out_of_memory(error):
            return Result(source, unreadable=f'{job.clean_dir / source}: not enough memory for it; try fewer --workers')
        if isinstance(error, PictureError):
            return Result(source, unreadable=str(error))
        if isinstance(error, RestoreboxError):
            return Result(source, fatal=str(error))
        if isinstance(error, OSError):
            text = f'{error.filename or job.out_dir}: {error.strerror or error}'
            if error.errno == errno.ENAMETOOLONG:
                return Result(source, unreadable=text)
            return Result(source, fatal=text)
        return Result(source, traceback=f'{source}:\n{traceback.format_exc()}')


def run_workers(job: Job, tasks: Iterator[Task], count: int) -> Generator[Result, None, None]:
    """Run tasks in ``count`` processes, and yield the results in the order of completion.

    A process that is killed is replaced and its task repeated once; if it is killed again, the source counts as
    unreadable. When the generator is closed, each worker finishes its current picture and ends.
    """
    workers: dict[Connection, multiprocessing.process.BaseProcess] = {}
    running: dict[Connection, Task] = {}
    repeated: set[str] = set()
    try:
        for _ in range(count):
            _start(job, workers)
        # One task per worker: with two, both sides could block while sending.
        for connection in workers:
            _send(connection, next(tasks, None), running)
        while running:
            for connection in cast('list[Connection]', wait(list(running))):
                task = running.pop(connection)
                try:
                    result = connection.recv()
                except (EOFError, ConnectionResetError):
                    reason = _kill_message(workers.pop(connection))
                    connection.close()
                    connection = _start(job, workers)
                    if task[0] not in repeated:
                        repeated.add(task[0])
                        _send(connection, task, running)
                        continue
                    result = Result(task[0], unreadable=f'{job.clean_dir / task[0]}: {reason}')
                _send(connection, next(tasks, None), running)
                yield result
    finally:
        _stop(workers)


def start_method() -> str:
    """Return the start method of workers: 'fork', the fastest, if this process has no other threads.

    With other threads a forked process could inherit a lock that is never released.
    """
    available = multiprocessing.get_all_start_methods()
    single_threaded = len(sys._current_frames()) == 1  # includes threads that ``threading`` did not start
    if 'fork' in available and single_threaded:
        return 'fork'
    return 'forkserver' if 'forkserver' in available else 'spawn'


def _start(job: Job, workers: dict[Connection, multiprocessing.process.BaseProcess]) -> Connection:
    """Start a worker, add it to ``workers`` and return the connection to it."""
    context = multiprocessing.get_context(start_method())
    ours, theirs = context.Pipe()
    # the type stub of BaseContext does not declare Process, which all contexts have
    workers[ours] = context.Process(target=worker_loop, args=(theirs, job), daemon=True)  # type: ignore[attr-defined]
    workers[ours].start()
    theirs.close()  # so that the end of the worker closes the connection
    return ours


def _send(connection: Connection, task: Task | None, running: dict[Connection, Task]) -> None:
    """Send the next task, if there is one."""
    if task is not None:
        running[connection] = task
        with suppress(BrokenPipeError):  # the worker was killed; the next read from its connection reports that
            connection.send(task)


def _kill_message(worker: multiprocessing.process.BaseProcess) -> str:
    worker.join(5)
    return (
        f'its worker was killed twice (exit code {worker.exitcode}; -9 is often too little memory: try fewer --workers)'
    )


def _stop(workers: dict[Connection, multiprocessing.process.BaseProcess]) -> None:
    """Ask all workers to end, and wait for the pictures in progress."""
    for connection in workers:
        with suppress(OSError):
            connection.send(None)
    for connection, worker in workers.items():
        with suppress(OSError, EOFError):
            while worker.is_alive() and connection.poll(60):  # discard a last result, until the connection is closed
                connection.recv()
        worker.join(5)
        if worker.is_alive():
            worker.kill()
        connection.close()
