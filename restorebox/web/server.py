"""The server of the page: everything from this process, nothing from elsewhere.

Files lie in a folder of this process that only its user may read: an upload until it has been read, what was made of it
until its page is closed, neither for longer than ``KEPT`` seconds, and nothing after the server has stopped.
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
from typing import Any, BinaryIO

from restorebox.errors import ConfigError
from restorebox.processes import leave
from restorebox.web.desk import Desk
from restorebox.web.guard import AT_ONCE, Guard
from restorebox.web.names import Names
from restorebox.web.page import CSS, build_page, import_gradio
from restorebox.web.visits import Visits

FOLDER = 'restorebox-web-'  # what the names of folders for files begin with
KEPT = 600  # seconds
ROOM = 4  # times the largest upload, for each visitor who is served or waits: what may lie there
CONNECTIONS = 256  # at once; there are not many more files that a process may open
HEADERS_WITHIN = 10.0  # seconds in which a request's headers have to come
TAKEN_WITHIN = 30.0  # seconds in which something of an answer has to be taken
END_WITHIN = 3.5  # seconds after a signal
FONTS = ['system-ui', 'sans-serif']


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user may read, for all that is put down; removed in the end.

    Those of servers that were killed are removed as well.
    """
    for left in Path(tempfile.gettempdir()).glob(f'{FOLDER}*'):
        with suppress(OSError), open(left / 'lock', 'rb') as lock:
            if _locked(lock):
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER))
    lock = open(folder / 'lock', 'wb')  # noqa: SIM115 (the lock goes with the process)
    _locked(lock)
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


def _locked(file: BinaryIO) -> bool:
    """Lock a file until it is closed; whether it could be, which it can't while another process has it."""
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
    """A socket to serve from.

    Raises:
        ConfigError: the host is unknown or not of this machine, or the port is taken.
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
    """Uvicorn's connection, which ends when it is silent for too long, and makes way for others."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Connection(H11Protocol):
        """Uvicorn itself waits for headers, and for its answers to be taken, without end."""

        _asking: asyncio.TimerHandle | None = None
        _taking: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            self.came = self.loop.time()
            if len(self.connections) >= CONNECTIONS:
                idle = min((each for each in self.connections if not each.served()), key=self._worth, default=None)
                if idle is None:
                    self.connections.add(self)  # it is taken out again when it has been lost
                    self.transport = transport
                    transport.abort()
                    return
                self.connections.discard(idle)
                idle.transport.abort()
            super().connection_made(transport)
            self._asking = self.loop.call_later(HEADERS_WITHIN, self._silent)

        @staticmethod
        def _worth(connection: Connection) -> tuple[bool, float]:
            """The lower, the sooner it ends: first who has said nothing yet, and of those who came first."""
            return connection.cycle is not None, connection.came

        def served(self) -> bool:
            """Whether a request is being answered that the guard has let in."""
            return bool(self.cycle) and not self.cycle.response_complete and 'admitted' in self.cycle.scope['state']

        def handle_events(self) -> None:
            before = self.cycle
            super().handle_events()
            if self.cycle is not before and self._asking is not None:
                self._asking.cancel()
                self._asking = None

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._asking is None and not self.transport.is_closing():  # the next request's headers may come slowly
                self._asking = self.loop.call_later(HEADERS_WITHIN, self._silent)

        def _silent(self) -> None:
            self._asking = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._taking is None:
                self._taking = self.loop.call_later(TAKEN_WITHIN, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._taken()

        def connection_lost(self, exc: Exception | None) -> None:
            self._taken()
            if self._asking is not None:
                self._asking.cancel()
            super().connection_lost(exc)

        def _taken(self) -> None:
            if self._taking is not None:
                self._taking.cancel()
                self._taking = None

    return Connection


def build_app(desk: Desk, visits: Visits, names: Names, ending: Event | None = None) -> Guard:
    """The page behind its guard, an ASGI application."""
    gr = import_gradio()
    from fastapi import FastAPI

    page = build_page(desk, visits, ending)
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path='/',
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=f'{desk.limits.megabytes}mb',
        theme=gr.themes.Default(font=FONTS, font_mono=['monospace']),
        css=CSS,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    work = next(number for number, each in page.fns.items() if each.name == 'work')
    return Guard(app, visits, names, desk.limits, work, ending)


def serve(desk: Desk, host: str, port: int, ready: Callable[[str], None], allowed: tuple[str, ...] = ()) -> None:
    """Serve the page until it is interrupted.

    Args:
        desk: does the work.
        host: name or address to listen at.
        port: 0 for any that is free.
        ready: called with the page's address once visitors may come.
        allowed: other names that the page is served under, see :class:`~restorebox.web.guard.Names`.

    Raises:
        ConfigError, MissingPackageError: see :func:`bind` and :func:`~restorebox.web.page.build_page`.
    """
    import_gradio()
    import uvicorn

    ending = Event()
    with bind(host, port) as bound, private_folder() as folder:
        port = bound.getsockname()[1]
        shown = f'[{host}]' if ':' in host else host
        own = socket.gethostname() if bound.getsockname()[0] in ('0.0.0.0', '::') else ''
        limits = desk.limits
        files = folder / 'files'
        files.mkdir()
        visits = Visits(files, ROOM * (limits.waiting + AT_ONCE) * limits.megabytes * 2**20)
        app = build_app(desk, visits, Names(host, port, own, allowed), ending)

        def sweeping() -> None:
            while not ending.wait(KEPT / 10):
                visits.sweep(KEPT)

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready(f'http://{shown}:{port}')

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                if not ending.is_set():
                    ending.set()
                    last = Timer(END_WITHIN, _end, [folder])  # a network that computes can't be interrupted
                    last.daemon = True
                    last.start()
                super().handle_exit(sig, frame)

        # the server hands a signal on when it has ended; a closed terminal is not known to Windows
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        if hasattr(signal, 'SIGHUP'):
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        Thread(target=sweeping, daemon=True).start()
        options: dict[str, Any] = {'log_level': 'warning', 'proxy_headers': False, 'server_header': False, 'ws': 'none'}
        # an open page holds a connection for as long as it is open
        options |= {'timeout_graceful_shutdown': 2, 'h11_max_incomplete_event_size': 2**14, 'backlog': CONNECTIONS}
        try:
            Server(uvicorn.Config(app, http=connection_class(), **options)).run(sockets=[bound])
        finally:
            ending.set()


def _end(folder: Path) -> None:
    """End at once, without waiting for what is being computed."""
    with suppress(OSError):
        shutil.rmtree(folder)
    leave(0)
