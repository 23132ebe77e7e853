"""Downloads over http and https with limits on time and size, written atomically."""

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

STALLED = 60.0  # seconds within which at least MIN_BYTES bytes must arrive
MIN_BYTES = 2**14
MAX_BYTES = 8 * 2**30
REPORT_INTERVAL = 10.0  # seconds between two progress lines
_BLOCK = 2**16


def download(
    url: str, target: Path, digest: str | None = None, *, name: str | None = None, authorization: str | None = None
) -> None:
    """Download a URL to a file, atomically.

    The progress of a long download is printed to stderr. Redirections are followed to http and https only.

    Args:
        url: http or https.
        target: path of the file; its folder is created if missing.
        digest: expected SHA-256 or its first digits.
        name: printed in place of the URL, for one that holds a signature.
        authorization: header for the first host; redirections are followed without it.

    Raises:
        CheckpointError: invalid URL, server error, stalled, incomplete or too large, wrong hash, or the file can't be
            written.
    """
    try:
        with replacing(target) as beside, open(beside, 'wb') as file:
            own = _watch(_Download(url, file, name or url, authorization))
            if digest is not None and not own.startswith(digest):
                raise _failed(name or url, f'its sha256 is {own}, expected {digest}; it is damaged or another file')
    except OSError as error:
        raise _failed(name or url, f'{error.filename}: {error.strerror}') from None


def _failed(url: str, reason: str) -> CheckpointError:
    return CheckpointError(f"{url} can't be downloaded: {reason}")


class _Download(threading.Thread):
    """Thread that downloads to an open file. A stalled thread is abandoned: a blocking read can't be interrupted."""

    def __init__(self, url: str, file: IO[bytes], label: str, authorization: str | None) -> None:
        super().__init__(daemon=True)
        self.url, self.file, self.label, self.authorization = url, file, label, authorization
        self.bytes, self.total = 0, 0
        self.hash = hashlib.sha256()
        self.error: BaseException | None = None
        self.given_up = False
        self.ended = threading.Event()

    def run(self) -> None:
        """Download."""
        try:
            request = urllib.request.Request(self.url, headers={'User-Agent': 'restorebox'})
            if self.authorization is not None:
                request.add_unredirected_header('Authorization', self.authorization)
            with _opener().open(request, timeout=2 * STALLED) as answer:
                self.total = int(answer.headers.get('Content-Length') or 0)
                if self.total > MAX_BYTES:
                    raise _too_large()
                # read1 returns what has arrived, so that a slow connection is detected
                while not self.given_up and (block := answer.read1(_BLOCK)):
                    self.file.write(block)
                    self.hash.update(block)
                    self.bytes += len(block)
                    if self.bytes > MAX_BYTES:
                        raise _too_large()
                if self.bytes < self.total:
                    raise HTTPException(f'incomplete: {self.bytes} of {self.total} bytes')
        except BaseException as error:  # the caller raises it
            self.error = error
        finally:
            self.ended.set()


def _too_large() -> HTTPException:
    return HTTPException(f'more than {MAX_BYTES / 2**30:g} GiB; download it yourself and give its path')


def _watch(job: _Download) -> str:
    """Wait for a download while data arrives and return its SHA-256."""
    url = job.label
    job.start()
    tick, idle, before, reported = min(1.0, STALLED), 0.0, 0, time.monotonic()
    while not job.ended.wait(tick):
        # counted in waits, so that the time for which this process was suspended is not counted
        idle += tick
        if job.bytes - before >= MIN_BYTES:
            idle, before = 0.0, job.bytes
        if idle >= STALLED:
            job.given_up = True
            raise _failed(url, f'only {job.bytes - before} bytes arrived in {STALLED:g} seconds; try again later')
        if time.monotonic() - reported >= REPORT_INTERVAL:
            reported = time.monotonic()
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
    """Return urllib's opener without its handlers for file, FTP and data URLs, to which a server could redirect."""
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
