"""Gradio page: layout, and the function behind the button.

Gradio's file handling is not used. Inputs are keys of :class:`~restorebox.web.storage.FileStore`; outputs are URLs that
:class:`~restorebox.web.guard.Guard` serves to their owner only.
"""

from __future__ import annotations

import html
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from restorebox.errors import PictureError, missing_package
from restorebox.restorers.strength import MAX_STRENGTH
from restorebox.web.failures import explain
from restorebox.web.guard import GONE, PREFIX
from restorebox.web.service import PROTOCOLS, RestorationResult, RestorationService
from restorebox.web.storage import FileStore, StoredFile

if TYPE_CHECKING:
    import gradio

SESSIONS = 64  # number of sessions whose state Gradio keeps
CSS = """
.gradio-container { max-width: 1200px !important; width: 100%; margin: 0 auto !important }
#panels { flex-wrap: wrap }
#panels > .column { min-width: min(320px, 100%) !important }
#summary p { color: var(--body-text-color-subdued); margin: 0 }
footer { display: none !important }
"""


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
        _source: None,
        _reference: None,
        _strength: None,
        wanted: dict[str, Any],
        request: gradio.Request,
        progress: Any = gr.Progress(),  # noqa: B008 (Gradio's convention)
    ) -> tuple:
        page, model = str(request.session_hash), wanted['model']
        if wanted['source'] is None:
            raise failed('Choose a picture first.')
        keys = [key for key in (wanted['source'], wanted['reference']) if key is not None]
        files = [stored for key in keys if (stored := store.claimed(page, key)) is not None]
        if len(files) < len(keys):
            raise failed(GONE)

        def report(done: int, total: int) -> None:
            if stopping is not None and stopping.is_set():
                raise PictureError('the server is shutting down')
            progress((done, total), desc='restoring')

        name = files[0].name
        folder = Path(tempfile.mkdtemp(dir=store.folder))

        def restore() -> tuple:
            pictures = [service.read(each.path, each.name) for each in files]
            reference = pictures[1] if len(pictures) > 1 else None
            named = f'picture{Path(name).suffix}'
            result = service.restore(pictures[0], named, folder, model, reference, report, wanted['strength'])
            store.drop_results(page)
            assert request.request is not None  # the call came by HTTP
            origin = f'{request.request.url.scheme}://{request.request.url.netloc}'
            outputs = _OutputFiles(store, files[0], f'{origin}{prefix}{PREFIX}/file=')
            return _updates(gr, result, outputs)

        try:
            return thread.submit(copy_context().run, restore).result()
        except Exception as error:
            raise failed(explain(error, name, model, folder).message) from None
        finally:
            store.remove(*files)
            shutil.rmtree(folder, ignore_errors=True)

    for each in (leave, work):  # Gradio finds the argument by its type, and can't resolve the local name `gr`
        each.__annotations__['request'] = gr.Request

    with gr.Blocks(title='restorebox', analytics_enabled=False) as page:
        gr.Markdown(
            '# restorebox\nUpload a degraded picture of any size to restore it. Pictures are sent to the machine that '
            'serves this page only, and are not kept there.'
        )
        with gr.Row(elem_id='panels'):
            with gr.Column(scale=1, min_width=320):
                source = gr.File(label='Picture', elem_id='source', height=140)
                model = gr.Dropdown(
                    list(service.models), value=next(iter(service.models)), label='Model', elem_id='model'
                )
                strength = gr.Slider(
                    0, MAX_STRENGTH, 1, step=0.05, label='Strength: 0 input, 1 restored', elem_id='strength'
                )
                with gr.Accordion('Scores, with the clean picture', open=False):
                    reference = gr.File(label='Clean picture, of the same size', elem_id='reference', height=140)
                go = gr.Button('Restore', variant='primary', elem_id='go')
            with gr.Column(scale=3, min_width=320):
                slider = gr.ImageSlider(
                    label='Before and after',
                    elem_id='slider',
                    interactive=False,
                    buttons=['fullscreen'],
                    max_height=720,
                )
                summary = gr.Markdown(elem_id='summary')
                file = gr.DownloadButton('Download the restored picture', visible=False, elem_id='download')
                scores = gr.Dataframe(
                    headers=['', *PROTOCOLS], visible=False, interactive=False, label='Scores', elem_id='scores'
                )
                layers = gr.Gallery(label='Further layers that the method estimates', visible=False, elem_id='layers')
        go.click(
            work,
            [source, reference, strength, model],
            [slider, file, summary, layers, scores, source, reference],
            show_progress_on=[slider],
            api_visibility='private',
            preprocess=False,
            postprocess=False,
        )
        page.unload(leave)
    page.state_session_capacity = SESSIONS
    page.queue(max_size=service.limits.waiting, default_concurrency_limit=1)
    return page


class _OutputFiles:
    """Output files in Gradio's format.

    Args:
        store: storage of the files.
        source: the upload that was restored.
        address: URL prefix of keys.
    """

    def __init__(self, store: FileStore, source: StoredFile, address: str) -> None:
        self.store, self.source, self.address = store, source, address

    def _register(self, key: str, name: str, displayed: bool) -> dict[str, Any]:
        stored = self.store.add(self.source.owner, self.source.page, key, name, displayed=displayed)
        # without the key `meta`: Gradio would copy the file into its own folder
        return {'path': key, 'url': self.address + key, 'orig_name': name, 'size': stored.size, 'is_stream': False}

    def display(self, picture: np.ndarray) -> dict[str, Any]:
        """Store a preview, ``(H, W, 3)`` uint8, as PNG: lossless, so that details can be compared."""
        key, path = self.store.new_path('shown.png')
        Image.fromarray(picture).save(path, 'PNG', compress_level=2)
        return self._register(key, 'shown.png', displayed=True)

    def download(self, file: Path) -> dict[str, Any]:
        """Store the file to download."""
        name = f'{Path(self.source.name).stem}_restored{file.suffix}'
        key, path = self.store.new_path(name)
        os.replace(file, path)
        return self._register(key, name, displayed=False)


def _updates(gr: Any, result: RestorationResult, outputs: _OutputFiles) -> tuple:
    """Return the new values of the page's components."""
    layers = [{'image': outputs.display(layer), 'caption': title} for title, layer in result.layers]
    scores = {'headers': ['', *PROTOCOLS], 'data': [list(row) for row in result.scores], 'metadata': None}
    return (
        gr.update(value=[outputs.display(result.before), outputs.display(result.after)], visible=True),
        gr.update(value=outputs.download(result.file), visible=True),
        result.summary,
        gr.update(value=layers, visible=bool(layers)),
        gr.update(value=scores, visible=bool(result.scores)),
        None,
        None,
    )


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
