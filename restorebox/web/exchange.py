"""One request and its answer, as :class:`~restorebox.web.guard.Guard` deals with them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Event
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

QUIET = 15.0  # seconds in which something of a body has to come, and all of a short one
GRACE, PACE = 10.0, 64 * 2**10  # after so many seconds, an upload slower than bytes per second gives way to others
_DRAINED = 2**20  # bytes of a refused request that are read, so that its sender sees the answer
# whatever a library's page would fetch from elsewhere, the browser refuses
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'; object-src 'none'"
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
    """A request that is not served.

    Args:
        status: of HTTP.
        said: one line for the visitor, with nothing of the server in it.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said


class Exchange:
    """A request and its answer.

    Args:
        scope, receive, send: of ASGI.
        ending: when it is set, an answer that waits for something ends.

    Attributes:
        scope: see there.
        owner: the visitor, or None for one who is not known.
        cookie: to be set with the answer, or empty.
        status: of the answer, once it has begun; before, 0.
    """

    def __init__(self, scope: Message, receive: Receive, send: Send, ending: Event) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._ending = ending
        self._read = False  # all of the request
        self._whole = False  # all of the answer is sent
        self.owner: str | None = None
        self.cookie = ''
        self.status = 0

    def headers(self, name: str) -> list[str]:
        """All of a request's headers of one name."""
        return [value.decode('latin-1') for key, value in self.scope['headers'] if key == name.encode()]

    def header(self, name: str) -> str:
        """The first header of that name, or empty."""
        return next(iter(self.headers(name)), '')

    def query(self, name: str) -> str:
        """The first value of that name behind the path's ``?``, or empty."""
        try:
            return parse_qs(self.scope['query_string'].decode('latin-1'), max_num_fields=8).get(name, [''])[0]
        except ValueError:
            return ''

    @property
    def scheme(self) -> str:
        """How the visitor's browser asks: a proxy may speak https with it and say so."""
        return 'https' if self.header('x-forwarded-proto') == 'https' else self.scope['scheme']

    def admit(self) -> None:
        """Mark the request as one that is served, see :class:`~restorebox.web.server.Connection`."""
        self.scope.setdefault('state', {})['admitted'] = True

    async def receive(self) -> Message:
        """The next part of the request."""
        message = await self._receive()
        self._read = self._read or not message.get('more_body')
        return message

    async def body(self, limit: int) -> bytes:
        """All of a short body.

        Raises:
            RequestRefused: it is longer, or takes longer than ``QUIET`` seconds.
        """
        whole, end = b'', time.monotonic() + QUIET
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
        """Send a part of the answer; the first with the headers that each has."""
        if message['type'] == 'http.response.start':
            self.status = message['status']
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self.cookie:
                headers.append('Set-Cookie', self.cookie)
        self._whole = message['type'] == 'http.response.body' and not message.get('more_body')
        await self._send(message)

    async def hand_on(self, app: Callable, scope: Message, body: bytes) -> int:
        """Have an application answer; returns the status of its answer."""
        given = False

        async def receive() -> Message:
            nonlocal given
            if not given:
                given = True
                return {'type': 'http.request', 'body': body, 'more_body': False}
            while not self._ending.is_set():
                with suppress(asyncio.TimeoutError):
                    message = await asyncio.wait_for(self.receive(), 0.5)
                    if message['type'] == 'http.disconnect':
                        return message
            return {'type': 'http.disconnect'}

        await app(scope, receive, self.send)
        if self.status and not self._whole:
            await self.send({'type': 'http.response.body', 'body': b''})
        return self.status

    async def respond(self, response: Response) -> None:
        """Answer."""
        await response(self.scope, self.receive, self.send)

    async def refuse(self, error: RequestRefused) -> None:
        """Say why the request is not served, and end the connection."""
        if self.status:
            return
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._drain(), 2)
        json_wanted = '/queue/' in self.scope['path']  # there Gradio's page looks for what to show
        kind = JSONResponse({'detail': error.said}, error.status) if json_wanted else None
        response = kind or PlainTextResponse(error.said, error.status)
        response.headers['Connection'] = 'close'
        await self.respond(response)

    async def _drain(self) -> None:
        left = _DRAINED
        while left > 0 and not self._read:
            left -= len((await self.receive()).get('body', b''))

    async def event(self, message: Message, last: bool = False) -> None:
        """Send one of a stream of events."""
        if not self.status:
            headers = [(b'content-type', b'text/event-stream')]
            await self.send({'type': 'http.response.start', 'status': 200, 'headers': headers})
        data = f'data: {json.dumps(message)}\n\n'.encode()
        await self.send({'type': 'http.response.body', 'body': data, 'more_body': not last})


class Upload:
    """The body of an upload while it comes.

    Args:
        exchange: its request.
        limit: bytes of the body.

    Attributes:
        number: what the visitor's page calls it by.
        got: bytes so far.
        ended: set it to have it give way to others.
    """

    def __init__(self, exchange: Exchange, limit: int) -> None:
        self.exchange = exchange
        self.owner = exchange.owner
        self.number = exchange.query('upload_id')
        self.limit = limit
        self.got = 0
        self.ended = False
        self._began = time.monotonic()

    @property
    def pace(self) -> float:
        """Bytes per second."""
        return self.got / max(1e-3, time.monotonic() - self._began)

    @property
    def slow(self) -> bool:
        """Whether it is slow enough to give way."""
        return time.monotonic() - self._began > GRACE and self.pace < PACE

    async def receive(self) -> Message:
        """The next part.

        Raises:
            RequestRefused: it is too large, nothing came for ``QUIET`` seconds, or it gives way to others.
        """
        end = time.monotonic() + QUIET
        while True:
            if self.ended or time.monotonic() > end:
                raise RequestRefused(408, 'the upload came too slowly')
            try:
                message = await asyncio.wait_for(self.exchange.receive(), 0.5)
            except TimeoutError:
                continue
            self.got += len(message.get('body', b''))
            if self.got > self.limit:
                raise RequestRefused(413, f'this page takes files up to {self.limit >> 20} MiB')
            return message
