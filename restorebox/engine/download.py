"""Downloads that end: bounded in time and size, by http and https alone, whole or not there."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError

from restorebox.errors import CheckpointError
from restorebox.files import replacing

STALLED = 60.0  # seconds in which at least CRUMB bytes must come
CRUMB = 2**14
LARGEST = 8 * 2**30  # bytes
EVERY = 10.0  # seconds between two lines about how far it is
_BLOCK = 2**16


def download(url: str, target: Path, digest: str | None = None) -> None:
    """Bring the file behind a URL to a place, whole or not at all.

    What takes long is told on stderr. Redirections lead to http and https alone.

    Args:
        url: http or https.
        target: the place; its folder is made where it is missing.
        digest: the SHA-256 that it must have, or the beginning of it.

    Raises:
        CheckpointError: no such address, a server's error, nothing for a while, cut, too large, another hash, or a disk
            that can't take it.
    """
    try:
        with replacing(target) as beside, open(beside, 'wb') as file:
            own = _watch(_Download(url, file))
            if digest is not None and not own.startswith(digest):
                raise _failed(url, f'its sha256 is {own}, it should be {digest}; it is damaged or another file')
    except OSError as error:
        raise _failed(url, f'{error.filename}: {error.strerror}') from None


def _failed(url: str, reason: str) -> CheckpointError:
    return CheckpointError(f"{url} can't be downloaded: {reason}")


class _Download(threading.Thread):
    """Fetches into an open file, and shows how far it is. Left behind where it stalls: nothing can stop a read."""

    def __init__(self, url: str, file: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.url, self.file = url, file
        self.bytes, self.total = 0, 0
        self.hash = hashlib.sha256()
        self.error: BaseException | None = None
        self.given_up = False
        self.ended = threading.Event()

    def run(self) -> None:
        """Fetch."""
        try:
            request = urllib.request.Request(self.url, headers={'User-Agent': 'restorebox'})
            with _opener().open(request, timeout=2 * STALLED) as answer:
                self.total = int(answer.headers.get('Content-Length') or 0)
                if self.total > LARGEST:
                    raise _too_large()
                # at most what has come, so that a trickle is seen as one
                while not self.given_up and (block := answer.read1(_BLOCK)):
                    self.file.write(block)
                    self.hash.update(block)
                    self.bytes += len(block)
                    if self.bytes > LARGEST:
                        raise _too_large()
                if self.bytes < self.total:
                    raise HTTPException(f'cut after {self.bytes} of {self.total} bytes')
        except BaseException as error:  # the caller raises it
            self.error = error
        finally:
            self.ended.set()


def _too_large() -> HTTPException:
    return HTTPException(f'more than {LARGEST / 2**30:g} GiB; download it yourself and give its path')


def _watch(job: _Download) -> str:
    """Wait for a download to end, for as long as it comes on -> its SHA-256."""
    url = job.url
    job.start()
    tick, idle, before, said = min(1.0, STALLED), 0.0, 0, time.monotonic()
    while not job.ended.wait(tick):
        # counted in waits, so that a process which was stopped for a while blames no server
        idle += tick
        if job.bytes - before >= CRUMB:
            idle, before = 0.0, job.bytes
        if idle >= STALLED:
            job.given_up = True
            raise _failed(url, f'only {job.bytes - before} bytes came in {STALLED:g} seconds; try again later')
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            of = f' of {job.total / 2**20:.0f}' if job.total else ''
            print(f'{url}: {job.bytes / 2**20:.1f}{of} MiB', file=sys.stderr, flush=True)
    if job.error is None:
        return job.hash.hexdigest()
    if isinstance(job.error, (URLError, HTTPException, OSError, ValueError)):
        reason = ' '.join(str(getattr(job.error, 'reason', '') or job.error).split())
        status = f'{job.error.code} ' if isinstance(job.error, HTTPError) else ''
        raise _failed(url, f'{type(job.error).__name__}: {status}{reason}') from None
    raise job.error


def _opener() -> urllib.request.OpenerDirector:
    """urllib's, without its handlers of files, FTP and data URLs, to which a server could redirect."""
    opener = urllib.request.OpenerDirector()
    kinds: list[Callable[[], urllib.request.BaseHandler]] = [
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ]
    for kind in kinds:
        opener.add_handler(kind())
    return opener
