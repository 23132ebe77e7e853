"""HTTP service of ``restorebox serve``: restoration of a picture in one request, or as a job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path as FilePath
from threading import Event
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from restorebox.datasets.formats import sniff
from restorebox.datasets.reading import read_head
from restorebox.errors import printable
from restorebox.restorers.strength import MAX_STRENGTH
from restorebox.version import __version__
from restorebox.web.api_page import render
from restorebox.web.exchange import RETRY_AFTER, Exchange, RequestRefused, Upload
from restorebox.web.jobs import Job, Jobs
from restorebox.web.metrics import Metrics
from restorebox.web.negotiation import MEDIA_TYPES, accepted, choose
from restorebox.web.receiving import FORM_BYTES, receive_picture
from restorebox.web.request_checks import Uploads, check_length
from restorebox.web.restorations import Restoration, Restorations
from restorebox.web.service import Limits

BLOCK = 2**18  # bytes read at once from a result
_PICTURE = {media: {'schema': {'type': 'string', 'format': 'binary'}} for media in MEDIA_TYPES.values()}
_FORM = {'type': 'object', 'required': ['file'], 'properties': {'file': {'type': 'string', 'format': 'binary'}}}
_BODY = {
    'requestBody': {
        'required': True,
        'description': 'The picture, as the body or as the field `file` of a form.',
        'content': {'application/octet-stream': {}, 'image/*': {}, 'multipart/form-data': {'schema': _FORM}},
    }
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {'description': 'The body is empty or no form with one file'},
    406: {'description': 'Accept allows no format, or one that cannot hold the picture'},
    413: {'description': 'The file or the picture exceeds the limits of the server'},
    415: {'description': 'The body is of another type, or compressed'},
    422: {'description': 'A parameter is invalid, or the picture cannot be read or restored'},
    503: {'description': 'All places are taken, or the memory is not enough; try again after Retry-After seconds'},
    504: {'description': 'The time limit has passed; use a job'},
}
Model = Annotated[str | None, Query(description='A name of /v1/models; the first by default', max_length=200)]
Strength = Annotated[
    float,
    Query(ge=0, le=MAX_STRENGTH, allow_inf_nan=False, description='0 returns the input, 1 the restored picture'),
]
Key = Annotated[str, Path(pattern=r'^[A-Za-z0-9_-]{32}$')]


class Api:
    """State of the service and its request handlers.

    Args:
        restorations: queue.
        jobs: jobs, which use the same queue.
        metrics: counters.
        limits: see :class:`~restorebox.web.service.Limits`.
        places: maximum number of requests and jobs in progress.
        stopping: set when the server stops.
    """

    def __init__(
        self, restorations: Restorations, jobs: Jobs, metrics: Metrics, limits: Limits, places: int, stopping: Event
    ) -> None:
        self.restorations, self.jobs, self.metrics, self.limits = restorations, jobs, metrics, limits
        self.stopping = stopping
        self.places = places
        self.taken = 0
        self.uploads = Uploads(places)
        self.models = list(restorations.service.models)

    async def receive(self, request: Request, model: str | None, strength: float) -> Restoration:
        """Receive a picture; the place taken is given back by :meth:`release`.

        Raises:
            RequestRefused: see ``_ERRORS``.
        """
        qualities = accepted(','.join(request.headers.getlist('accept')))
        if model is not None and model not in self.models:
            raise RequestRefused(422, f'this server has no model {model!r}; /v1/models lists them')
        exchange: Exchange = request.scope['state']['exchange']
        limit = self.limits.megabytes * 2**20 + FORM_BYTES
        check_length(exchange, limit, self.limits.megabytes)
        await self.uploads.abort_slow()
        if self.taken >= self.places:
            raise RequestRefused(503, 'too many requests; try again in a moment')
        self.taken += 1
        try:
            exchange.admit()
            upload = Upload(exchange, limit)
            with self.uploads.receiving(upload):
                path, name = await receive_picture(upload, self.restorations.folder, self.limits.megabytes)
            head = await asyncio.to_thread(read_head, path)
            kind = choose(qualities, sniff(head))
        except BaseException:
            self.release()
            raise
        return Restoration(path, printable(name), kind, model or self.models[0], strength)

    def release(self, _: object = None) -> None:
        """Give a place back."""
        self.taken -= 1

    async def restore(self, request: Request, model: str | None, strength: float) -> Response:
        """Restore a picture within the request."""
        end = time.monotonic() + self.limits.seconds
        restoration = None
        try:
            async with asyncio.timeout(self.limits.seconds):
                restoration = await self.receive(request, model, strength)
        except TimeoutError:
            raise RequestRefused(504, 'the upload took longer than the time limit') from None
        gone: asyncio.Future | None = None
        try:
            await asyncio.to_thread(self.restorations.add, restoration)
            result = asyncio.wrap_future(restoration.result)
            gone = asyncio.ensure_future(request.receive())  # returns when the client has closed the connection
            left = max(0.0, end - time.monotonic())
            done, _ = await asyncio.wait({result, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if result in done:
                file, notes = result.result()
                return self.picture(request, file, notes, restoration.model, MEDIA_TYPES[restoration.kind], last=True)
            result.add_done_callback(_ignore)
            if gone in done:
                raise ClientDisconnect
            raise RequestRefused(504, f'not restored within {self.limits.seconds} seconds; use /v1/jobs')
        except BaseException:
            self.restorations.cancel(restoration)
            raise
        finally:
            self.release()
            if gone is not None:
                gone.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await gone

    async def start_job(self, request: Request, model: str | None, strength: float) -> Response:
        """Queue a picture as a job."""
        if self.stopping.is_set():
            raise RequestRefused(503, 'the server is shutting down')
        restoration = await self.receive(request, model, strength)
        try:
            job = await asyncio.to_thread(self.jobs.add, restoration)
        except BaseException:
            self.release()
            restoration.source.unlink(missing_ok=True)
            raise
        loop = asyncio.get_running_loop()
        restoration.result.add_done_callback(lambda _: loop.call_soon_threadsafe(self.release))
        url = f'/v1/jobs/{restoration.key}'
        return JSONResponse(self.describe(job), 202, headers={'Location': url})

    def describe(self, job: Job) -> dict[str, Any]:
        """Return the state of a job."""
        done, total = job.restoration.progress
        url = f'/v1/jobs/{job.restoration.key}'
        return {
            'job': job.restoration.key,
            'status': job.status,
            'done': done,
            'total': total,
            'error': None if job.error is None else job.error.message,
            'url': url,
            'picture': f'{url}/picture' if job.status == 'done' else None,
        }

    def job_picture(self, request: Request, key: str) -> Response:
        """Return the result of a job."""
        job = self.jobs.find(key)
        if job.error is not None:
            raise job.error
        if job.file is None:
            raise RequestRefused(409, f'the job is {job.status}; its picture is there when it is done')
        media = MEDIA_TYPES[job.restoration.kind]
        return self.picture(request, job.file, job.notes, job.restoration.model, media, last=False)

    def picture(
        self, request: Request, file: FilePath, notes: list[str], model: str, media: str, last: bool
    ) -> Response:
        """Return a result file as the response; ``last``: remove it."""
        try:
            opened = open(file, 'rb')  # noqa: SIM115 (closed at the end of the request)
        except FileNotFoundError:
            raise RequestRefused(404, 'the result is no longer there') from None
        request.scope['state']['cleanup'].append(opened.close)
        size = file.stat().st_size
        if last:
            request.scope['state']['cleanup'].append(lambda: file.unlink(missing_ok=True))

        def blocks() -> Iterator[bytes]:
            while block := opened.read(BLOCK):
                yield block

        headers = {'Content-Length': str(size), 'Restorebox-Model': _header(model), 'Vary': 'Accept'}
        if notes:
            headers['Restorebox-Notes'] = _header('; '.join(notes))[:1000]
        return StreamingResponse(blocks(), media_type=media, headers=headers)


def _header(text: str) -> str:
    """Return text as a header value: printable ASCII, other characters escaped."""
    return printable(text).encode('ascii', 'backslashreplace').decode()


def _ignore(future: asyncio.Future) -> None:
    """Mark the exception of a cancelled restoration as seen."""
    if not future.cancelled():
        future.exception()


def build_api(api: Api, page: str | None) -> FastAPI:
    """Return the application with the routes of the service.

    Args:
        api: handlers.
        page: path of the web page, if it is served; ``/`` leads there.
    """
    app = FastAPI(
        title='restorebox',
        version=__version__,
        summary='Restoration of images degraded by rain, haze, noise, blur and compression.',
        docs_url=None,  # it would load scripts of other hosts
        redoc_url=None,
        redirect_slashes=False,
    )

    @app.exception_handler(RequestRefused)
    async def refused(_: Request, error: RequestRefused) -> Response:
        headers = {'Retry-After': RETRY_AFTER} if error.status == 503 else {}
        if error.status in (408, 413, 415, 503):  # the body may not have been read
            headers['Connection'] = 'close'
        return JSONResponse({'detail': error.message}, error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        found = error.errors()[0]
        where = '.'.join(str(each) for each in found['loc'][1:])
        return JSONResponse({'detail': printable(f'{where}: {found["msg"]}')[:300]}, 422, {'Connection': 'close'})

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        return JSONResponse({'detail': error.detail}, error.status_code, {'Connection': 'close'})

    @app.post(
        '/v1/restore',
        summary='Restore a picture',
        responses={200: {'description': 'The restored picture', 'content': _PICTURE}, **_ERRORS},
        openapi_extra=_BODY,
        response_class=Response,
    )
    async def restore(request: Request, model: Model = None, strength: Strength = 1.0) -> Response:
        """The format is chosen by the header Accept; by default that of the upload if it is PNG, JPEG, WebP or TIFF."""
        return await api.restore(request, model, strength)

    @app.post('/v1/jobs', status_code=202, summary='Restore a picture as a job', responses=_ERRORS, openapi_extra=_BODY)
    async def start(request: Request, model: Model = None, strength: Strength = 1.0) -> Response:
        """For pictures that take longer than the time limit of a request. The response has the URL of the job."""
        return await api.start_job(request, model, strength)

    @app.get('/v1/jobs/{key}', summary='State of a job')
    async def state(key: Key) -> dict[str, Any]:
        """``status`` is waiting, running, done or failed; ``done`` and ``total`` count tiles or steps."""
        return api.describe(api.jobs.find(key))

    @app.get(
        '/v1/jobs/{key}/picture',
        summary='Result of a job',
        responses={200: {'description': 'The restored picture', 'content': _PICTURE}, 409: {'description': 'Not done'}},
        response_class=Response,
    )
    async def picture(request: Request, key: Key) -> Response:
        """The result is kept for ten minutes, and less if the storage limit is reached."""
        return api.job_picture(request, key)

    @app.delete('/v1/jobs/{key}', status_code=204, summary='Cancel a job and remove its result')
    async def remove(key: Key) -> None:
        """A running job stops after the current tile or step."""
        api.jobs.remove(api.jobs.find(key))

    @app.get('/v1/models', summary='Models')
    async def models() -> dict[str, list[str]]:
        """Names for the parameter ``model``, the default first."""
        return {'models': api.models}

    @app.get('/health', summary='Health', responses={503: {'description': 'The server is not able to restore'}})
    async def health() -> JSONResponse:
        """200 while pictures are accepted."""
        alive = api.restorations.alive and not api.stopping.is_set()
        return JSONResponse({'status': 'ok' if alive else 'stopping', 'version': __version__}, 200 if alive else 503)

    @app.get('/metrics', summary='Measurements for Prometheus', response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Text format of Prometheus."""
        return Response(api.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get('/docs', include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(render(app.openapi()))

    @app.get('/', include_in_schema=False)
    async def root() -> Response:
        return Response(status_code=307, headers={'Location': f'{page}/' if page else '/docs'})

    if page is not None:
        app.get(page, include_in_schema=False)(root)
    return app
