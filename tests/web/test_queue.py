"""The queue of the page, without a browser."""

import io
import threading
from types import SimpleNamespace

import pytest
from PIL import Image

from restorebox.errors import PictureError
from restorebox.web import Limits

gradio = pytest.importorskip('gradio', reason='Gradio is not installed')


def test_a_visitor_beyond_the_queue_is_refused(tmp_path, monkeypatch):
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from restorebox.web.page import build_page

    monkeypatch.setenv('GRADIO_TEMP_DIR', str(tmp_path))
    go, began = threading.Event(), threading.Event()

    def read(path, name):
        began.set()
        go.wait(60)
        raise PictureError('as slow as a large picture')

    page = build_page(SimpleNamespace(models={'m': 'm'}, limits=Limits(waiting=1), read=read), tmp_path)
    work = next(number for number, each in page.fns.items() if each.name == 'work')
    file = io.BytesIO()
    Image.new('RGB', (8, 8)).save(file, 'PNG')
    with TestClient(gradio.mount_gradio_app(FastAPI(), page, path='/')) as client:
        path = client.post('/gradio_api/upload', files={'files': ('a.png', file.getvalue())}).json()[0]

        def join(visitor):
            data = [{'path': path, 'meta': {'_type': 'gradio.FileData'}}, None, 'm']
            asked = {'data': data, 'fn_index': work, 'session_hash': visitor}
            return client.post('/gradio_api/queue/join', json=asked)

        try:
            assert join('first').status_code == 200
            assert began.wait(60), 'the first one is being served'
            assert join('second').status_code == 200
            refused = join('third')
            assert refused.status_code == 503
            assert 'full' in refused.text
        finally:
            go.set()
