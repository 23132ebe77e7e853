"""Who sends hostile requests, and with what."""

import os
import socket
import struct
import zlib

from tests.web.visitor import WAIT, Visitor, png


class Attack:
    """State of hostile requests: an attacker, another user with upload and result, and a forbidden path."""

    def __init__(self, address, home):
        self.address, self.home = address, home
        self.port = int(address.rsplit(':', 1)[1])
        self.attacker, self.victim = Visitor(address, 'attacker'), Visitor(address, 'victim')
        self.result = self.victim.restored(png(seed=7))
        self.upload = self.victim.upload(png(seed=8)).json()[0]
        self.trap = socket.socket()
        self.trap.bind(('127.0.0.1', 0))
        self.trap.listen()
        self.trap.setblocking(False)
        self.url = f'http://127.0.0.1:{self.trap.getsockname()[1]}/a.png'
        self.secret = home / 'secret.png'
        self.secret.write_bytes(png(seed=9))
        os.mkfifo(home / 'pipe')

    def asked_elsewhere(self):
        try:
            self.trap.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def path(self, path, status=403, **changes):
        """A request to restore something else than an upload of one's own."""
        answer = self.attacker.join(path, **changes)
        assert answer.status_code == status, answer.text
        assert not self.asked_elsewhere()
        self.clean(answer)

    def get(self, path, status, **options):
        answer = self.attacker.web.get(path, **options)
        assert answer.status_code == status, answer.text[:200]
        self.clean(answer)
        return answer

    def post(self, path, status, **options):
        answer = self.attacker.web.post(path, **options)
        assert answer.status_code == status, answer.text[:200]
        self.clean(answer)
        return answer

    def clean(self, answer):
        assert str(self.home) not in answer.text
        assert 'Traceback' not in answer.text

    def raw(self, data, expected):
        """Send bytes; returns the answer, whose status has to be one of those expected (0: none at all)."""
        got = send_raw(self.port, data, expected)
        assert str(self.home).encode() not in got
        return got

    def request(self, line, *headers, body=b'', expected):
        named = [f'Host: 127.0.0.1:{self.port}', 'Connection: close', *headers]
        return self.raw('\r\n'.join([line, *named, '', '']).encode('latin-1') + body, expected)


def send_raw(port, data, expected):
    """Send bytes; returns the answer, whose status has to be one of those expected (0: none at all)."""
    with socket.create_connection(('127.0.0.1', port), WAIT) as wire:
        got = b''
        try:
            wire.sendall(data)
            while part := wire.recv(65536):
                got += part
        except OSError:  # the server has ended the connection
            pass
    assert (int(got.split()[1]) if got else 0) in expected, got[:300]
    return got


def form(parts):
    """A multipart body and its type."""
    body = b''.join(b'--x\r\n' + head + b'\r\n\r\n' + data + b'\r\n' for head, data in parts) + b'--x--\r\n'
    return {'content': body, 'headers': {'Content-Type': 'multipart/form-data; boundary=x'}}


def part(name=b'a.png', extra=b''):
    return b'Content-Disposition: form-data; name="files"; filename="' + name + b'"' + extra


def bomb(side=30000):
    """Return a PNG whose header claims ``side`` by ``side`` pixels."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    head = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(10**6))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def paths(attack, *more):
    for each in more:
        attack.path(each)
