"""What stands between the network and Gradio: which requests come in, by whose name, how large and how many.

Gradio serves some fifty routes, and takes paths and addresses from whoever asks. Here the few that the page uses are
listed, everything else is refused, and uploads, results and sessions are bound to the visitor they belong to by a
cookie. Gradio sees neither a visitor's files nor his headers: only keys that :class:`~restorebox.web.visits.Visits`
has looked up, and a session's name that no other visitor can have.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import stat
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Event
from typing import TYPE_CHECKING, BinaryIO

from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse

from restorebox.web.exchange import Exchange, Message, Receive, RequestRefused, Send, Upload
from restorebox.web.names import Names
from restorebox.web.visits import Kept, Visits, safe_name

if TYPE_CHECKING:
    from restorebox.web.desk import Limits

AT_ONCE = 4  # requests of one route that are served, besides the --max-waiting that wait
HEAD_BYTES = 16 * 2**10  # of a request's path and headers
JOIN_BYTES = 16 * 2**10  # of a request to restore
FORM_BYTES = 16 * 2**10  # of an upload's request besides the file
LONGEST = 900.0  # seconds that a request may take which is not one of waiting
UNKNOWN = 3.0  # seconds that the progress of an upload is waited for which has not begun, or is over
JOINED = 4096  # requests to restore whose answers nobody has fetched
PREFIX = '/gradio_api'
_SESSION = re.compile(r'[A-Za-z0-9_-]{1,64}')
_KEY = r'[A-Za-z0-9_-]{32}(?:\.[a-z0-9]{2,5})?'
_PART = r'[A-Za-z0-9_@-][A-Za-z0-9_.@-]*'
GONE = 'the picture is no longer here; choose it again'
NOTHING = 'this page has nothing there'


class Guard:
    """An ASGI application in front of Gradio's.

    Args:
        app: Gradio's.
        visits: the files.
        names: under which the page is served.
        limits: see :class:`~restorebox.web.desk.Limits`.
        work: the number of the one function that visitors may call.
        ending: when it is set, answers that wait for something end.
    """

    def __init__(
        self, app: Callable, visits: Visits, names: Names, limits: Limits, work: int, ending: Event | None = None
    ) -> None:
        self.app = app
        self.visits = visits
        self.names = names
        self.work = work
        self.ending = ending or Event()
        self.megabytes = limits.megabytes
        self.places = limits.waiting + AT_ONCE
        self.share = max(2, self.places // 2)  # of a route's places, for one visitor
        self.cookie = f'restorebox_{names.port}'  # a browser sends a cookie to all ports of a machine
        self._taken: dict[str, Counter] = {}  # route -> visitor -> requests that are served
        self._uploads: set[Upload] = set()
        self._joined: Counter = Counter()  # page -> requests to restore whose answers have not been fetched
        self._told: set[str] = set()  # pages that are fetching answers
        short, long = LONGEST, None
        self.routes = [
            ('GET HEAD', re.compile('/'), self._front, short),
            ('GET', re.compile(rf'/config|{PREFIX}/app_id'), self._front, short),
            ('GET', re.compile(rf'/(?:assets|static|svelte)(?:/{_PART})+'), self._static, short),
            ('GET', re.compile(r'/(?:favicon\.ico|manifest\.json|theme\.css|robots\.txt)'), self._static, short),
            ('POST', re.compile(rf'{PREFIX}/upload'), self._upload, short),
            ('GET', re.compile(rf'{PREFIX}/upload_progress'), self._progress, short),
            ('POST', re.compile(rf'{PREFIX}/queue/join'), self._join, short),
            ('GET', re.compile(rf'{PREFIX}/queue/data'), self._data, long),
            ('GET', re.compile(rf'{PREFIX}/file=({_KEY})'), self._file, short),
            ('GET', re.compile(rf'{PREFIX}/heartbeat/({_SESSION.pattern})'), self._heartbeat, long),
        ]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            await self.app(scope, receive, send)
            return
        if scope['type'] != 'http':
            raise RuntimeError(f'{scope["type"]}: not served')
        ask = Exchange(scope, receive, send, self.ending)
        try:
            await self._serve(ask)
        except RequestRefused as error:
            await ask.refuse(error)
        except TimeoutError:
            await ask.refuse(RequestRefused(408, 'it took too long'))
        except ClientDisconnect:
            pass

    async def _serve(self, ask: Exchange) -> None:
        scope = ask.scope
        if sum(map(len, (scope['raw_path'], scope['query_string'], *sum(scope['headers'], ())))) > HEAD_BYTES:
            raise RequestRefused(431, 'the headers are too long')
        self._check_sender(ask)
        method, path = ask.scope['method'], ask.scope['raw_path'].decode('latin-1')
        found = [(each, match) for each in self.routes if (match := each[1].fullmatch(path))]
        if not found:
            raise RequestRefused(404, NOTHING)
        (methods, _, serve, longest), match = found[0]
        if method not in methods.split():
            raise RequestRefused(405, 'this page takes no such request there')
        if method != 'POST' and (ask.header('content-length').strip('0') or ask.header('transfer-encoding')):
            raise RequestRefused(400, f'a {method} request has no body')
        if method == 'POST' and ask.header('content-encoding'):
            raise RequestRefused(415, 'this page takes no compressed requests')
        ask.owner = self._owner(ask)
        await asyncio.wait_for(serve(ask, *match.groups()), longest)

    def _check_sender(self, ask: Exchange) -> None:
        """By which name it was asked for, and from whose page.

        Raises:
            RequestRefused: by a name that is not ours, or from another site's page.
        """
        hosts, local = ask.headers('host'), str((ask.scope.get('server') or ('',))[0])
        if len(hosts) != 1 or not self.names.serves(hosts[0], local):
            raise RequestRefused(421, 'this page is not served under that name; restorebox web --allow-host adds one')
        foreign = RequestRefused(403, 'another site may not use this page')
        for origin in ask.headers('origin'):
            scheme, _, name = origin.lower().partition('://')
            default = {'http': ':80', 'https': ':443'}.get(scheme)
            if default is None or name.removesuffix(default) != hosts[0].lower().removesuffix(default):
                raise foreign
        link = ask.scope['method'] == 'GET' and ask.scope['path'] == '/' and ask.header('sec-fetch-mode') == 'navigate'
        if not link and any(each not in ('same-origin', 'none') for each in ask.headers('sec-fetch-site')):
            raise foreign

    def _owner(self, ask: Exchange) -> str | None:
        """The visitor, or None for one who has no cookie of ours."""
        for name, value in re.findall(r'([^=;\s]+)=([A-Za-z0-9_.-]+)', '; '.join(ask.headers('cookie'))):
            if name == self.cookie and (owner := self.visits.owner(value)):
                return owner
        return None

    def _greet(self, ask: Exchange) -> None:
        """A visitor who is new gets a cookie."""
        if ask.owner is None:
            token = self.visits.token()
            secure = '; Secure' if ask.scheme == 'https' else ''
            ask.cookie = f'{self.cookie}={token}; Path=/; HttpOnly; SameSite=Lax{secure}'
            ask.owner = self.visits.owner(token)

    def _known(self, ask: Exchange) -> str:
        """The visitor.

        Raises:
            RequestRefused: he has no cookie of ours.
        """
        if ask.owner is None:
            raise RequestRefused(403, 'this page does not know you; load it again, with cookies allowed')
        return ask.owner

    @asynccontextmanager
    async def _place(self, ask: Exchange, route: str) -> AsyncIterator[None]:
        """A place among those that are served or wait on a route.

        Raises:
            RequestRefused: all are taken, or this visitor has his share of them.
        """
        taken, owner = self._taken.setdefault(route, Counter()), ask.owner or ''
        if taken.total() >= self.places or (owner and taken[owner] >= self.share):
            raise RequestRefused(503, 'too many visitors at once; try again in a moment')
        taken[owner] += 1
        ask.admit()
        try:
            yield
        finally:
            taken[owner] -= 1
            if not taken[owner]:
                del taken[owner]

    async def _gradio(self, ask: Exchange, query: str = '', body: bytes = b'', path: str | None = None) -> int:
        """Have Gradio answer, which gets few of the visitor's headers; returns the status of its answer."""
        headers = [
            (each.encode(), ask.header(each).encode('latin-1')) for each in ('host', 'accept', 'accept-encoding')
        ]
        if body:
            headers += [(b'content-type', b'application/json'), (b'content-length', str(len(body)).encode())]
        path = path or ask.scope['path']
        changed = {'path': path, 'raw_path': path.encode(), 'query_string': query.encode(), 'scheme': ask.scheme}
        return await ask.hand_on(self.app, {**ask.scope, **changed, 'headers': headers}, body)

    async def _front(self, ask: Exchange) -> None:
        self._greet(ask)
        async with self._place(ask, 'front'):
            await self._gradio(ask)

    async def _static(self, ask: Exchange) -> None:
        """Files of Gradio's that are the same for all: a page loads dozens at once, so none is refused."""
        ask.admit()
        await self._gradio(ask)

    async def _heartbeat(self, ask: Exchange, session: str) -> None:
        """Open for as long as a page is; when it ends, what belongs to the page goes."""
        page = self.visits.page(self._known(ask), session)
        async with self._place(ask, 'heartbeat'):
            await self._gradio(ask, path=f'{PREFIX}/heartbeat/{page}')

    async def _upload(self, ask: Exchange) -> None:
        self._greet(ask)
        limit = self.megabytes * 2**20 + FORM_BYTES
        if len(length := ask.header('content-length')) > 18 or int(length or 0) > limit:
            raise RequestRefused(413, f'this page takes files up to {self.megabytes} MiB')
        await self._make_way()
        upload = Upload(ask, limit)
        async with self._place(ask, 'upload'):
            self._uploads.add(upload)
            try:
                key = await self._store(upload)
            finally:
                self._uploads.discard(upload)
        await ask.respond(JSONResponse([key]))

    async def _make_way(self) -> None:
        """Where all places for uploads are taken, the slowest gives way, if it is slow."""
        for _ in range(20):
            slow = [each for each in self._uploads if each.slow]
            if len(self._uploads) < self.places or not slow:
                return
            min(slow, key=lambda each: each.pace).ended = True
            await asyncio.sleep(0.1)

    async def _store(self, upload: Upload) -> str:
        """Write an upload to its place; returns its key.

        Raises:
            RequestRefused: it is no form with one file, too large, or the disk is full.
        """
        scope = {'type': 'http', 'method': 'POST', 'headers': upload.exchange.scope['headers']}
        form = RequestRefused(400, 'an upload is a form with one file, called files')
        try:
            async with Request(scope, upload.receive).form(max_files=1, max_fields=4, max_part_size=1024) as fields:
                files = fields.getlist('files')
                if len(files) != 1 or isinstance(files[0], str):
                    raise form
                file = files[0]
                name = safe_name(file.filename or '') or 'picture'
                if not file.size:
                    raise RequestRefused(400, f'{name}: is empty (0 bytes)')
                if file.size > self.megabytes * 2**20:
                    raise RequestRefused(413, f'{name}: this page takes files up to {self.megabytes} MiB')
                return await asyncio.to_thread(self._write, file.file, upload.owner, name)
        except (MultiPartException, KeyError, ValueError):
            raise form from None

    def _write(self, file: BinaryIO, owner: str, name: str) -> str:
        key, path = self.visits.place(name)
        try:
            with open(path, 'xb') as out:
                shutil.copyfileobj(file, out, 2**18)
        except OSError:
            path.unlink(missing_ok=True)
            raise RequestRefused(507, f"{name}: the server can't keep it") from None
        return self.visits.add(owner, '', key, name, upload=True).key

    async def _progress(self, ask: Exchange) -> None:
        """Tells a page how far its upload is."""
        owner, number, told = self._known(ask), ask.query('upload_id'), 0
        end = time.monotonic() + UNKNOWN
        async with self._place(ask, 'progress'):
            while not self.ending.is_set():
                upload = next((u for u in self._uploads if (u.owner, u.number) == (owner, number)), None)
                if upload is None and (told or time.monotonic() > end):
                    break
                if upload is not None and upload.got > told:
                    more, told = upload.got - told, upload.got
                    await ask.event({'msg': 'update', 'orig_name': '', 'chunk_size': more})
                await asyncio.sleep(0.1)
            await ask.event({'msg': 'done'}, last=True)

    async def _join(self, ask: Exchange) -> None:
        """A request to restore: its form is checked, its files are looked up, and Gradio gets their keys."""
        owner = self._known(ask)
        source, reference, model, session = self._wanted(await ask.body(JOIN_BYTES))
        page, status, taken = self.visits.page(owner, session), 0, []
        async with self._place(ask, 'join'):
            try:
                for key in filter(None, (source, reference)):
                    taken.append(self._take(owner, page, key))
                # Gradio gets no files, which it would look for on the disk, and hands the last on as it is
                wanted = {'source': source, 'reference': reference, 'model': model}
                body = {'data': [None, None, wanted], 'fn_index': self.work, 'session_hash': page}
                status = await self._gradio(ask, body=json.dumps(body).encode())
            finally:
                if status == 200:
                    self._joined[page] += 1
                else:
                    for each in taken:
                        self.visits.give_back(each)
        while len(self._joined) > JOINED:
            del self._joined[next(iter(self._joined))]

    def _take(self, owner: str, page: str, key: str) -> Kept:
        kept = self.visits.take(owner, page, key)
        if kept is None:
            raise RequestRefused(410, GONE)
        return kept

    def _wanted(self, body: bytes) -> tuple[str | None, str | None, str, str]:
        """What a request to restore says: keys of the picture and of the clean one, model, session.

        Raises:
            RequestRefused: it has another form, or names something that was not uploaded here.
        """
        try:
            asked = json.loads(body, parse_constant=_no_constant)
            number, session, data = asked['fn_index'], asked['session_hash'], asked['data']
            source, reference, model = data
            keys = [None if each is None else each['path'] for each in (source, reference)]
            texts = [session, model, *(key for key in keys if key is not None)]
            if not (isinstance(data, list) and all(isinstance(text, str) for text in texts) and len(model) <= 200):
                raise ValueError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise RequestRefused(400, 'a request to restore has another form') from None
        if type(number) is not int or number != self.work:
            raise RequestRefused(404, 'this page has no such function')
        if not _SESSION.fullmatch(session):
            raise RequestRefused(400, 'a session has another name')
        if not all(key is None or re.fullmatch(_KEY, key) for key in keys):
            raise RequestRefused(403, 'this page restores what was uploaded to it, and nothing else')
        return keys[0], keys[1], model, session

    async def _data(self, ask: Exchange) -> None:
        """How a page's requests to restore fare, until they are done."""
        session = ask.query('session_hash')
        page = self.visits.page(self._known(ask), session)
        if not self._joined[page]:
            del self._joined[page]
            raise RequestRefused(404, 'nothing of this page is being restored')
        if page in self._told:
            raise RequestRefused(409, 'this page is being told already')
        async with self._place(ask, 'data'):
            joined = self._joined[page]
            self._told.add(page)
            try:
                await self._gradio(ask, query=f'session_hash={page}')
            finally:
                self._told.discard(page)
                if self._joined[page] == joined:
                    del self._joined[page]

    async def _file(self, ask: Exchange, key: str) -> None:
        """A visitor's own file: pictures that the page shows, the rest to be saved."""
        kept = self.visits.find(ask.owner, key) if ask.owner else None
        try:
            state = kept and kept.path.lstat()
        except OSError:
            state = None
        if state is None or not stat.S_ISREG(state.st_mode):
            raise RequestRefused(404, NOTHING)
        async with self._place(ask, 'file'):
            response = FileResponse(
                kept.path,
                stat_result=state,
                media_type='image/png' if kept.shown else 'application/octet-stream',
                filename=kept.name,
                content_disposition_type='inline' if kept.shown else 'attachment',
            )
            response.headers['Content-Security-Policy'] = "default-src 'none'; sandbox"
            ask.scope['headers'] = []  # neither ranges nor conditions
            await ask.respond(response)


def _no_constant(_: str) -> None:
    raise ValueError  # NaN and Infinity are no JSON
