"""Files of every room: written whole or not at all, locked, read within a time, and found where a run keeps them.

Nothing here needs torch, whose import takes longer than most verbs.
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

import restorebox
from restorebox.errors import BusyError, ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = '.restorebox.lock'
READ_TIMEOUT = 'RESTOREBOX_READ_TIMEOUT'  # seconds, of the environment, which worker processes have as well
_TEMPORARY = re.compile(r'\.restorebox-[0-9a-f]{16}\.tmp')
_FORGOTTEN = 24 * 3600.0  # seconds after which a temporary file is a killed run's where locks can't tell
_BLOCK = 2**18  # bytes: at 5 kB a second one is read within the default time
_NOFOLLOW, _NONBLOCK = getattr(os, 'O_NOFOLLOW', 0), getattr(os, 'O_NONBLOCK', 0)
_tidied: set[Path] = set()  # folders from which this process has removed what killed ones left
_held: set[int] = set()  # descriptors of locks that forked processes let go of


def _let_go() -> None:
    """In a forked process: a lock ends when the last descriptor is closed, and workers may outlive a killed run."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_let_go)


def _take(descriptor: int) -> bool | None:
    """Lock an open file for as long as the process lives; False where another has it, None where there are no locks."""
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
    """A new empty file under a name that nobody knows before, and a descriptor, whose lock says that it is in use."""
    while True:
        path = folder / f'.restorebox-{secrets.token_hex(8)}.tmp'  # short: next to a name of 255 bytes it must fit too
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o666)
        if fcntl is None:  # Windows renames no open file
            os.close(descriptor)
            return path, None
        if _take(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # between the two lines above another run took it for a killed one's


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A name to write under, which takes the place of ``path`` when the block ends without an error.

    The name is that of a new file in the same folder, opened exclusively, so that processes which write one place don't
    meet and a planted link is not followed. A link at ``path`` itself is replaced, not followed. What killed processes
    left in the folder goes when this one first writes there.

    Args:
        path: the place; its folder is made where it is missing. A file that is there stays until the new one is
            complete, and for good where it never is.

    Raises:
        OSError: the disk is full or not writable; its ``filename`` is ``path``. The temporary file is gone.
    """
    path = Path(path)
    beside = descriptor = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in _tidied:  # once, since to list a folder for every file of it takes long
            _tidied.add(path.parent)
            remove_leftovers(path.parent)
        beside, descriptor = _new_file(path.parent)
        yield beside
        os.replace(beside, path)
    except BaseException as error:
        if beside is not None:
            with suppress(OSError):
                beside.unlink()
        if isinstance(error, OSError):  # of the temporary name, which the user never gave
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed runs were writing into a folder; what a living one writes stays."""
    try:
        names = [name for name in os.listdir(folder) if _TEMPORARY.fullmatch(name)]
    except OSError:  # no such folder yet
        return
    for name in names:
        path = Path(folder, name)
        with suppress(OSError):  # another user's, or a link
            descriptor = os.open(path, os.O_RDWR | _NOFOLLOW | _NONBLOCK)
            try:
                mine = _take(descriptor)
                forgotten = time.time() - os.fstat(descriptor).st_mtime > _FORGOTTEN
                if mine:
                    path.unlink()
            finally:
                os.close(descriptor)
            if mine is None and forgotten:
                path.unlink()


@contextmanager
def locked(folder: str | Path, what: str, workers: bool = False, patience: float = 0.0) -> Iterator[str | None]:
    """Keep a folder to this process: the kernel frees the lock when the process ends, however it ends.

    Args:
        folder: made where it is missing.
        what: is at work in it, such as ``'restore'``, for the message.
        workers: whether processes forked meanwhile hold the lock as well.
        patience: seconds to wait for another one to end.

    Yields:
        None, or why there is no lock: on this system or disk there are none, or something lies in its place.

    Raises:
        BusyError: another process has it; names it.
        OSError: the folder can't be made.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, reason = None, None
    try:
        descriptor = _lock_file(folder / LOCK, f'{folder}: another {what}', patience)
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
        with suppress(OSError):  # while it is still locked, so that nobody else's is removed
            (folder / LOCK).unlink()
        _held.discard(descriptor)
        os.close(descriptor)


def _lock_file(path: Path, busy: str, patience: float) -> int:
    if fcntl is None:
        raise OSError(0, 'this system has no locks')
    until = time.monotonic() + patience
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NOFOLLOW | _NONBLOCK, 0o666)
        try:
            facts = os.fstat(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    who = _holder(descriptor)
                    raise BusyError(f'{busy}{who} is at work there; let it end, or take another folder') from None
                time.sleep(0.1)
                continue
            except OSError:  # a disk without locks
                with suppress(OSError):
                    path.unlink()
                raise
            if not _is_at(facts, path):  # its owner removed it in between
                continue
            if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:  # what has another name too is somebody's file
                with suppress(OSError):  # the disk is full: the lock holds all the same
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f'process {os.getpid()} on {socket.gethostname()}\n'.encode())
            kept, descriptor = descriptor, -1
            return kept
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _is_at(facts: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(facts, os.lstat(path))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    """Who says in a lock file that it is theirs: ' (process 7 on host)', or nothing."""
    with suppress(OSError):
        found = re.match(rb'process \d+ on [\w.-]+', os.pread(descriptor, 300, 0))
        return f' ({found.group().decode()})' if found else ''
    return ''


def write_whole(path: str | Path, data: bytes | memoryview, flush: bool = False) -> None:
    """Write a file whole or not at all, see :func:`replacing`.

    Args:
        path: see there.
        data: all of it.
        flush: whether the bytes must be on the disk before the name is: for what a crash of the machine may not cost.

    Raises:
        OSError: see there.
    """
    with replacing(path) as beside, open(beside, 'wb') as file:
        file.write(data)
        if flush:
            file.flush()
            os.fsync(file.fileno())


def json_bytes(value: object, indent: int = 1) -> bytes:
    r"""A value as a JSON file: nan and infinity, for which JSON has no word, are null; every name reads back as it was.

    The bytes of a name that are not UTF-8 stand there as ``\udcXX``, Python's form of them.

    Args:
        value: dicts, lists, texts, numbers.
        indent: spaces a level.

    Raises:
        TypeError: something else is inside.
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
    """Seconds for which a read may give nothing, see :func:`read_bytes`: 60, or what the environment says.

    Raises:
        ConfigError: it says no positive number.
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
    """All of a regular file, or the first bytes.

    A read that gives nothing for a while, as from a network disk that is gone, is given up.

    It goes on in a thread of its own, which nothing can stop and which does not keep the process from ending.

    Args:
        path: the file.
        most: how many bytes; None for all.

    Raises:
        OSError: it can't be opened or read, or is no regular file.
        TimeoutError: it gave nothing for :func:`read_limit` seconds.
    """
    limit = read_limit()
    reading = _Reading(path, most)
    reading.start()
    tick, idle, before = min(1.0, limit), 0.0, 0
    while not reading.ended.wait(tick):
        # counted in waits, so that a process which was stopped for a while blames no file
        idle, before = (idle + tick if reading.blocks == before else 0.0), reading.blocks
        if idle >= limit:
            raise TimeoutError(0, f'it gave nothing for {limit:g} seconds; is its disk gone?', os.fspath(path))
    if reading.error is not None:
        raise reading.error
    return reading.content.getvalue()


class _Reading:
    """Reads a file in a thread, and shows how far it is."""

    def __init__(self, path: str | os.PathLike, most: int | None) -> None:
        self.path, self.most = path, most
        self.blocks = 0
        self.content = BytesIO()
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def start(self) -> None:
        """Begin. ``threading.Thread.start`` would wait for ever for a thread that the lack of memory ends at once."""
        _thread.start_new_thread(self.run, ())

    def run(self) -> None:
        """Read."""
        try:
            with open(self.path, 'rb', buffering=0, opener=open_regular) as file:
                left = sys.maxsize if self.most is None else self.most
                while block := file.read(min(_BLOCK, left)):
                    self.content.write(block)
                    self.blocks += 1
                    left -= len(block)
        except BaseException as error:  # the caller raises it
            self.error = error
        finally:
            self.ended.set()


def open_regular(path: str, flags: int) -> int:
    """An opener for :func:`open` that refuses what is no regular file: a pipe or a device would wait, or never end."""
    descriptor = os.open(path, flags | _NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a folder is named as one by the read
        os.close(descriptor)
        raise OSError(0, 'is no regular file', path)
    return descriptor


def configs_dir() -> Path:
    """Where the configs are: inside an installed package, or beside it in a checkout.

    Raises:
        ConfigError: neither is there.
    """
    package = Path(restorebox.__file__).parent
    for folder in (package / 'configs', package.parent / 'configs'):
        if (folder / '_base_' / 'default_runtime.py').is_file():
            return folder
    raise ConfigError(f'the configs are neither in {package / "configs"} nor in {package.parent / "configs"}')


def find_checkpoints(work_dir: str | Path) -> list[Path]:
    """Checkpoints of a run, oldest first: ``iter_N.pth``. They are renamed into place when complete."""
    files = [path for path in Path(work_dir).glob('iter_*.pth') if path.is_file()]
    found = [(int(match.group(1)), path) for path in files if (match := re.match(r'iter_(\d+)\.', path.name))]
    return [path for _, path in sorted(found)]
