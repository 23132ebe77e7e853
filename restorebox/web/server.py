"""HTTP server of the web page, with connection limits and a private folder for files.

The folder is readable by its user only. An upload is removed after it has been read, a result when its page is closed,
both after ``MAX_AGE`` seconds at the latest. The folder is removed when the server stops.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread, Timer
from types import FrameType
from typing import Any, BinaryIO, cast

from restorebox.errors import ConfigError
from restorebox.processes import exit_at_once
from restorebox.web.guard import CONCURRENT, Guard
from restorebox.web.hosts import HostNames
from restorebox.web.page import CSS, build_page, import_gradio
from restorebox.web.service import RestorationService
from restorebox.web.storage import FileStore

FOLDER = 'restorebox-web-'  # prefix of folder names
MAX_AGE = 600  # seconds
CAPACITY_FACTOR = 4  # disk space per active or queued request, in multiples of the maximum upload size
CONNECTIONS = 256  # concurrent connections, below the usual limit on open files
HEADERS_TIMEOUT = 10.0  # seconds to receive a request's headers
WRITE_TIMEOUT = 30.0  # seconds for which the client may not read the response
EXIT_TIMEOUT = 3.5  # seconds after a signal
FONTS = ['system-ui', 'sans-serif']


@contextmanager
def private_folder() -> Iterator[Path]:
    """Create a temporary folder that only this user can read, and remove it at the end.

    Folders left by killed servers are removed as well.
    """
    for leftover in Path(tempfile.gettempdir()).glob(f'{FOLDER}*'):
        with suppress(OSError), open(leftover / 'lock', 'rb') as other:
            if _try_lock(other):
                shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER))
    lock = open(folder / 'lock', 'wb')  # noqa: SIM115 (held until the process ends)
    _try_lock(lock)
    before = os.environ.get('GRADIO_TEMP_DIR')
    os.environ['GRADIO_TEMP_DIR'] = str(folder)
    try:
        yield folder
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop('GRADIO_TEMP_DIR')
        if before is not None:
            os.environ['GRADIO_TEMP_DIR'] = before


def _try_lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed; False if another process holds the lock or locks are not supported."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket.

    Raises:
        ConfigError: the host is unknown or not an address of this machine, or the port is in use.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, number)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"can't serve on {host}, port {port}: {error.strerror or error}; try another --port or --host"
        ) from None
    return bound


def connection_class() -> type:
    """Return a subclass of Uvicorn's HTTP protocol with timeouts and a limit on connections."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Connection(H11Protocol):
        """HTTP connection with timeouts for headers and writes, which Uvicorn does not have.

        At ``CONNECTIONS`` open connections, a new one replaces one without an accepted request, or is closed.
        """

        _header_timer: asyncio.TimerHandle | None = None
        _write_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
            self.accepted_at = self.loop.time()
            if len(self.connections) >= CONNECTIONS:
                others = cast('set[Connection]', self.connections)  # all connections of the server are of this class
                idle = min((each for each in others if not each.is_admitted()), key=self._priority, default=None)
                if idle is None:
                    self.connections.add(self)  # connection_lost removes it
                    self.transport = transport
                    transport.abort()
                    return
                self.connections.discard(idle)
                idle.transport.abort()
            super().connection_made(transport)
            self._header_timer = self.loop.call_later(HEADERS_TIMEOUT, self._headers_timed_out)

        @staticmethod
        def _priority(connection: Connection) -> tuple[bool, float]:
            """Sort key for closing, lowest first: connections without a request, then the oldest."""
            return connection.cycle is not None, connection.accepted_at

        def is_admitted(self) -> bool:
            """Return whether a request accepted by the guard is in progress."""
            return bool(self.cycle) and not self.cycle.response_complete and 'admitted' in self.cycle.scope['state']

        def handle_events(self) -> None:
            before = self.cycle
            super().handle_events()
            if self.cycle is not before and self._header_timer is not None:
                self._header_timer.cancel()
                self._header_timer = None

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._header_timer is None and not self.transport.is_closing():  # timeout of the next request's headers
                self._header_timer = self.loop.call_later(HEADERS_TIMEOUT, self._headers_timed_out)

        def _headers_timed_out(self) -> None:
            self._header_timer = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._write_timer is None:
                self._write_timer = self.loop.call_later(WRITE_TIMEOUT, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._cancel_write_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel_write_timer()
            if self._header_timer is not None:
                self._header_timer.cancel()
            super().connection_lost(exc)

        def _cancel_write_timer(self) -> None:
            if self._write_timer is not None:
                self._write_timer.cancel()
                self._write_timer = None

    return Connection


def build_app(service: RestorationService, store: FileStore, names: HostNames, stopping: Event | None = None) -> Guard:
    """Return the ASGI application: the Gradio page behind the guard."""
    gr = import_gradio()
    from fastapi import FastAPI

    page = build_page(service, store, stopping)
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path='/',
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=f'{service.limits.megabytes}mb',
        theme=gr.themes.Default(font=FONTS, font_mono=['monospace']),
        css=CSS,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    work = next(number for number, each in page.fns.items() if each.name == 'work')
    return Guard(app, store, names, service.limits, work, stopping)


def serve(
    service: RestorationService, host: str, port: int, ready: Callable[[str], None], allowed: tuple[str, ...] = ()
) -> None:
    """Serve the page until interrupted.

    Args:
        service: restoration service.
        host: name or address to listen on.
        port: port; 0 for any free one.
        ready: called with the page's URL when the server accepts connections.
        allowed: further host names, see :class:`~restorebox.web.hosts.HostNames`.

    Raises:
        ConfigError, MissingPackageError: see :func:`bind` and :func:`~restorebox.web.page.build_page`.
    """
    import_gradio()
    import uvicorn

    stopping = Event()
    with bind(host, port) as bound, private_folder() as folder:
        port = bound.getsockname()[1]
        shown = f'[{host}]' if ':' in host else host
        own = socket.gethostname() if bound.getsockname()[0] in ('0.0.0.0', '::') else ''
        limits = service.limits
        files = folder / 'files'
        files.mkdir()
        store = FileStore(files, CAPACITY_FACTOR * (limits.waiting + CONCURRENT) * limits.megabytes * 2**20)
        app = build_app(service, store, HostNames(host, port, own, allowed), stopping)

        def remove_expired_files() -> None:
            while not stopping.wait(MAX_AGE / 10):
                store.remove_expired(MAX_AGE)

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready(f'http://{shown}:{port}')

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                if not stopping.is_set():
                    stopping.set()
                    last = Timer(EXIT_TIMEOUT, _exit_now, [folder])  # a running network can't be interrupted
                    last.daemon = True
                    last.start()
                super().handle_exit(sig, frame)

        # Uvicorn re-raises the signal after its shutdown; Windows has no SIGHUP
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        if hasattr(signal, 'SIGHUP'):
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        Thread(target=remove_expired_files, daemon=True).start()
        options: dict[str, Any] = {'log_level': 'warning', 'proxy_headers': False, 'server_header': False, 'ws': 'none'}
        # short shutdown timeout, since open pages keep their connections open
        options |= {'timeout_graceful_shutdown': 2, 'h11_max_incomplete_event_size': 2**14, 'backlog': CONNECTIONS}
        try:
            Server(uvicorn.Config(app, http=connection_class(), **options)).run(sockets=[bound])
        finally:
            stopping.set()


def _exit_now(folder: Path) -> None:
    """Exit without waiting for a running restoration."""
    with suppress(OSError):
        shutil.rmtree(folder)
    exit_at_once(0)
