"""An S3 server on loopback: moto's, in this process."""

import logging
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from restorebox import storage

SECRET = 'not-a-secret-key'
KEYS = {'AWS_ACCESS_KEY_ID': 'testing-key', 'AWS_SECRET_ACCESS_KEY': SECRET, 'AWS_DEFAULT_REGION': 'us-east-1'}


@dataclass
class S3Server:
    """``bucket`` is empty; ``environment`` is what a process needs to reach the server; ``requests`` counts."""

    url: str
    bucket: str
    files: Any
    environment: dict[str, str]
    requests: Counter[str] = field(default_factory=Counter)


class _Counting(logging.Handler):
    """Counts the requests in the server's log."""

    def __init__(self, counter):
        super().__init__()
        self.counter = counter

    def emit(self, record):
        method, path = re.search(r'"(?:\x1b\[[\d;]*m)*([A-Z]+) (\S+)', record.getMessage()).groups()
        self.counter['LIST' if 'list-type' in path else method] += 1


@pytest.fixture
def s3_server(monkeypatch):
    """Yield a server with an empty bucket; the environment of this process has its URL."""
    pytest.importorskip('moto.server', reason='moto[server] is not installed: pip install restorebox[tests]')
    s3fs = pytest.importorskip('s3fs', reason="s3fs is not installed: pip install 'restorebox[storage]'")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {**KEYS, 'AWS_ENDPOINT_URL': f'http://{host}:{port}'}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    storage.forget()
    files = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    bucket = f'test-{secrets.token_hex(4)}'  # the store is that of the process, not of the server
    files.mkdir(bucket)
    found = S3Server(environment['AWS_ENDPOINT_URL'], bucket, files, environment)
    log, counting = logging.getLogger('werkzeug'), _Counting(found.requests)
    log.addHandler(counting)
    before = log.level
    log.setLevel(logging.INFO)
    yield found
    log.setLevel(before)
    log.removeHandler(counting)
    server.stop()
    storage.forget()
