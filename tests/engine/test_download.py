"""A download comes to an end, whatever the server does, and leaves a whole file or none."""

import contextlib
import hashlib
import http.server
import threading

import pytest

from restorebox.engine import download as downloads
from restorebox.engine.download import download
from restorebox.errors import CheckpointError

pytestmark = pytest.mark.slow

DATA = bytes(range(256)) * 400


@pytest.fixture
def server():
    """Answer each path according to its name; 'held' paths wait until the end of the test."""
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):  # who asked may have given up
                getattr(self, self.path.strip('/'))()

        def log_message(self, *args):
            pass

        def head(self, **headers):
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name.replace('_', '-'), str(value))
            self.end_headers()

        def good(self):
            self.head(Content_Length=len(DATA))
            self.wfile.write(DATA)

        def stalled(self):
            over.wait()

        def stalled_later(self):
            self.head(Content_Length=len(DATA))
            self.wfile.write(DATA[:100])
            over.wait()

        def trickle(self):
            self.head(Content_Length=len(DATA))
            while not over.wait(0.01):
                self.wfile.write(b'x')

        def cut(self):
            self.head(Content_Length=len(DATA))
            self.wfile.write(DATA[:-1])

        def endless(self):
            self.head()
            while not over.is_set():
                self.wfile.write(DATA)

        def huge(self):
            self.head(Content_Length=2**50)
            over.wait()

        def to_file(self):
            self.to('file:///etc/passwd')

        def to_ftp(self):
            self.to('ftp://127.0.0.1/x')

        def to_good(self):
            self.to('/good')

        def to_itself(self):
            self.to('/to_itself')

        def to(self, place):
            self.send_response(302)
            self.send_header('Location', place)
            self.end_headers()

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}'
        over.set()
        running.shutdown()


@pytest.mark.parametrize('name', ['good', 'to_good'])
def test_a_whole_file_is_there(server, tmp_path, name):
    download(f'{server}/{name}', tmp_path / 'a' / 'file', hashlib.sha256(DATA).hexdigest()[:8])
    assert (tmp_path / 'a' / 'file').read_bytes() == DATA
    assert [path.name for path in (tmp_path / 'a').iterdir()] == ['file']


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('stalled', 'only 0 bytes arrived in 1 seconds'),
        ('stalled_later', 'only 100 bytes arrived in 1 seconds'),
        ('trickle', r'only \d+ bytes arrived in 1 seconds'),
        ('cut', f'incomplete: {len(DATA) - 1} of {len(DATA)} bytes'),
        ('endless', r'more than 0\.000\d+ GiB; download it yourself'),
        ('huge', r'more than 0\.000\d+ GiB; download it yourself'),
        ('to_file', 'HTTPError: 302'),
        ('to_ftp', 'unknown url type'),
        ('to_itself', 'infinite loop'),
    ],
)
def test_no_server_holds_it(server, tmp_path, monkeypatch, name, message):
    if name in ('stalled', 'stalled_later', 'trickle'):
        monkeypatch.setattr(downloads, 'STALLED', 1.0)
    monkeypatch.setattr(downloads, 'MAX_BYTES', 2**30 // 1000)
    with pytest.raises(CheckpointError, match=f"/{name} can't be downloaded: .*{message}"):
        download(f'{server}/{name}', tmp_path / 'file')
    assert not list(tmp_path.iterdir())


def test_another_file_or_address_is_refused(server, tmp_path):
    with pytest.raises(CheckpointError, match=r'its sha256 is .*, expected 0000'):
        download(f'{server}/good', tmp_path / 'file', '0000')
    for address in ('file:///etc/hostname', 'http://[bad', 'ftp://127.0.0.1/x', 'data:,x'):
        with pytest.raises(CheckpointError, match="can't be downloaded"):
            download(address, tmp_path / 'file')
    (tmp_path / 'taken').write_bytes(b'')
    with pytest.raises(CheckpointError, match=r"can't be downloaded: .*taken/file: "):
        download(f'{server}/good', tmp_path / 'taken' / 'file')
    assert [path.name for path in tmp_path.iterdir()] == ['taken']


def test_a_long_download_is_reported(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(downloads, 'REPORT_INTERVAL', 0.0)
    monkeypatch.setattr(downloads, 'STALLED', 2.0)
    with pytest.raises(CheckpointError):
        download(f'{server}/stalled', tmp_path / 'file')
    assert capsys.readouterr().err.splitlines()[0] == f'{server}/stalled: 0.0 MiB'
