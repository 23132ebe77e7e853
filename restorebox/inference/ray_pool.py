"""Restoration of many files by a pool of Ray actors: processes with a model each, replaced when they end.

Ray Data distributes the tasks. A task is a short list of files, which an actor reads, restores and writes as an
ordinary run does. Only lists of files and their records pass through Ray, never pictures.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import secrets
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from restorebox.errors import ConfigError, RestoreboxError, missing_package, one_line
from restorebox.inference.devices import device_count
from restorebox.inference.folders import RestoreRun, restore_share
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.inputs import RestoreJob
from restorebox.inference.output_log import OutputLog
from restorebox.inference.records import FileRecord, Report
from restorebox.inference.tasks import TRIES, Journal, divide, restore_task, source_size
from restorebox.inference.video import is_video
from restorebox.inference.video_timeout import print_note
from restorebox.processes import end_with_parent, usable_cores
from restorebox.progress import Progress

OBJECT_STORE = 128 * 2**20  # bytes; Ray's minimum is 75 MiB
MAX_TEMPORARY = 40  # bytes of the path of the folder for temporary files; a path of a Unix socket may have 107
# loopback only, no usage statistics, and a token that other users of the machine do not know
ENVIRONMENT = {
    'RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER': '0',  # the switch for loopback, on Linux too
    'RAY_USAGE_STATS_ENABLED': '0',
    'RAY_AUTH_MODE': 'token',
    'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO': '0',  # else a warning about its future default
}


@dataclass(frozen=True)
class RayPool:
    """Engine of :func:`~restorebox.inference.folders.restore_into` that restores in actors of a local Ray.

    Args:
        build: builds the inferencer in each worker; it must be picklable, as a :func:`functools.partial` of a function.
        workers: number of worker processes; None for one per GPU, or per CPU core without a GPU.
        verbose: show the messages of Ray and of the workers.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: under torchrun.
    """

    build: Callable[[], RestoreInferencer]
    workers: int | None = None
    verbose: bool = False

    def __post_init__(self) -> None:
        if find_spec('ray') is None:
            raise missing_package('engine ray', 'ray', ImportError('ray'))
        if int(os.environ.get('WORLD_SIZE', 1)) > 1:
            raise ConfigError('engine ray starts its own processes; start it without torchrun, or leave out --engine')

    def __call__(
        self,
        run: RestoreRun,
        device: torch.device,
        jobs: list[RestoreJob],
        record: Callable[[FileRecord], None],
        outputs: OutputLog,
        label: str | None,
    ) -> None:
        """Restore files.

        Args:
            run: the run.
            device: device of the inferencer; an index is ignored, since Ray divides the GPUs.
            jobs: files.
            record: called in this process with the record of each file, once. The workers add it to the report.
            outputs: record of the outputs, to which the workers append.
            label: description for the progress display.

        Raises:
            ConfigError: Ray already runs in this process, or the path for temporary files is too long for it.
            RestoreboxError: the workers end while they load the model, or Ray can't start or go on.
        """
        if not jobs:
            return
        workers, gpus = allocation(device.type, self.workers)
        sizes = [source_size(job) for job in jobs]
        tasks = list(divide(jobs, sizes, workers, run.batch_size))
        # a number of threads that the user has set applies to each worker
        threads = None if 'OMP_NUM_THREADS' in os.environ else max(1, usable_cores() // workers)
        with (
            _local_ray(workers, device_count('cuda') if gpus else 0, self.verbose) as folder,
            nullcontext() if label is None else Progress(len(jobs), label) as progress,
        ):
            settings = (run, self.build, threads, folder, workers)
            for lost, records in _results(settings, tasks, workers, gpus):
                if lost:
                    print(
                        f'note: a worker process ended, and another one went on with its {lost} files',
                        file=sys.stderr,
                        flush=True,
                    )
                for each in records:
                    if is_video(each.source):  # the worker has printed them into a log file
                        for note in each.notes:
                            print_note(f'{each.source}: {note}')
                    record(each)
                    if progress is not None:
                        progress.advance()


def allocation(kind: str, workers: int | None) -> tuple[int, float]:
    """Return the number of workers and the share of a GPU of each.

    Args:
        kind: ``'cuda'``, ``'cpu'``, ``'xpu'`` or ``'mps'``. Workers on xpu and mps share the default device.
        workers: requested number, or None.
    """
    if kind == 'cuda':
        devices = max(1, device_count(kind))
        workers = workers or devices
        return workers, 1 / math.ceil(workers / devices)
    return workers or (usable_cores() if kind == 'cpu' else 1), 0.0


class _Worker:
    """Actor of Ray Data: restores the files of a task per call; arguments as in :class:`RayPool`."""

    def __init__(
        self,
        run: RestoreRun,
        build: Callable[[], RestoreInferencer],
        threads: int | None,
        folder: Path,
        workers: int,
    ) -> None:
        # Ray ends with a main process that is killed, but its workers may go on for a minute
        end_with_parent()
        self.run, self.folder, self.starts = run, folder, folder / 'starts'
        self.error: Exception | None = None  # passed to the main process, where it ends the run as in an ordinary run
        with open(self.starts, 'ab') as file:  # a byte for each start since a worker was ready
            file.write(b'.')
            count = file.tell()
        try:
            if count > TRIES * workers:
                raise RestoreboxError(
                    f'the worker processes end while they load the model, {count - 1} times now; is there enough '
                    f'memory for {workers}? give fewer --workers'
                )
            if threads is not None:
                torch.set_num_threads(threads)
            self.inferencer = build()
            self.outputs = OutputLog(run.out, run.maker, append_only=True)
            self.report = None if run.report is None else Report(run.report, append_only=True)
        except Exception as error:
            self.error = error

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Restore the files of a task; returns its records, or the error that ends the run."""
        os.truncate(self.starts, 0)
        result: tuple[int, list[FileRecord]] | Exception
        try:
            if self.error is not None:
                raise self.error
            result = self.restore(pickle.loads(row['jobs']), self.folder / f'task{row["number"]}')
        except Exception as error:
            result = error
        return {'result': _pickled(result)}

    def restore(self, jobs: list[RestoreJob], path: Path) -> tuple[int, list[FileRecord]]:
        """Restore files; returns the number of files that an ended process had left, and the records."""

        def keep(record: FileRecord) -> None:
            if self.report is not None:
                self.report.add(self.run.maker.signed(record))

        def restore(files: list[RestoreJob]) -> None:
            restore_share(self.run, self.inferencer, files, journal.add, self.outputs, None)

        journal = Journal(path, jobs, keep)
        lost = restore_task(journal, jobs, restore)
        if self.report is not None:
            self.report.flush()
        path.unlink()
        return lost, journal.records


def _pickled(result: object) -> bytes:
    try:
        data = pickle.dumps(result)
        pickle.loads(data)  # some exceptions can be pickled but not restored
    except Exception:
        data = pickle.dumps(RestoreboxError(f'{type(result).__name__}: {result}'))
    return data


def _results(
    settings: tuple[object, ...], tasks: list[list[RestoreJob]], workers: int, gpus: float
) -> Iterator[tuple[int, list[FileRecord]]]:
    """Yield the result of each task as soon as it is there, see :meth:`_Worker.restore`.

    Args:
        settings: arguments of :class:`_Worker`.
        tasks: files of each task.
        workers: number of workers.
        gpus: share of a GPU of each.
    """
    import pyarrow
    import ray.data
    from ray.exceptions import RayError

    schema = pyarrow.schema([('number', pyarrow.int64()), ('jobs', pyarrow.large_binary())])
    tables = [
        pyarrow.table({'number': [i], 'jobs': [pickle.dumps(task)]}, schema=schema) for i, task in enumerate(tasks)
    ]
    # without a limit of retries: the journals keep a file that ends its worker from being tried for ever
    results = ray.data.from_arrow(tables).map(
        _Worker,  # type: ignore[arg-type]  # a class is built in each actor with the arguments below
        fn_constructor_args=settings,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=gpus,
    )
    del tables
    try:
        for row in results.iter_rows():
            result = pickle.loads(row['result'])
            if isinstance(result, Exception):
                raise result
            yield result
    except RayError as error:
        raise RestoreboxError(f'engine ray: {one_line(error)[:500]}') from None


@contextmanager
def _hidden_stderr(hide: bool) -> Iterator[None]:
    """Hide what native code prints to standard error; what Python code raises is not affected."""
    if not hide:
        yield
        return
    sys.stderr.flush()
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


@contextmanager
def _local_ray(workers: int, gpus: int, verbose: bool) -> Iterator[Path]:
    """Start Ray on this machine, and end it; yields a folder for the journals, which is removed.

    Raises:
        ConfigError, RestoreboxError: see :meth:`RayPool.__call__`.
    """
    temporary = tempfile.gettempdir()
    if len(os.fsencode(temporary)) > MAX_TEMPORARY:
        raise ConfigError(f'engine ray: the path {temporary} is too long for its sockets; set TMPDIR to a short one')
    os.environ.update(ENVIRONMENT, RAY_AUTH_TOKEN=secrets.token_hex(32))
    if not verbose:
        os.environ['RAY_BACKEND_LOG_LEVEL'] = 'fatal'
    import ray
    import ray.data

    if ray.is_initialized():
        raise ConfigError('engine ray: Ray already runs in this process; call ray.shutdown() first')
    folder = Path(tempfile.mkdtemp(prefix='rb-ray-'))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = verbose
    context.execution_no_progress_timeout_s = -1  # a long video is no standstill
    if not verbose:
        logging.getLogger('ray').setLevel(logging.CRITICAL)
        logging.getLogger('ray.data').setLevel(logging.CRITICAL)
    try:
        try:
            with warnings.catch_warnings(action='default' if verbose else 'ignore'), _hidden_stderr(not verbose):
                ray.init(
                    'local',
                    num_cpus=workers,
                    num_gpus=gpus,
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE,
                    log_to_driver=verbose,
                    logging_level=logging.INFO if verbose else logging.CRITICAL,
                    _temp_dir=str(folder),
                    # Lack of memory is left to the system, which ends a worker first, as Ray tells it to: Ray's own
                    # monitor would try such a task for ever. Events of tasks are for the dashboard.
                    _system_config={'memory_monitor_refresh_ms': 0, 'task_events_report_interval_ms': 0},
                )
        except Exception as error:  # Ray raises RuntimeError, ValueError, TimeoutError and plain Exception
            reason = one_line(error)[:500] or type(error).__name__
            raise RestoreboxError(f'engine ray: Ray does not start ({reason})') from None
        yield folder
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
