"""The page, by Gradio, and its server: everything from this process, nothing from elsewhere.

Gradio hands pictures between browser and server through files. They lie in a folder of this process that only its user
may read: an upload until it has been read, the file to download until its page is closed, what the page shows for
``KEPT`` seconds, and nothing after the server has stopped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from restorebox.errors import ConfigError, RestoreboxError, missing_package
from restorebox.web.desk import PROTOCOLS, Desk

if TYPE_CHECKING:
    import gradio

KEPT = 600  # seconds
FONTS = ['system-ui', 'sans-serif']
CSS = """
.gradio-container { max-width: 1200px !important; width: 100%; margin: 0 auto !important }
#desk { flex-wrap: wrap }
#desk > .column { min-width: min(320px, 100%) !important }
#said p { color: var(--body-text-color-subdued); margin: 0 }
footer { display: none !important }
"""
# whatever a library's page would fetch from elsewhere, the browser refuses
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "frame-ancestors 'none'"
)


def build_page(desk: Desk, folder: Path) -> gradio.Blocks:
    """The page.

    Args:
        desk: does the work.
        folder: for what is read and made.

    Raises:
        MissingPackageError: Gradio is not installed.
    """
    gr = _gradio()

    def visit(request: gr.Request) -> Path:
        # the browser names its session, so the name can't be trusted to be that of a folder
        return folder / hashlib.sha256(str(request.session_hash).encode()).hexdigest()

    def leave(request: gr.Request) -> None:
        shutil.rmtree(visit(request), ignore_errors=True)

    def work(
        source: str | None,
        reference: str | None,
        model: str,
        request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008 (its way)
    ) -> tuple:
        if source is None:
            raise gr.Error('Choose a picture first.', print_exception=False)
        name = Path(source).name

        def told(done: int, total: int) -> None:
            progress((done, total), desc='restoring')

        try:
            picture = desk.read(Path(source), name)
            clean = None if reference is None else desk.read(Path(reference), Path(reference).name)
            visit(request).mkdir(exist_ok=True)
            place = Path(tempfile.mkdtemp(dir=visit(request)))
            answer = desk.restore(picture, name, place, model, clean, told)
        except RestoreboxError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from None
        except MemoryError:
            raise gr.Error(f'{name}: the memory is not enough for it', print_exception=False) from None
        except OSError as error:  # its own words would name folders of the server
            raise gr.Error(f"{name}: the server can't keep it: {error.strerror}", print_exception=False) from None
        finally:
            for path in (source, reference):
                if path is not None:
                    Path(path).unlink(missing_ok=True)
        scores = [list(row) for row in answer.scores]
        return (
            gr.update(value=(answer.before, answer.after), visible=True),
            gr.update(value=str(answer.file), visible=True),
            answer.said,
            gr.update(value=[(layer, title) for title, layer in answer.layers], visible=bool(answer.layers)),
            gr.update(value=scores, visible=bool(scores)),
            None,
            None,
        )

    for each in (leave, work):  # Gradio finds the request by its type, and the name `gr` is not known at module level
        each.__annotations__['request'] = gr.Request

    with gr.Blocks(title='restorebox', analytics_enabled=False) as page:
        gr.Markdown(
            '# restorebox\nDrop a damaged picture of any size and look at it restored. Pictures go to the machine that '
            'serves this page and nowhere else; nothing is kept there.'
        )
        with gr.Row(elem_id='desk'):
            with gr.Column(scale=1, min_width=320):
                source = gr.File(label='Picture', elem_id='source', height=140)
                model = gr.Dropdown(list(desk.models), value=next(iter(desk.models)), label='Model', elem_id='model')
                with gr.Accordion('With the clean picture: scores', open=False):
                    reference = gr.File(label='Clean picture, of the same size', elem_id='reference', height=140)
                go = gr.Button('Restore', variant='primary', elem_id='go')
            with gr.Column(scale=3, min_width=320):
                slider = gr.ImageSlider(
                    label='Before and after',
                    elem_id='slider',
                    interactive=False,
                    format='png',  # its default loses detail, which is what people come to compare
                    buttons=['fullscreen'],
                    max_height=720,
                )
                said = gr.Markdown(elem_id='said')
                file = gr.DownloadButton('Download the restored picture', visible=False, elem_id='download')
                scores = gr.Dataframe(
                    headers=['', *PROTOCOLS], visible=False, interactive=False, label='Scores', elem_id='scores'
                )
                layers = gr.Gallery(label='What the method estimates besides', visible=False, elem_id='layers')
        go.click(
            work,
            [source, reference, model],
            [slider, file, said, layers, scores, source, reference],
            show_progress_on=[slider],
            api_visibility='private',
        )
        page.unload(leave)
    page.queue(max_size=desk.limits.waiting, default_concurrency_limit=1)
    return page


def _gradio() -> Any:
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'  # read when it is imported: it would ask its makers for news
    try:
        import gradio
    except ImportError as error:
        raise missing_package('restorebox web', 'web', error) from None
    return gradio


def sweep(folder: Path, kept: float = KEPT) -> None:
    """Remove files that have lain there for longer, in seconds, and folders that hold nothing."""
    for path in sorted(folder.rglob('*'), reverse=True):  # what a folder holds comes before it
        try:
            if path.stat().st_mtime < time.time() - kept:
                path.rmdir() if path.is_dir() else path.unlink()
        except OSError:  # gone already, or not empty
            continue


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user may read, for all that Gradio puts down: swept while it is there, then removed."""
    folder = Path(tempfile.mkdtemp(prefix='restorebox-web-'))
    before = os.environ.get('GRADIO_TEMP_DIR')
    os.environ['GRADIO_TEMP_DIR'] = str(folder)
    ended = Event()

    def sweeping() -> None:
        while not ended.wait(KEPT / 10):
            sweep(folder)

    Thread(target=sweeping, daemon=True).start()
    try:
        yield folder
    finally:
        ended.set()
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop('GRADIO_TEMP_DIR')
        if before is not None:
            os.environ['GRADIO_TEMP_DIR'] = before


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


def serve(desk: Desk, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted.

    Args:
        desk: does the work.
        host: name or address to listen at.
        port: 0 for any that is free.
        ready: called with the page's address once visitors may come.

    Raises:
        ConfigError, MissingPackageError: see :func:`bind` and :func:`build_page`.
    """
    gr = _gradio()
    import uvicorn
    from fastapi import FastAPI, Request, Response

    with bind(host, port) as bound, private_folder() as folder:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

        @app.middleware('http')
        async def guard(request: Request, follow: Callable) -> Response:
            response = await follow(request)
            response.headers['Content-Security-Policy'] = POLICY
            response.headers['Cache-Control'] = response.headers.get('Cache-Control', 'no-store')
            return response

        gr.mount_gradio_app(
            app,
            build_page(desk, folder),
            path='/',
            footer_links=[],
            run_history=False,
            max_file_size=f'{desk.limits.megabytes}mb',
            theme=gr.themes.Default(font=FONTS, font_mono=['monospace']),
            css=CSS,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
        )
        shown = f'[{host}]' if ':' in host else host
        address = f'http://{shown}:{bound.getsockname()[1]}'

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready(address)

        # signals that would end the process before the folder is removed; the server hands its own on when it has ended
        for name in ('SIGTERM', 'SIGHUP'):
            if hasattr(signal, name):  # a closed terminal is not known to Windows
                signal.signal(getattr(signal, name), lambda *_: sys.exit(0))
        # an open page holds a connection for as long as it is open
        Server(uvicorn.Config(app, log_level='warning', timeout_graceful_shutdown=3)).run(sockets=[bound])
