"""ASGI middleware in front of Gradio: allowed routes, host and origin checks, size limits and rate limits.

Gradio serves some fifty routes and accepts file paths and URLs from any client. Here only the routes of the page are
allowed. A signed cookie binds uploads, results and sessions to a client. Gradio receives neither the client's files nor
its headers, only keys checked by :class:`~restorebox.web.storage.FileStore` and a session id that is unique per client.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, BinaryIO

from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, StreamingResponse

from restorebox.errors import ConfigError
from restorebox.restorers.strength import checked_strength
from restorebox.web.exchange import Exchange, Message, Receive, RequestRefused, Send, Upload
from restorebox.web.hosts import HostNames
from restorebox.web.request_checks import CONCURRENT, Uploads, check_body, check_head, check_length, check_origin
from restorebox.web.storage import MAX_UPLOADS, FileStore, StoredFile, safe_name

if TYPE_CHECKING:
    from restorebox.web.service import Limits

JOIN_BYTES = 16 * 2**10  # maximum length of a restoration request
FORM_BYTES = 16 * 2**10  # maximum length of an upload request in addition to the file
REQUEST_TIMEOUT = 900.0  # seconds, except for long-lived streams
PROGRESS_WAIT = 3.0  # seconds to wait for an upload whose progress is requested but which has not started
MAX_JOINED = 4096  # maximum number of restoration requests whose results have not been fetched
BLOCK = 2**18  # bytes of a file that are sent at once
PREFIX = '/gradio_api'
_SESSION = re.compile(r'[A-Za-z0-9_-]{1,64}')
_KEY = r'[A-Za-z0-9_-]{32}(?:\.[a-z0-9]{2,5})?'
_PART = r'[A-Za-z0-9_@-][A-Za-z0-9_.@-]*'
GONE = 'the picture is no longer available; choose it again'
NOT_FOUND = 'not found'


class Guard:
    """ASGI application in front of Gradio's.

    Args:
        app: Gradio's ASGI application.
        store: files of the clients.
        names: allowed host names.
        limits: see :class:`~restorebox.web.service.Limits`.
        work: index of the only Gradio function that clients may call.
        stopping: set when the server stops; ends responses that wait.
        prefix: path below which the page is served, such as ``/page``; empty for the root.
    """

    def __init__(
        self,
        app: Callable,
        store: FileStore,
        names: HostNames,
        limits: Limits,
        work: int,
        stopping: Event | None = None,
        prefix: str = '',
    ) -> None:
        self.app = app
        self.prefix = prefix
        self.store = store
        self.names = names
        self.work = work
        self.stopping = stopping or Event()
        self.megabytes = limits.megabytes
        self.slots = limits.waiting + CONCURRENT
        self.share = max(2, self.slots // 2)  # slots of a route for one client
        self.cookie = f'restorebox_{names.port}'  # with the port, since browsers send cookies to all ports of a host
        self._active: dict[str, Counter[str]] = {}  # route -> client -> number of active requests
        self._uploads = Uploads(self.slots)
        self._joined: Counter[str] = Counter()  # page -> restoration requests whose results have not been fetched
        self._streaming: set[str] = set()  # pages that are fetching results
        short, long = REQUEST_TIMEOUT, None
        self.routes: list[tuple[str, re.Pattern[str], Callable[..., Awaitable[None]], float | None]] = [
            ('GET HEAD', re.compile('/'), self._page, short),
            ('GET', re.compile(rf'/config|{PREFIX}/app_id'), self._page, short),
            ('GET', re.compile(rf'/(?:assets|static|svelte)(?:/{_PART})+'), self._static, short),
            ('GET', re.compile(r'/(?:favicon\.ico|manifest\.json|theme\.css|robots\.txt)'), self._static, short),
            ('POST', re.compile(rf'{PREFIX}/upload'), self._upload, short),
            ('GET', re.compile(rf'{PREFIX}/upload_progress'), self._progress, short),
            ('POST', re.compile(rf'{PREFIX}/queue/join'), self._join, short),
            ('GET', re.compile(rf'{PREFIX}/queue/data'), self._data, long),
            ('POST', re.compile(rf'{PREFIX}/cancel'), self._cancel, short),
            ('GET', re.compile(rf'{PREFIX}/file=({_KEY})'), self._file, short),
            ('GET', re.compile(rf'{PREFIX}/heartbeat/({_SESSION.pattern})'), self._heartbeat, long),
        ]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            await self.app(scope, receive, send)
            return
        if scope['type'] != 'http':
            raise RuntimeError(f'{scope["type"]}: not served')
        path = scope['raw_path'].removeprefix(self.prefix.encode())
        below = {**scope, 'path': scope['path'].removeprefix(self.prefix), 'raw_path': path}
        exchange = Exchange(below, receive, send, self.stopping)
        try:
            await self._serve(exchange)
        except RequestRefused as error:
            await exchange.refuse(error)
        except TimeoutError:
            await exchange.refuse(RequestRefused(408, 'it took too long'))
        except ClientDisconnect:
            pass

    async def _serve(self, exchange: Exchange) -> None:
        check_head(exchange)
        check_origin(exchange, self.names, page=exchange.scope['path'] == '/')
        method, path = exchange.scope['method'], exchange.scope['raw_path'].decode('latin-1')
        found = [(each, match) for each in self.routes if (match := each[1].fullmatch(path))]
        if not found:
            raise RequestRefused(404, NOT_FOUND)
        (methods, _, serve, longest), match = found[0]
        if method not in methods.split():
            raise RequestRefused(405, 'this page takes no such request there')
        check_body(exchange)
        exchange.owner = self._owner(exchange)
        await asyncio.wait_for(serve(exchange, *match.groups()), longest)

    def _owner(self, exchange: Exchange) -> str | None:
        """Return the client's id, or None without a valid cookie."""
        for each in ';'.join(exchange.headers('cookie')).split(';'):
            name, _, value = each.strip().partition('=')
            if name == self.cookie and re.fullmatch(r'[A-Za-z0-9_.-]+', value) and (owner := self.store.owner(value)):
                return owner
        return None

    def _ensure_cookie(self, exchange: Exchange) -> None:
        """Issue a cookie to a new client."""
        if exchange.owner is None:
            token = self.store.token()
            secure = '; Secure' if exchange.scheme == 'https' else ''
            exchange.cookie = f'{self.cookie}={token}; Path=/; HttpOnly; SameSite=Lax{secure}'
            exchange.owner = self.store.owner(token)

    def _require_owner(self, exchange: Exchange) -> str:
        """Return the client's id.

        Raises:
            RequestRefused: no valid cookie.
        """
        if exchange.owner is None:
            raise RequestRefused(403, 'the session cookie is missing or invalid; reload the page, with cookies allowed')
        return exchange.owner

    @asynccontextmanager
    async def _slot(self, exchange: Exchange, route: str) -> AsyncIterator[None]:
        """Occupy one of the request slots of a route.

        Raises:
            RequestRefused: all slots, or those of this client, are in use.
        """
        taken, owner = self._active.setdefault(route, Counter()), exchange.owner or ''
        if taken.total() >= self.slots or (owner and taken[owner] >= self.share):
            raise RequestRefused(503, 'too many requests; try again in a moment')
        taken[owner] += 1
        exchange.admit()
        try:
            yield
        finally:
            taken[owner] -= 1
            if not taken[owner]:
                del taken[owner]

    async def _forward(self, exchange: Exchange, query: str = '', body: bytes = b'', path: str | None = None) -> int:
        """Forward a request to Gradio with few of its headers; returns the status of the response."""
        headers = [
            (each.encode(), exchange.header(each).encode('latin-1')) for each in ('host', 'accept', 'accept-encoding')
        ]
        if body:
            headers += [(b'content-type', b'application/json'), (b'content-length', str(len(body)).encode())]
        path = self.prefix + (path or exchange.scope['path'])
        changed = {'path': path, 'raw_path': path.encode(), 'query_string': query.encode(), 'scheme': exchange.scheme}
        return await exchange.forward(self.app, {**exchange.scope, **changed, 'headers': headers}, body)

    async def _page(self, exchange: Exchange) -> None:
        self._ensure_cookie(exchange)
        async with self._slot(exchange, 'front'):
            await self._forward(exchange)

    async def _static(self, exchange: Exchange) -> None:
        """Serve Gradio's static files; without a limit, since a page loads dozens at once."""
        exchange.admit()
        await self._forward(exchange)

    async def _heartbeat(self, exchange: Exchange, session: str) -> None:
        """Keep a stream open while the page is open; Gradio removes the page's files when it ends."""
        page = self.store.page(self._require_owner(exchange), session)
        async with self._slot(exchange, 'heartbeat'):
            await self._forward(exchange, path=f'{PREFIX}/heartbeat/{page}')

    async def _upload(self, exchange: Exchange) -> None:
        self._ensure_cookie(exchange)
        limit = self.megabytes * 2**20 + FORM_BYTES
        check_length(exchange, limit, self.megabytes)
        await self._uploads.abort_slow()
        upload = Upload(exchange, limit)
        async with self._slot(exchange, 'upload'):
            with self._uploads.receiving(upload):
                keys = await self._store(upload)
        await exchange.respond(JSONResponse(keys))

    async def _store(self, upload: Upload) -> list[str]:
        """Store the files of an upload; returns their keys.

        Raises:
            RequestRefused: the body is not a form with files, one is empty, they are too large, or the disk is full.
        """
        scope = {'type': 'http', 'method': 'POST', 'headers': upload.exchange.scope['headers']}
        owner = self._require_owner(upload.exchange)
        form = RequestRefused(400, f'an upload must be a form with 1 to {MAX_UPLOADS} files in the field `files`')
        try:
            async with Request(scope, upload.receive).form(
                max_files=MAX_UPLOADS, max_fields=4, max_part_size=1024
            ) as fields:
                files = [each for each in fields.getlist('files') if not isinstance(each, str)]
                if not files or len(files) < len(fields.getlist('files')):
                    raise form
                named = [(each, safe_name(each.filename or '') or 'picture') for each in files]
                for file, name in named:
                    if not file.size:
                        raise RequestRefused(400, f'{name}: is empty (0 bytes)')
                    if file.size > self.megabytes * 2**20:
                        raise RequestRefused(413, f'{name}: this server takes files up to {self.megabytes} MiB')
                return [await asyncio.to_thread(self._write, file.file, owner, name) for file, name in named]
        except (MultiPartException, KeyError, ValueError):
            raise form from None

    def _write(self, file: BinaryIO, owner: str, name: str) -> str:
        key, path = self.store.new_path(name)
        try:
            with open(path, 'xb') as out:
                shutil.copyfileobj(file, out, 2**18)
        except OSError:
            path.unlink(missing_ok=True)
            raise RequestRefused(507, f"{name}: the server can't store it") from None
        return self.store.add(owner, '', key, name, upload=True).key

    async def _progress(self, exchange: Exchange) -> None:
        """Send the progress of an upload as events."""
        owner, number, reported = self._require_owner(exchange), exchange.query('upload_id'), 0
        end = time.monotonic() + PROGRESS_WAIT
        async with self._slot(exchange, 'progress'):
            while not self.stopping.is_set():
                upload = next((u for u in self._uploads.active if (u.owner, u.number) == (owner, number)), None)
                if upload is None and (reported or time.monotonic() > end):
                    break
                if upload is not None and upload.got > reported:
                    more, reported = upload.got - reported, upload.got
                    await exchange.event({'msg': 'update', 'orig_name': '', 'chunk_size': more})
                await asyncio.sleep(0.1)
            await exchange.event({'msg': 'done'}, last=True)

    async def _join(self, exchange: Exchange) -> None:
        """Check a restoration request, look up its files, and forward their keys to Gradio."""
        owner = self._require_owner(exchange)
        sources, reference, strength, model, session = self._parse_join(await exchange.body(JOIN_BYTES))
        page, status, taken = self.store.page(owner, session), 0, []
        async with self._slot(exchange, 'join'):
            try:
                for key in (*sources, *filter(None, [reference])):
                    taken.append(self._take(owner, page, key))
                # keys in the last input, which Gradio passes on unchanged; it would open files of the first two
                claims = [(each.key, each.claim) for each in taken]
                wanted = {
                    'sources': claims[: len(sources)],
                    'reference': claims[len(sources) :],
                    'strength': strength,
                    'model': model,
                }
                body = {'data': [None, None, None, wanted], 'fn_index': self.work, 'session_hash': page}
                status = await self._forward(exchange, body=json.dumps(body).encode())
            finally:
                if status == 200:
                    self._joined[page] += 1
                    # the restoration may have ended by now, and its pictures are kept for another model
                    self.store.drop_uploads(page, {each.key for each in taken})
                else:
                    for each in taken:
                        self.store.release(each, each.claim)
        while len(self._joined) > MAX_JOINED:
            del self._joined[next(iter(self._joined))]

    def _take(self, owner: str, page: str, key: str) -> StoredFile:
        stored = self.store.claim(owner, page, key)
        if stored is None:
            raise RequestRefused(410, GONE)
        return stored

    def _parse_join(self, body: bytes) -> tuple[list[str], str | None, float, str, str]:
        """Parse a restoration request.

        Returns:
            Keys of the pictures, key of the clean picture, strength, model, session.

        Raises:
            RequestRefused: it is malformed, or its files are not keys of uploads.
        """
        try:
            asked = json.loads(body, parse_constant=_no_constant)
            number, session, data = asked['fn_index'], asked['session_hash'], asked['data']
            sources, reference, strength, model = data
            strength = checked_strength(strength)
            keys = [each['path'] for each in sources or []]
            clean = None if reference is None else reference['path']
            texts = [session, model, *keys, *filter(lambda key: key is not None, [clean])]
            if not (isinstance(data, list) and all(isinstance(text, str) for text in texts) and len(model) <= 200):
                raise ValueError
        except (ValueError, TypeError, KeyError, RecursionError, ConfigError):
            raise RequestRefused(400, 'the restoration request is malformed') from None
        if type(number) is not int or number != self.work:
            raise RequestRefused(404, 'this page has no such function')
        if not _SESSION.fullmatch(session):
            raise RequestRefused(400, 'the session name is invalid')
        if not all(re.fullmatch(_KEY, key) for key in texts[2:]):
            raise RequestRefused(403, 'only uploaded files can be restored')
        if len(keys) > MAX_UPLOADS:
            raise RequestRefused(413, f'at most {MAX_UPLOADS} files at once')
        return keys, clean, strength, model, session

    async def _data(self, exchange: Exchange) -> None:
        """Stream the status of a page's restoration requests until they are done."""
        session = exchange.query('session_hash')
        page = self.store.page(self._require_owner(exchange), session)
        if not self._joined[page]:
            del self._joined[page]
            raise RequestRefused(404, 'nothing of this page is being restored')
        if page in self._streaming:
            raise RequestRefused(409, 'this page is already fetching its results')
        async with self._slot(exchange, 'data'):
            joined = self._joined[page]
            self._streaming.add(page)
            try:
                await self._forward(exchange, query=f'session_hash={page}')
            finally:
                self._streaming.discard(page)
                if self._joined[page] == joined:
                    del self._joined[page]

    async def _cancel(self, exchange: Exchange) -> None:
        """End what a page has asked for: at its next step, or when its turn comes."""
        owner = self._require_owner(exchange)
        try:
            asked = json.loads(await exchange.body(JOIN_BYTES), parse_constant=_no_constant)
            if not _SESSION.fullmatch(asked['session_hash']):
                raise ValueError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise RequestRefused(400, 'the request to cancel is malformed') from None
        # not by Gradio, which would mark the request as completed, and its page shows that as an error at times
        self.store.cancel_page(self.store.page(owner, asked['session_hash']))
        await exchange.respond(JSONResponse({'success': True}))

    async def _file(self, exchange: Exchange, key: str) -> None:
        """Serve a client's own file: inline if the page displays it, otherwise as a download."""
        stored = self.store.find(exchange.owner, key) if exchange.owner else None
        if stored is None:
            raise RequestRefused(404, NOT_FOUND)
        async with self._slot(exchange, 'file'):
            try:
                opened = stored.open()
            except OSError:
                raise RequestRefused(404, NOT_FOUND) from None
            with opened as file:
                described = FileResponse(
                    stored.path,
                    stat_result=os.fstat(file.fileno()),
                    media_type=stored.media or 'application/octet-stream',
                    filename=stored.name,
                    content_disposition_type='inline' if stored.media else 'attachment',
                )
                headers = {**described.headers, 'Content-Security-Policy': "default-src 'none'; sandbox"}
                del headers['accept-ranges']  # they are not looked at, nor are conditions
                # opened before the first byte is sent, since the store may delete the file at any time
                await exchange.respond(StreamingResponse(iter(partial(file.read, BLOCK), b''), headers=headers))


def _no_constant(_: str) -> None:
    raise ValueError  # NaN and Infinity are not JSON
