"""HTTP connections with timeouts and a limit on their number, and the loop of a server that ends on a signal."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer
from types import FrameType
from typing import Any, cast

from restorebox.processes import exit_at_once

CONNECTIONS = 256  # concurrent connections, below the usual limit on open files
HEADERS_TIMEOUT = 10.0  # seconds to receive a request's headers
WRITE_TIMEOUT = 30.0  # seconds for which the client may not read the response
EXIT_MARGIN = 1.5  # seconds after the grace period until the process ends regardless


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


def run_server(
    app: Callable, bound: socket.socket, folder: Path, ready: Callable[[], None], stopping: Event, grace: int = 2
) -> None:
    """Serve an ASGI application until SIGTERM, SIGINT or SIGHUP.

    Args:
        app: ASGI application.
        bound: bound socket.
        folder: private folder, removed if the process has to be ended without waiting.
        ready: called when the server accepts connections.
        stopping: set by the signal.
        grace: seconds for which requests in progress may go on after the signal.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if not stopping.is_set():
                stopping.set()
                # a running network can't be interrupted
                last = Timer(grace + EXIT_MARGIN, _exit_now, [folder])
                last.daemon = True
                last.start()
            super().handle_exit(sig, frame)

    # Uvicorn re-raises the signal after its shutdown; Windows has no SIGHUP
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if hasattr(signal, 'SIGHUP'):
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    options: dict[str, Any] = {'log_level': 'warning', 'proxy_headers': False, 'server_header': False, 'ws': 'none'}
    options |= {'timeout_graceful_shutdown': grace, 'h11_max_incomplete_event_size': 2**14, 'backlog': CONNECTIONS}
    try:
        Server(uvicorn.Config(app, http=connection_class(), **options)).run(sockets=[bound])
    finally:
        stopping.set()


def _exit_now(folder: Path) -> None:
    """Exit without waiting for a running restoration."""
    with suppress(OSError):
        shutil.rmtree(folder)
    exit_at_once(0)
