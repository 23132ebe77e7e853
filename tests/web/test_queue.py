"""The queue of the page, without a browser."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from restorebox.errors import CheckpointError, NonFiniteError, PictureError
from restorebox.web import Limits
from restorebox.web.guard import Guard
from restorebox.web.storage import FileStore

gradio = pytest.importorskip('gradio', reason='Gradio is not installed')


def client_of(service, folder, store=FileStore):
    """A client of the page over a service, behind its guard."""
    from fastapi.testclient import TestClient

    from restorebox.web.hosts import HostNames
    from restorebox.web.server import build_app

    class Local:
        """Has a connection come to an address, as a server does."""

        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app({**scope, 'server': ('127.0.0.1', 80)}, receive, send)

    app = build_app(service, store(folder, 2**30), HostNames('127.0.0.1', 80))
    return TestClient(Local(app), base_url='http://127.0.0.1'), app.work


def join(client, work, visitor):
    path = client.post('/gradio_api/upload', files={'files': ('a.png', b'a picture')}).json()[0]
    asked = {'data': [[{'path': path}], None, 1, 'm'], 'fn_index': work, 'session_hash': visitor}
    return client.post('/gradio_api/queue/join', json=asked)


def test_a_cookie_is_found_among_others_and_a_long_one_takes_no_time():
    """By a regular expression a megabyte would take minutes, in which no other request is answered."""
    guard = SimpleNamespace(cookie='c', store=SimpleNamespace(owner={'a.b-_1': 'x'}.get))
    for lines, owner in (
        (['c=a.b-_1'], 'x'),
        (['a=1;c=a.b-_1 ; b', 'd=2'], 'x'),
        (['a=1', 'c=no; c=a.b-_1'], 'x'),
        (['c=a.b-_1!'], None),
        (['xc=a.b-_1'], None),
        ([], None),
        (['a' * 3_000_000], None),
    ):
        assert Guard._owner(guard, SimpleNamespace(headers=lambda name, found=lines: found)) == owner


def test_a_visitor_beyond_the_queue_is_refused(tmp_path):
    go, began = threading.Event(), threading.Event()

    def read(path, name):
        began.set()
        go.wait(60)
        raise PictureError('as slow as a large picture')

    client, work = client_of(SimpleNamespace(models={'m': 'm'}, limits=Limits(waiting=1), read=read), tmp_path)
    with client:
        try:
            assert join(client, work, 'first').status_code == 200
            assert began.wait(60), 'the first one is being served'
            assert join(client, work, 'second').status_code == 200
            refused = join(client, work, 'third')
            assert refused.status_code == 503
            assert 'full' in refused.text
        finally:
            go.set()


@pytest.mark.parametrize(
    ('error', 'said'),
    [
        (
            CheckpointError('/home/her/models/m.safetensors: no such file'),
            "a.png: the server can't restore with m now; see its log",
        ),
        (RuntimeError('/home/her/restorebox is broken'), 'a.png: not restored: internal server error'),
        (OSError(28, 'No space left on device', '/home/her/x'), "a.png: the server can't store it: No space left"),
        (PictureError('/home/her/x.png: is damaged'), 'a.png: x.png: is damaged'),
        (PictureError('the network gave NaN'), 'a.png: the network gave NaN'),
        (NonFiniteError('the network gave NaN'), 'a.png: the network gave NaN'),
        (MemoryError(), 'a.png: not enough memory'),
        (PictureError('<b>'), 'a.png: &lt;b&gt;'),
    ],
)
def test_messages_name_nothing_of_the_server(tmp_path, error, said):
    def read(path, name):
        raise error

    client, work = client_of(SimpleNamespace(models={'m': 'm'}, limits=Limits(), read=read), tmp_path)
    with client:
        assert join(client, work, 'a').status_code == 200
        told = client.get('/gradio_api/queue/data?session_hash=a').text
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'a picture']  # kept for another model
    assert said in told
    assert 'her' not in told


def test_a_picture_is_kept_if_its_restoration_ends_before_the_request_is_answered(tmp_path, monkeypatch):
    ended, answer = threading.Event(), Guard._forward

    class Store(FileStore):
        def release(self, stored, claim):
            super().release(stored, claim)
            ended.set()

    async def late(self, *args, **kwargs):
        status = await answer(self, *args, **kwargs)
        while not ended.is_set():
            await asyncio.sleep(0.01)
        return status

    def read(path, name):
        raise PictureError('as fast as a damaged picture')

    monkeypatch.setattr(Guard, '_forward', late)
    client, work = client_of(SimpleNamespace(models={'m': 'm'}, limits=Limits(), read=read), tmp_path, Store)
    with client:
        assert join(client, work, 'a').status_code == 200
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'a picture']


def test_several_files_of_one_upload(tmp_path):
    client, work = client_of(SimpleNamespace(models={'m': 'm'}, limits=Limits(megabytes=1)), tmp_path)
    with client:

        def upload(count, size=9):
            files = [('files', (f'{i}.png', bytes(size))) for i in range(count)]
            return client.post('/gradio_api/upload', files=files)

        keys = upload(8).json()
        assert len(set(keys)) == 8
        assert upload(9).status_code == 400
        assert upload(2, 2**20).status_code == 413  # the limit is for all together
        asked = {'data': [[{'path': keys[0]}] * 9, None, 1, 'm'], 'fn_index': work, 'session_hash': 'a'}
        assert client.post('/gradio_api/queue/join', json=asked).status_code == 413
        asked['data'][0] = [{'path': keys[0]}] * 2
        assert client.post('/gradio_api/queue/join', json=asked).status_code == 410  # one cannot be queued twice
