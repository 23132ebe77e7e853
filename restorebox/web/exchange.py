"""HTTP request and response of :class:`~restorebox.web.guard.Guard`, and the state of an upload."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.types import Send as ASGISend

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

IDLE_TIMEOUT = 15.0  # seconds without data of a body; for short bodies, seconds for all of it
SLOW_AFTER, SLOW_RATE = 10.0, 64 * 2**10  # seconds, bytes/s: slower uploads may be aborted in favour of others
RETRY_AFTER = '5'  # seconds; header of a response that asks to try again
_DRAIN_LIMIT = 2**20  # bytes read of a refused request, so that the client receives the response
# makes the browser block requests to other sites
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self' blob: data:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
HEADERS = {
    'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cache-Control': 'no-store',
}


class RequestRefused(Exception):
    """A refused request.

    Args:
        status: HTTP status.
        message: one line for the client, without details of the server.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Exchange:
    """HTTP request and its response.

    Args:
        scope, receive, send: arguments of the ASGI application.
        stopping: set when the server stops; ends responses that wait.

    Attributes:
        scope: ASGI scope.
        owner: id of the client, or None without a valid cookie.
        cookie: cookie to set with the response, or empty.
        status: HTTP status of the response; 0 before it starts.
    """

    def __init__(self, scope: Message, receive: Receive, send: Send, stopping: Event) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._ending = stopping
        self._received = False  # the whole request
        self._sent = False  # the whole response
        self.owner: str | None = None
        self.cookie = ''
        self.status = 0

    def headers(self, name: str) -> list[str]:
        """Return all request headers of a name."""
        return [value.decode('latin-1') for key, value in self.scope['headers'] if key == name.encode()]

    def header(self, name: str) -> str:
        """Return the first request header of a name, or an empty string."""
        return next(iter(self.headers(name)), '')

    def query(self, name: str) -> str:
        """Return the first query parameter of a name, or an empty string."""
        try:
            return parse_qs(self.scope['query_string'].decode('latin-1'), max_num_fields=8).get(name, [''])[0]
        except ValueError:
            return ''

    @property
    def scheme(self) -> str:
        """URL scheme seen by the browser; a proxy with https reports it in a header."""
        return 'https' if self.header('x-forwarded-proto') == 'https' else self.scope['scheme']

    def admit(self) -> None:
        """Mark the request as accepted, see :func:`~restorebox.web.connections.connection_class`."""
        self.scope.setdefault('state', {})['admitted'] = True

    async def receive(self) -> Message:
        """Receive the next part of the request."""
        message = await self._receive()
        self._received = self._received or not message.get('more_body')
        return message

    async def body(self, limit: int) -> bytes:
        """Receive a short body.

        Raises:
            RequestRefused: it is longer than ``limit`` bytes, or takes longer than ``IDLE_TIMEOUT`` seconds.
        """
        whole, end = b'', time.monotonic() + IDLE_TIMEOUT
        while True:
            try:
                message = await asyncio.wait_for(self.receive(), max(0.01, end - time.monotonic()))
            except TimeoutError:
                raise RequestRefused(408, 'the request came too slowly') from None
            if message['type'] == 'http.disconnect':
                raise ClientDisconnect
            whole += message.get('body', b'')
            if len(whole) > limit:
                raise RequestRefused(413, 'the request is too long')
            if not message.get('more_body'):
                return whole

    async def send(self, message: Message) -> None:
        """Send a part of the response; the first with the common headers and the cookie."""
        if message['type'] == 'http.response.start':
            self.status = message['status']
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self.cookie:
                headers.append('Set-Cookie', self.cookie)
        self._sent = message['type'] == 'http.response.body' and not message.get('more_body')
        await self._send(message)

    async def forward(self, app: Callable, scope: Message, body: bytes) -> int:
        """Forward the request to an ASGI application; returns the status of its response."""
        delivered = False

        async def receive() -> Message:
            nonlocal delivered
            if not delivered:
                delivered = True
                return {'type': 'http.request', 'body': body, 'more_body': False}
            while not self._ending.is_set():
                with suppress(asyncio.TimeoutError):
                    message = await asyncio.wait_for(self.receive(), 0.5)
                    if message['type'] == 'http.disconnect':
                        return message
            return {'type': 'http.disconnect'}

        await app(scope, receive, self.send)
        if self.status and not self._sent:
            await self.send({'type': 'http.response.body', 'body': b''})
        return self.status

    async def respond(self, response: Response) -> None:
        """Send a response."""
        await response(self.scope, self.receive, cast('ASGISend', self.send))

    async def refuse(self, error: RequestRefused) -> None:
        """Send the error as the response, and close the connection."""
        if self.status:
            return
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._drain(), 2)
        # Gradio's page and clients of the service show the field `detail`
        json_wanted = '/queue/' in self.scope['path'] or self.scope['path'].startswith('/v1/')
        kind = JSONResponse({'detail': error.message}, error.status) if json_wanted else None
        response = kind or PlainTextResponse(error.message, error.status)
        response.headers['Connection'] = 'close'
        if error.status == 503:
            response.headers['Retry-After'] = RETRY_AFTER
        await self.respond(response)

    async def _drain(self) -> None:
        left = _DRAIN_LIMIT
        while left > 0 and not self._received:
            left -= len((await self.receive()).get('body', b''))

    async def event(self, message: Message, last: bool = False) -> None:
        """Send one server-sent event."""
        if not self.status:
            headers = [(b'content-type', b'text/event-stream')]
            await self.send({'type': 'http.response.start', 'status': 200, 'headers': headers})
        data = f'data: {json.dumps(message)}\n\n'.encode()
        await self.send({'type': 'http.response.body', 'body': data, 'more_body': not last})


class Upload:
    """Upload in progress.

    Args:
        exchange: its request.
        limit: maximum length of the body in bytes.

    Attributes:
        number: upload id chosen by the page.
        got: bytes received so far.
        ended: set to true to abort the upload.
    """

    def __init__(self, exchange: Exchange, limit: int) -> None:
        self.exchange = exchange
        self.owner = exchange.owner
        self.number = exchange.query('upload_id')
        self.limit = limit
        self.got = 0
        self.ended = False
        self._started = time.monotonic()

    @property
    def rate(self) -> float:
        """Mean rate in bytes per second."""
        return self.got / max(1e-3, time.monotonic() - self._started)

    @property
    def slow(self) -> bool:
        """Whether it may be aborted in favour of others, see ``SLOW_RATE``."""
        return time.monotonic() - self._started > SLOW_AFTER and self.rate < SLOW_RATE

    async def receive(self) -> Message:
        """Receive the next part.

        Raises:
            RequestRefused: it is too large, no data came for ``IDLE_TIMEOUT`` seconds, or it was aborted.
        """
        end = time.monotonic() + IDLE_TIMEOUT
        while True:
            if self.ended or time.monotonic() > end:
                raise RequestRefused(408, 'the upload came too slowly')
            try:
                message = await asyncio.wait_for(self.exchange.receive(), 0.5)
            except TimeoutError:
                continue
            self.got += len(message.get('body', b''))
            if self.got > self.limit:
                raise RequestRefused(413, f'this server takes files up to {self.limit >> 20} MiB')
            return message
