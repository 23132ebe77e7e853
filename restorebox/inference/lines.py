"""Files of JSON lines to which several processes append: on a local disk, and in storage, which can't append."""

from __future__ import annotations

import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from restorebox.files import file_locked, json_bytes, replacing
from restorebox.storage import RemotePath, files_below, read, remove, write

ATTEMPTS = 20  # to find the file that has the path
FLUSH_AFTER = 10.0  # seconds; a killed process loses the lines of such a time in storage
Line = tuple[bytes, dict[str, Any]]
Select = Callable[[Iterable[dict[str, Any]]], set[int]]  # contents of all lines -> indices of some


class LocalLines:
    """File of JSON objects, one a line.

    A line is one write under a lock of the file, so lines of two processes do not mix. Lines that a killed process or a
    full disk left incomplete are ignored when the file is read. :meth:`keep` replaces the file, under the lock as well;
    other processes then go on in the new one.

    Args:
        path: the file; created with its folder if missing.

    Raises:
        OSError: it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()
        with self._locked(), open(path, 'rb') as file:  # no other process is in the middle of a line
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            self._complete = not size or file.read() == b'\n'  # whether the last line is

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, 'O_NOFOLLOW', 0) | getattr(os, 'O_NONBLOCK', 0)
        descriptor = os.open(self.path, flags, 0o666)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(0, 'is no regular file', str(self.path))
        return descriptor

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the file that has the path now, which another process may have replaced."""
        for attempt in range(ATTEMPTS):
            with file_locked(self._descriptor):
                # some network file systems have no lasting numbers of files
                if self._is_current() or attempt == ATTEMPTS - 1:
                    yield
                    return
            os.close(self._descriptor)
            self._descriptor, self._complete = self._open(), True

    def _is_current(self) -> bool:
        here = os.fstat(self._descriptor)
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

    def read(self) -> Iterator[Line]:
        """Yield each complete line and its content."""
        with open(self.path, 'rb') as file:
            yield from _parsed(file)

    def empty(self) -> bool:
        """Return whether the file has no bytes."""
        return not os.path.getsize(self.path)

    def add(self, content: dict[str, Any]) -> None:
        """Append a line.

        Raises:
            OSError: the disk is full.
        """
        text = json_bytes(content, indent=None)
        with self._locked():
            line = text if self._complete else b'\n' + text
            self._complete = False
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            self._complete = True

    def flush(self) -> None:
        """Do nothing: each line is written at once."""

    def keep(self, select: Select) -> None:
        """Keep the selected lines only; other processes may go on to append.

        Raises:
            OSError: the disk is full.
        """
        count = 0

        def contents() -> Iterator[dict[str, Any]]:
            nonlocal count
            for _, content in self.read():
                count += 1
                yield content

        with self._locked():
            kept = select(contents())
            if len(kept) == count:
                return
            with replacing(self.path) as beside, open(beside, 'wb') as file:
                file.writelines(line for i, (line, _) in enumerate(self.read()) if i in kept)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class RemoteLines:
    """The same in storage: each process writes its lines as objects in ``PATH.parts/``, until :meth:`keep` joins them.

    Args:
        path: the object. Nothing is read or written before the first call.
    """

    def __init__(self, path: RemotePath) -> None:
        self.path, self.folder = path, path.with_name(f'{path.name}.parts')
        self._waiting: list[bytes] = []
        self._flushed = time.monotonic()
        self._parts: list[RemotePath] = []  # these and the lines as they were read last
        self._lines: list[Line] = []

    def read(self) -> Iterator[Line]:
        """Yield each line and its content, the joined ones first, by one listing and a request per part."""
        self.flush()
        parts = sorted(files_below(self.folder)[0], key=lambda part: part.name)  # in the order of time
        lines: list[Line] = []
        for path in (self.path, *parts):
            with suppress(FileNotFoundError):  # another process has just joined them
                lines += _parsed(read(path).splitlines(keepends=True))
        self._parts, self._lines = parts, lines
        yield from lines

    def empty(self) -> bool:
        """Return whether the object does not exist or has no bytes."""
        try:
            return not read(self.path, 1)
        except OSError:
            return True

    def add(self, content: dict[str, Any]) -> None:
        """Add a line, which is written with others after some seconds.

        Raises:
            OSError: it can't be written.
        """
        self._waiting.append(json_bytes(content, indent=None))
        if time.monotonic() - self._flushed > FLUSH_AFTER:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait, as one object.

        Raises:
            OSError: it can't be written.
        """
        if self._waiting:
            write(self.folder / f'{time.time_ns():020d}-{secrets.token_hex(8)}.jsonl', b''.join(self._waiting))
            self._waiting = []
        self._flushed = time.monotonic()

    def keep(self, select: Select) -> None:
        """Read all parts and join their selected lines, for one process; a kill in between leaves lines twice."""
        kept = select(content for _, content in self.read())
        write(self.path, b''.join(line for i, (line, _) in enumerate(self._lines) if i in kept))
        remove(self._parts)
        self._parts, self._lines = [], []

    def close(self) -> None:
        """Write the lines that wait."""
        self.flush()


def open_lines(path: Path | RemotePath) -> LocalLines | RemoteLines:
    """Open a file of JSON lines.

    Raises:
        OSError: it can't be opened.
    """
    return RemoteLines(path) if isinstance(path, RemotePath) else LocalLines(path)


def _parsed(lines: Iterable[bytes]) -> Iterator[Line]:
    for line in lines:
        with suppress(ValueError, RecursionError):
            content = json.loads(line)
            if isinstance(content, dict) and line.endswith(b'\n'):
                yield line, content
