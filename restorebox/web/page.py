"""Gradio page: layout, and the function behind the button.

Gradio's file handling is not used. Inputs are keys of :class:`~restorebox.web.storage.FileStore`; outputs are URLs that
:class:`~restorebox.web.guard.Guard` serves to their owner only.
"""

from __future__ import annotations

import html
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from restorebox.errors import PictureError, missing_package
from restorebox.inference.video import is_video
from restorebox.restorers.strength import MAX_STRENGTH
from restorebox.web.failures import explain
from restorebox.web.guard import GONE, PREFIX
from restorebox.web.results import PREVIEW, VIEWER, Row, limits_text, render
from restorebox.web.service import PROTOCOLS, RestorationResult, RestorationService
from restorebox.web.storage import FileStore, StoredFile

if TYPE_CHECKING:
    import gradio

SESSIONS = 64  # number of sessions whose state Gradio keeps


def build_page(
    service: RestorationService, store: FileStore, stopping: Event | None = None, prefix: str = ''
) -> gradio.Blocks:
    """Build the page.

    Args:
        service: restoration service.
        store: files of the clients.
        stopping: set when the server stops; aborts a running restoration.
        prefix: path below which the page is served; empty for the root.

    Raises:
        MissingPackageError: Gradio is not installed.
    """
    gr = import_gradio()
    # one thread for all calls: Gradio uses many, and malloc keeps memory per thread
    thread = ThreadPoolExecutor(1, 'restoring')

    def failed(text: str) -> Exception:
        text = html.escape(text, quote=False)  # Gradio inserts it as HTML
        return gr.Error(text, duration=None, print_exception=False)

    def leave(request: gradio.Request) -> None:
        store.close_page(str(request.session_hash))

    def work(
        _sources: None,
        _reference: None,
        _strength: None,
        wanted: dict[str, Any],
        request: gradio.Request,
        progress: Any = gr.Progress(),  # noqa: B008 (Gradio's convention)
    ) -> tuple:
        page, model = str(request.session_hash), wanted['model']
        keys, clean = wanted['sources'], wanted['reference']
        found = [(store.upload(page, key), claim) for key, claim in (*keys, *clean)]
        claims = [(each, claim) for each, claim in found if each is not None]
        unchanged = tuple(gr.skip() for _ in range(4))  # of the outputs, after a cancelled restoration
        try:
            if not keys:
                raise failed('Choose a picture first.')
            if clean and len(keys) > 1:
                raise failed('Scores need one picture and its clean picture; choose one picture, or none as clean.')
            if len(claims) < len(found):
                raise failed(GONE)
            there = [each for each, _ in claims]
            sources, reference = there[: len(keys)], (there[len(keys)] if clean else None)
            assert request.request is not None  # the call came by HTTP
            origin = f'{request.request.url.scheme}://{request.request.url.netloc}'
            ended = stopping or Event()

            def check() -> None:
                if ended.is_set():
                    raise failed('the server is shutting down')
                if not all(store.is_claimed(*each) for each in claims):
                    raise _CancelledError

            task = _Task(service, store, f'{origin}{prefix}{PREFIX}/file=', model, wanted['strength'], check)
            return thread.submit(copy_context().run, task.run, gr, sources, reference, progress).result()
        except gr.Error:
            raise
        except _CancelledError:
            return unchanged
        except Exception as error:
            raise failed(explain(error, there[0].name, model, store.folder).message) from None
        finally:
            for claim in claims:
                store.release(*claim)  # kept for another model or strength

    for each in (leave, work):  # Gradio finds the argument by its type, and can't resolve the local name `gr`
        each.__annotations__['request'] = gr.Request

    with gr.Blocks(title='restorebox', analytics_enabled=False) as page:
        gr.Markdown(
            '# restorebox\nUpload degraded pictures of any size to restore them. They are sent to the machine that '
            'serves this page only, and are not kept there when the page is closed.'
        )
        with gr.Row(elem_id='panels'):
            with gr.Column(scale=1, min_width=320):
                source = gr.File(label='Pictures', elem_id='source', height=140, file_count='multiple')
                gr.HTML(PREVIEW)
                gr.Markdown(limits_text(service.limits, store.max_uploads), elem_id='limits')
                model = gr.Dropdown(
                    list(service.models), value=next(iter(service.models)), label='Model', elem_id='model'
                )
                strength = gr.Slider(
                    0, MAX_STRENGTH, 1, step=0.05, label='Strength: 0 input, 1 restored', elem_id='strength'
                )
                with gr.Accordion('Scores, with the clean picture', open=False):
                    reference = gr.File(label='Clean picture, of the same size', elem_id='reference', height=140)
                with gr.Row():
                    go = gr.Button('Restore', variant='primary', elem_id='go', min_width=120)
                    cancel = gr.Button('Cancel', elem_id='cancel', min_width=120)
            with gr.Column(scale=3, min_width=320):
                gr.HTML(VIEWER, elem_id='comparison')
                summary = gr.Markdown(elem_id='summary')
                results = gr.HTML(elem_id='results')
                scores = gr.Dataframe(
                    headers=['', *PROTOCOLS], visible=False, interactive=False, label='Scores', elem_id='scores'
                )
                layers = gr.Gallery(label='Further layers that the method estimates', visible=False, elem_id='layers')
        started = go.click(
            work,
            [source, reference, strength, model],
            [results, summary, layers, scores],
            show_progress_on=[results],
            api_visibility='private',
            preprocess=False,
            postprocess=False,
        )
        cancel.click(None, cancels=[started], api_visibility='private')
        source.change(None, [source], js='(files) => window.restoreboxChanged(files)', api_visibility='private')
        page.unload(leave)
    page.state_session_capacity = SESSIONS
    page.queue(max_size=service.limits.waiting, default_concurrency_limit=1)
    return page


class _CancelledError(Exception):
    """The visitor has cancelled the restoration, or has closed its page."""


class _Task:
    """Restoration of the pictures of one request.

    Args:
        service: restoration service.
        store: storage of the files.
        address: URL prefix of keys.
        model: a key of the service's models.
        strength: see :class:`RestorationService`.
        check: raises :class:`_CancelledError`, or Gradio's error if the server stops.
    """

    def __init__(
        self,
        service: RestorationService,
        store: FileStore,
        address: str,
        model: str,
        strength: float,
        check: Callable[[], None],
    ) -> None:
        self.service, self.store, self.address = service, store, address
        self.model, self.strength, self.check = model, strength, check

    def run(self, gr: Any, sources: list[StoredFile], reference: StoredFile | None, progress: Any) -> tuple:
        """Restore pictures one by one; returns the new values of the page's components.

        Raises:
            PictureError: the only picture can't be restored; of several, the list of results says so.
            _CancelledError, gradio.Error: see ``check``.
        """
        shown_before = self.store.results(sources[0].page)
        rows, last = [], None
        for number, source in enumerate(sources, 1):
            self.check()
            which = f'restoring {number} of {len(sources)}' if len(sources) > 1 else 'restoring'
            folder = Path(tempfile.mkdtemp(dir=self.store.folder))
            try:
                report = self._progress(lambda *done, which=which: progress(done, desc=which))
                if is_video(source.name):
                    file, found = self.service.restore_video(
                        source.path, source.name, folder, self.model, report, self.strength
                    )
                    rows.append(Row(source.name, found, file=self._download(source, file, 'video/mp4'), video=True))
                else:
                    last = self._restore(source, reference, folder, report)
                    rows.append(self._row(source, last))
            except (_CancelledError, gr.Error):
                raise
            except Exception as error:
                reason = explain(error, source.name, self.model, folder).message
                if len(sources) == 1:
                    raise PictureError(reason) from None
                rows.append(Row(source.name, reason))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        self.store.remove(*shown_before)  # not earlier: after an error the page still shows them
        restored = sum(bool(row.file) for row in rows)
        text = rows[0].text if len(rows) == 1 else f'{restored} of {len(rows)} pictures restored by {self.model}'
        layers = last.layers if last and len(rows) == 1 else []
        shown = [{'image': self._shown(sources[0], layer), 'caption': title} for title, layer in layers]
        score = {'headers': ['', *PROTOCOLS], 'data': [list(row) for row in last.scores] if last else []}
        return (
            render(rows),
            html.escape(text, quote=False),
            gr.update(value=shown, visible=bool(shown)),
            gr.update(value=score | {'metadata': None}, visible=bool(score['data'])),
        )

    def _progress(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """Return a function that reports progress, and ends the restoration when it is to end."""

        def report(done: int, total: int) -> None:
            self.check()
            progress(done, total)

        return report

    def _restore(
        self, source: StoredFile, reference: StoredFile | None, folder: Path, report: Callable[[int, int], None]
    ) -> RestorationResult:
        read = self.service.read
        picture = read(source.path, source.name)
        clean = None if reference is None else read(reference.path, reference.name)
        named = f'picture{Path(source.name).suffix}'
        return self.service.restore(picture, named, folder, self.model, clean, report, self.strength)

    def _row(self, source: StoredFile, result: RestorationResult) -> Row:
        before, after = (self._shown(source, each)['url'] for each in (result.before, result.after))
        return Row(source.name, result.summary, before, after, self._download(source, result.file), result.scale)

    def _download(self, source: StoredFile, file: Path, media: str = '') -> str:
        """Store a result under the name for its download; returns its URL."""
        name = f'{Path(source.name).stem}_restored{file.suffix}'
        key, path = self.store.new_path(name)
        os.replace(file, path)
        return self._register(source, key, name, media)['url']

    def _shown(self, source: StoredFile, picture: np.ndarray) -> dict[str, Any]:
        """Store a preview, ``(H, W, 3)`` uint8, as PNG: lossless, so that details can be compared."""
        key, path = self.store.new_path('shown.png')
        Image.fromarray(picture).save(path, 'PNG', compress_level=2)
        return self._register(source, key, 'shown.png', 'image/png')

    def _register(self, source: StoredFile, key: str, name: str, media: str) -> dict[str, Any]:
        """Return a file in Gradio's format."""
        stored = self.store.add(source.owner, source.page, key, name, media=media)
        # without the key `meta`: Gradio would copy the file into its own folder
        return {'path': key, 'url': self.address + key, 'orig_name': name, 'size': stored.size, 'is_stream': False}


def import_gradio() -> Any:
    """Import Gradio with analytics disabled.

    Raises:
        MissingPackageError: it is not installed.
    """
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'  # read at import
    try:
        import gradio
    except ImportError as error:
        raise missing_package('restorebox web', 'web', error) from None
    return gradio
