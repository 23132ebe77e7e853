"""Atomic writes, folder locks, reads with a timeout, JSON output, and lookup of configs and checkpoints.

This module does not import torch, so that short commands start fast.
"""

from __future__ import annotations

import _thread
import json
import math
import os
import re
import secrets
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

from restorebox.errors import BusyError, ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # no file locks; checked before each use

LOCK = '.restorebox.lock'
READ_TIMEOUT = 'RESTOREBOX_READ_TIMEOUT'  # environment variable in seconds, inherited by worker processes
_TEMPORARY = re.compile(r'\.restorebox-[0-9a-f]{16}\.tmp')
_STALE_AFTER = 24 * 3600.0  # seconds; without file locks, older temporary files count as leftovers of killed runs
_BLOCK = 2**18  # bytes; at 5 kB/s one block is read within the default timeout
PUBLISHED = Path(__file__).parent / 'published'  # tables of the papers
DEFAULT_MODEL = 'weather2_gated'
_NOFOLLOW, _NONBLOCK = getattr(os, 'O_NOFOLLOW', 0), getattr(os, 'O_NONBLOCK', 0)
_cleaned: set[Path] = set()  # folders from which this process has removed leftovers of killed processes
_held: set[int] = set()  # descriptors of locks that forked processes close


def _close_inherited_locks() -> None:
    """Close lock descriptors in a forked process.

    A lock is released when its last descriptor is closed, and workers may outlive a killed run.
    """
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_close_inherited_locks)


def _try_lock(descriptor: int) -> bool | None:
    """Lock an open file; False if another process holds the lock, None if locks are not supported."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _new_file(folder: Path) -> tuple[Path, int | None]:
    """Create an empty file with an unpredictable name; returns its path and a locked descriptor (None on Windows)."""
    while True:
        path = folder / f'.restorebox-{secrets.token_hex(8)}.tmp'
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o666)
        if fcntl is None:  # Windows cannot rename an open file
            os.close(descriptor)
            return path, None
        if _try_lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # another process removed it as a leftover before it was locked


@contextmanager
def file_locked(descriptor: int) -> Iterator[None]:
    """Wait for the exclusive lock of an open file and hold it; without support for locks do nothing."""
    held = False
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            held = True
    try:
        yield
    finally:
        if held:
            fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Atomic write: yield a temporary file name, which is renamed to ``path`` when the block ends without an error.

    The temporary file is in the same folder and is created exclusively, so that concurrent writers do not collide and
    symbolic links are not followed. A link at ``path`` itself is replaced, not followed. The first write into a folder
    also removes temporary files of killed processes.

    Args:
        path: output file; missing folders are created. An existing file is kept if the block fails.

    Raises:
        OSError: the disk is full or not writable; ``filename`` is ``path``. The temporary file is removed.
    """
    path = Path(path)
    beside: Path | None = None
    descriptor: int | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in _cleaned:  # once per folder: listing it for every file would be slow
            _cleaned.add(path.parent)
            remove_leftovers(path.parent)
        beside, descriptor = _new_file(path.parent)
        yield beside
        os.replace(beside, path)
    except BaseException as error:
        if beside is not None:
            with suppress(OSError):
                beside.unlink()
        if isinstance(error, OSError):  # name the user's path instead of the temporary one
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove_leftovers(folder: str | Path) -> None:
    """Remove temporary files of killed processes from a folder; those of running processes are kept."""
    try:
        names = [name for name in os.listdir(folder) if _TEMPORARY.fullmatch(name)]
    except OSError:  # no such folder yet
        return
    for name in names:
        path = Path(folder, name)
        with suppress(OSError):  # owned by another user, or a link
            descriptor = os.open(path, os.O_RDWR | _NOFOLLOW | _NONBLOCK)
            try:
                acquired = _try_lock(descriptor)
                stale = time.time() - os.fstat(descriptor).st_mtime > _STALE_AFTER
                if acquired:
                    path.unlink()
            finally:
                os.close(descriptor)
            if acquired is None and stale:
                path.unlink()


@contextmanager
def locked(folder: str | Path, what: str, workers: bool = False, timeout: float = 0.0) -> Iterator[str | None]:
    """Hold an exclusive lock on a folder; the kernel releases it when the process ends for any reason.

    Args:
        folder: created if missing.
        what: name of the command, such as ``'restore'``, for the error message.
        workers: whether processes forked meanwhile keep the lock as well.
        timeout: seconds to wait for the lock.

    Yields:
        None, or the reason why there is no lock: the system or disk does not support locks, or the lock file can't be
        opened.

    Raises:
        BusyError: another process holds the lock; the message names it.
        OSError: the folder can't be created.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, reason = None, None
    try:
        descriptor = _lock_file(folder / LOCK, f'{folder}: another {what}', timeout)
    except OSError as error:
        reason = error.strerror or str(error)
    if descriptor is None:
        yield reason
        return
    if not workers:
        _held.add(descriptor)
    try:
        yield None
    finally:
        with suppress(OSError):  # before unlocking, so that no other process's lock file is removed
            (folder / LOCK).unlink()
        _held.discard(descriptor)
        os.close(descriptor)


def _lock_file(path: Path, busy: str, timeout: float) -> int:
    if fcntl is None:
        raise OSError(0, 'this system has no locks')
    until = time.monotonic() + timeout
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NOFOLLOW | _NONBLOCK, 0o666)
        try:
            status = os.fstat(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    who = _holder(descriptor)
                    raise BusyError(f'{busy}{who} is at work there; let it end, or take another folder') from None
                time.sleep(0.1)
                continue
            except OSError:  # the file system does not support locks
                with suppress(OSError):
                    path.unlink()
                raise
            if not _is_at(status, path):  # the previous holder removed it in between
                continue
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:  # never overwrite a hard link to a user's file
                with suppress(OSError):  # the lock is valid even if the disk is full
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f'process {os.getpid()} on {socket.gethostname()}\n'.encode())
            kept, descriptor = descriptor, -1
            return kept
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _is_at(status: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(status, os.lstat(path))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    """Return the holder named in a lock file as ``' (process 7 on host)'``, or an empty string."""
    with suppress(OSError):
        found = re.match(rb'process \d+ on [\w.-]+', os.pread(descriptor, 300, 0))
        return f' ({found.group().decode()})' if found else ''
    return ''


def write_whole(path: str | Path, data: bytes | memoryview, flush: bool = False) -> None:
    """Write a file atomically, see :func:`replacing`.

    Args:
        path: output file.
        data: content.
        flush: call ``fsync`` before the rename, so that the file survives a crash of the machine.

    Raises:
        OSError: see :func:`replacing`.
    """
    with replacing(path) as beside, open(beside, 'wb') as file:
        file.write(data)
        if flush:
            file.flush()
            os.fsync(file.fileno())


def json_bytes(value: object, indent: int | None = 1) -> bytes:
    r"""Encode a value as a JSON file; NaN and infinity become null.

    Bytes of file names that are not UTF-8 are written as ``\udcXX`` (Python's surrogate escapes), so that names survive
    a round trip.

    Args:
        value: nested dicts, lists, strings and numbers.
        indent: spaces per level; None for a single line.

    Raises:
        TypeError: a value of another type.
    """
    text = json.dumps(_finite(value), indent=indent, allow_nan=False, ensure_ascii=False) + '\n'
    return text.encode(errors='backslashreplace')


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_limit() -> float:
    """Return the read timeout of :func:`read_bytes` in seconds: 60, or the environment variable :data:`READ_TIMEOUT`.

    Raises:
        ConfigError: the variable is not a positive number.
    """
    text = os.environ.get(READ_TIMEOUT, '60')
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float('inf'):
        raise ConfigError(f'{READ_TIMEOUT}={text}: it must be a positive number of seconds')
    return seconds


def read_bytes(path: str | os.PathLike, most: int | None = None) -> bytes:
    """Read a regular file, or its first bytes, with a timeout.

    A read without progress, as from a disconnected network disk, is abandoned. It runs in a separate thread, which
    can't be stopped but does not keep the process from exiting.

    Args:
        path: the file.
        most: maximum number of bytes; None for all.

    Raises:
        OSError: the file can't be opened or read, or is not a regular file.
        TimeoutError: no data came for :func:`read_limit` seconds.
    """
    limit = read_limit()
    reading = _Reading(path, most)
    reading.start()
    tick, idle, before = min(1.0, limit), 0.0, 0
    while not reading.ended.wait(tick):
        # counted in ticks instead of clock time, so that a suspended process does not report a timeout
        idle, before = (idle + tick if reading.blocks == before else 0.0), reading.blocks
        if idle >= limit:
            raise TimeoutError(0, f'it gave nothing for {limit:g} seconds; is its disk gone?', os.fspath(path))
    if reading.error is not None:
        raise reading.error
    return reading.content.getvalue()


class _Reading:
    """Read of a file in a background thread; ``blocks`` counts its progress."""

    def __init__(self, path: str | os.PathLike, most: int | None) -> None:
        self.path, self.most = path, most
        self.blocks = 0
        self.content = BytesIO()
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def start(self) -> None:
        """Start the thread.

        ``threading.Thread.start`` would wait forever for a thread that dies at once for lack of memory.
        """
        _thread.start_new_thread(self.run, ())

    def run(self) -> None:
        """Read the file; errors are stored in ``error``."""
        try:
            with open(self.path, 'rb', buffering=0, opener=open_regular) as file:
                left = sys.maxsize if self.most is None else self.most
                while block := file.read(min(_BLOCK, left)):
                    self.content.write(block)
                    self.blocks += 1
                    left -= len(block)
        except BaseException as error:  # raised by read_bytes
            self.error = error
        finally:
            self.ended.set()


def open_regular(path: str, flags: int) -> int:
    """Opener for :func:`open` that accepts regular files only: reading a pipe or device could block or never end."""
    descriptor = os.open(path, flags | _NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # for a folder, the read itself raises a clear error
        os.close(descriptor)
        raise OSError(0, 'is no regular file', path)
    return descriptor


def configs_dir() -> Path:
    """Return the folder of the configs: inside the installed package, or next to it in a checkout.

    Raises:
        ConfigError: there is no such folder.
    """
    package = Path(__file__).parent
    for folder in (package / 'configs', package.parent / 'configs'):
        if (folder / '_base_' / 'default_runtime.py').is_file():
            return folder
    raise ConfigError(f'the configs are neither in {package / "configs"} nor in {package.parent / "configs"}')


def packaged(path: str | Path) -> Path:
    """Return a path; for one below ``configs/`` that is not there, its place in :func:`configs_dir`."""
    path = Path(path)
    if path.parts[:1] == ('configs',) and not path.is_file():
        return configs_dir().joinpath(*path.parts[1:])
    return path


def find_checkpoints(work_dir: str | Path) -> list[Path]:
    """Return the checkpoints ``iter_N.pth`` of a run, oldest first."""
    files = [path for path in Path(work_dir).glob('iter_*.pth') if path.is_file()]
    found = [(int(match.group(1)), path) for path in files if (match := re.match(r'iter_(\d+)\.', path.name))]
    return [path for _, path in sorted(found)]
