"""A server in its own process, and clients that send the requests of the page in a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tests.factories import publish_small
from tests.processes import environment

WAIT = 600  # seconds for what may take long on a busy machine
API = '/gradio_api'


@contextmanager
def serving(folder: Path, *options: object, command: str = 'web'):
    """(server, address, the folder that it keeps its files in)."""
    model = folder / 'published.safetensors'
    model = model if model.exists() else publish_small(folder)
    home = folder / 'tmp'
    home.mkdir(exist_ok=True)
    with open(folder / 'errors.txt', 'a') as errors:
        server = subprocess.Popen(
            [sys.executable, '-m', 'restorebox', command, '--model', str(model), '--port', '0', '--device', 'cpu']
            + [str(each) for each in options],
            env={**environment(), 'TMPDIR': str(home)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        line = server.stdout.readline()
        found = re.search(r'http://127\.0\.0\.1:\d+', line)
        assert found, line + (folder / 'errors.txt').read_text()
        yield server, found[0], home
    finally:
        server.kill()
        server.wait()


def png(size: tuple[int, int] = (32, 24), seed: int = 0) -> bytes:
    """Noise, of (width, height)."""
    array = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(array).save(file, 'PNG', compress_level=1)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 of a file."""
    return np.asarray(Image.open(BytesIO(data)).convert('RGB'))


class Visitor:
    """One visitor with a browser of his own.

    Args:
        address: of the server.
        session: what his page calls itself.
    """

    def __init__(self, address: str, session: str = 'page') -> None:
        self.session = session
        self.web = httpx.Client(base_url=address, timeout=WAIT)
        assert self.web.get('/').status_code == 200
        config = self.web.get('/config').json()
        self.work = next(each['id'] for each in config['dependencies'] if each['targets'][0][1] == 'click')
        names = next(each for each in config['components'] if each['props'].get('elem_id') == 'model')
        self.model = names['props']['value']

    def upload(self, data: bytes, name: str = 'rain.png') -> httpx.Response:
        return self.web.post(f'{API}/upload', files={'files': (name, data)})

    def body(self, path: object, **changes: object) -> dict:
        """What a page sends to have an upload restored."""
        file = {'path': path, 'meta': {'_type': 'gradio.FileData'}}
        return {'data': [[file], None, 1, self.model], 'fn_index': self.work, 'session_hash': self.session} | changes

    def join(self, path: object, **changes: object) -> httpx.Response:
        return self.web.post(f'{API}/queue/join', json=self.body(path, **changes))

    def told(self) -> dict:
        """The last message about what was asked for; its ``output`` has the result or the error."""
        last = None
        with self.web.stream('GET', f'{API}/queue/data', params={'session_hash': self.session}) as events:
            assert events.status_code == 200, events.read()
            for line in events.iter_lines():
                if line.startswith('data:') and '"process_completed"' in line:
                    last = json.loads(line[5:])
        assert last, 'the stream ended without a result'
        return last

    def restored(self, data: bytes, name: str = 'rain.png') -> dict[str, httpx.Response]:
        """What the page shows and offers of a picture that is restored: before, after, file."""
        path = self.upload(data, name).raise_for_status().json()[0]
        self.join(path).raise_for_status()
        told = self.told()
        assert told['success'], told
        return {what: self.web.get(url).raise_for_status() for what, url in self.urls(told).items()}

    @staticmethod
    def urls(told: dict) -> dict[str, str]:
        """What the first line of the list of results leads to."""
        found = re.search(r'data-before="(.*?)" data-after="(.*?)" .*?href="(.*?)"', told['output']['data'][0])
        return dict(zip(('before', 'after', 'file'), found.groups(), strict=True))

    def refused(self, path: object) -> str:
        """Return the page's message about an upload that can't be restored."""
        self.join(path).raise_for_status()
        told = self.told()
        assert not told['success']
        return told['output']['error']
