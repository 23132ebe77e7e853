"""The page, by Gradio: what it looks like, and what happens when its button is pressed.

Gradio's own ways with files are not used: it is handed keys, which :class:`~restorebox.web.visits.Visits` looks up, and
hands on addresses of files that :class:`~restorebox.web.guard.Guard` serves to their owner alone.
"""

from __future__ import annotations

import html
import logging
import os
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from restorebox.errors import NonFiniteError, PictureError, RestoreboxError, missing_package
from restorebox.web.desk import PROTOCOLS, Answer, Desk
from restorebox.web.guard import GONE, PREFIX
from restorebox.web.visits import Kept, Visits

if TYPE_CHECKING:
    import gradio

SESSIONS = 64  # of which Gradio remembers what their pages look like
CSS = """
.gradio-container { max-width: 1200px !important; width: 100%; margin: 0 auto !important }
#desk { flex-wrap: wrap }
#desk > .column { min-width: min(320px, 100%) !important }
#said p { color: var(--body-text-color-subdued); margin: 0 }
footer { display: none !important }
"""
_FOLDERS = re.compile(r'(?:\b[A-Za-z]:)?[/\\](?:[^\s/\\:]+[/\\])+')


def build_page(desk: Desk, visits: Visits, ending: Event | None = None) -> gradio.Blocks:
    """The page.

    Args:
        desk: does the work.
        visits: the files of visitors.
        ending: when it is set, work in progress is given up.

    Raises:
        MissingPackageError: Gradio is not installed.
    """
    gr = import_gradio()
    # Gradio calls from any of many threads, and what each of them has had from the C library it keeps
    thread = ThreadPoolExecutor(1, 'restoring')

    def failed(text: str) -> Exception:
        text = html.escape(text, quote=False)  # the page takes it for HTML
        return gr.Error(text, duration=None, print_exception=False)

    def leave(request: gr.Request) -> None:
        visits.leave(str(request.session_hash))

    def work(
        _source: None,
        _reference: None,
        wanted: dict[str, str | None],
        request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008 (its way)
    ) -> tuple:
        page, model = str(request.session_hash), wanted['model']
        if wanted['source'] is None:
            raise failed('Choose a picture first.')
        files = [visits.taken(page, key) for key in (wanted['source'], wanted['reference']) if key is not None]
        if None in files:
            raise failed(GONE)

        def told(done: int, total: int) -> None:
            if ending is not None and ending.is_set():
                raise PictureError('the server is ending')
            progress((done, total), desc='restoring')

        name = files[0].name
        place = Path(tempfile.mkdtemp(dir=visits.folder))

        def restore() -> tuple:
            pictures = [desk.read(each.path, each.name) for each in files]
            answer = desk.restore(
                pictures[0], f'picture{Path(name).suffix}', place, model, *(pictures[1:] or [None]), told
            )
            visits.renew(page)  # a page shows the last picture alone
            made = _Made(visits, files[0], f'{str(request.request.base_url).rstrip("/")}{PREFIX}/file=')
            return _updates(gr, answer, made)

        try:
            return thread.submit(copy_context().run, restore).result()
        except (PictureError, NonFiniteError) as error:
            raise failed(public(str(error), name, place)) from None
        except RestoreboxError as error:  # about the server's own files, which are nobody's business
            logging.getLogger(__name__).error('%s', error)
            raise failed(f"{name}: the server can't restore by {model} now; its log says why") from None
        except MemoryError:
            raise failed(f'{name}: the memory is not enough for it') from None
        except OSError as error:  # its own words would name folders of the server
            raise failed(f"{name}: the server can't keep it: {error.strerror}") from None
        except Exception:
            logging.getLogger(__name__).exception('a picture was not restored')
            raise failed(f'{name}: not restored, by a mistake of the server') from None
        finally:
            visits.drop(*files)
            shutil.rmtree(place, ignore_errors=True)

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
            preprocess=False,
            postprocess=False,
        )
        page.unload(leave)
    page.state_session_capacity = SESSIONS
    page.queue(max_size=desk.limits.waiting, default_concurrency_limit=1)
    return page


class _Made:
    """Files that are made for a visitor's page, as Gradio's page takes them.

    Args:
        visits: where they are entered.
        source: what they are made of.
        address: that a key is put behind.
    """

    def __init__(self, visits: Visits, source: Kept, address: str) -> None:
        self.visits, self.source, self.address = visits, source, address

    def _entered(self, key: str, name: str, shown: bool) -> dict[str, Any]:
        kept = self.visits.add(self.source.owner, self.source.page, key, name, shown=shown)
        # without `meta`, by which Gradio would know a file that it copies into its own folder
        return {'path': key, 'url': self.address + key, 'orig_name': name, 'size': kept.size, 'is_stream': False}

    def shown(self, picture: np.ndarray) -> dict[str, Any]:
        """A picture to look at, ``(H, W, 3)`` uint8; nothing of it is lost, which is what people come to compare."""
        key, path = self.visits.place('shown.png')
        Image.fromarray(picture).save(path, 'PNG', compress_level=2)
        return self._entered(key, 'shown.png', shown=True)

    def saved(self, file: Path) -> dict[str, Any]:
        """The file to download."""
        name = f'{Path(self.source.name).stem}_restored{file.suffix}'
        key, path = self.visits.place(name)
        os.replace(file, path)
        return self._entered(key, name, shown=False)


def _updates(gr: Any, answer: Answer, made: _Made) -> tuple:
    """What the page's parts show."""
    layers = [{'image': made.shown(layer), 'caption': title} for title, layer in answer.layers]
    scores = {'headers': ['', *PROTOCOLS], 'data': [list(row) for row in answer.scores], 'metadata': None}
    return (
        gr.update(value=[made.shown(answer.before), made.shown(answer.after)], visible=True),
        gr.update(value=made.saved(answer.file), visible=True),
        answer.said,
        gr.update(value=layers, visible=bool(layers)),
        gr.update(value=scores, visible=bool(answer.scores)),
        None,
        None,
    )


def public(message: str, name: str, folder: Path) -> str:
    """A message about the visitor's picture ``name``, without folders of the server; ``folder`` is for what is made."""
    said = _FOLDERS.sub('', re.sub(rf'{re.escape(str(folder))}[/\\][^\s:]+', lambda _: name, message))
    return said if said.startswith(name) else f'{name}: {said}'


def import_gradio() -> Any:
    """Gradio, which asks nobody for news.

    Raises:
        MissingPackageError: it is not installed.
    """
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'  # read when it is imported: it would ask its makers for news
    try:
        import gradio
    except ImportError as error:
        raise missing_package('restorebox web', 'web', error) from None
    return gradio
