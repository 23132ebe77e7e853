"""Hostile requests against ``restorebox web`` in a process of its own, while honest visitors are served."""

import signal
import socket
import threading
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('gradio', reason='Gradio is not installed')

import httpx

from restorebox.engine.measuring import resident_size
from tests.web import attacks_on_files as files
from tests.web import attacks_on_http as http
from tests.web.attack import Attack, paths
from tests.web.visitor import API, WAIT, Visitor, pixels, png, serving

pytestmark = pytest.mark.slow

OPTIONS = ('--max-megabytes', 1, '--max-megapixels', 1, '--max-waiting', 4)


HOSTILE = {
    'foreign path': lambda a: paths(a, '/etc/passwd', str(a.secret), '~/.bashrc', 'README.md', 'C:\\Windows\\win.ini'),
    'path of the model': lambda a: a.path(str(a.home.parent / 'published.safetensors')),
    'path beside an upload': lambda a: paths(a, f'{a.upload}/../../secret.png', f'../{a.upload}', f'{a.upload}\0'),
    'the folder of the uploads': lambda a: paths(a, *map(str, [*a.home.glob('restorebox-web-*/files/*')][:3])),
    'device': lambda a: paths(a, '/dev/zero', '/dev/random', '/dev/stdin', '/proc/self/environ', '/dev/fd/0'),
    'pipe': lambda a: a.path(str(a.home / 'pipe')),
    'URL': lambda a: paths(a, a.url, a.url.replace('http', 'https'), 'ftp://127.0.0.1/a.png', '//127.0.0.1/a.png'),
    'file URL and data URL': lambda a: paths(a, f'file://{a.secret}', 'data:image/png;base64,aaaa'),
    'URL beside the path': files.url_beside_the_path,
    "another visitor's upload": lambda a: a.path(a.upload, 410),
    "another visitor's upload as a file": lambda a: a.get(f'{API}/file={a.upload}', 404),
    "another visitor's result": files.another_visitors_result,
    "another visitor's result as an upload": lambda a: a.path(str(a.result['file'].url).rpartition('=')[2], 410),
    "another visitor's session": files.another_visitors_session,
    'upload swapped for a link': files.swapped_for_a_link,
    'upload swapped for a pipe': files.swapped_for_a_pipe,
    'restored twice': files.restored_twice,
    'result that is gone': files.gone_results,
    'foreign Host': lambda a: http.hosts(
        a, f'evil.example:{a.port}', 'evil.example', f'127.0.0.1.evil.example:{a.port}'
    ),
    'Host with another port': lambda a: http.hosts(
        a, 'localhost:1', '127.0.0.1', f'localhost.:{a.port}', f'a@localhost:{a.port}'
    ),
    'Host of another address': lambda a: http.hosts(
        a, f'10.1.2.3:{a.port}', f'[fe80::1]:{a.port}', f'0.0.0.0:{a.port}'
    ),
    'foreign Origin': lambda a: http.origins(
        a, 'http://evil.example', f'http://evil.example:{a.port}', 'https://127.0.0.1'
    ),
    'Origin of another port, null, odd': lambda a: http.origins(
        a, 'http://127.0.0.1:1', 'null', 'file://', f'127.0.0.1:{a.port}'
    ),
    'other site by Sec-Fetch-Site': http.other_sites,
    'preflight': http.preflight,
    'forwarded Host': http.forwarded_host,
    'routes that are not used': http.unused_routes,
    'methods': http.methods,
    'WebSocket': http.websockets,
    'paths written oddly': http.odd_paths,
    'queries': http.queries,
    'HTTP written oddly': http.odd_http,
    'JSON that is deep': lambda a: http.bodies(a, b'[' * 16000, b'{"a":' * 3000),
    'JSON that is none': lambda a: http.bodies(
        a, b'', b'{', b'null', b'[]', b'\xff\xfe', b'{"data": NaN}', b'1' * 9000
    ),
    'values of the wrong kind': http.wrong_values,
    'model of elsewhere': files.no_model,
    'too large': files.too_large,
    'compressed': files.compressed,
    'forms written oddly': http.odd_forms,
    'HTML and SVG': files.html_is_not_shown,
    'file names': files.odd_names,
    'ranges': files.ranges,
    'same names': files.same_names,
    'flood of uploads': files.flood_of_uploads,
    'flood of requests': http.flood_of_requests,
    'flood of requests to restore': http.flood_of_joins,
    'slow headers': http.slow_headers,
    'slow bodies': http.slow_bodies,
}


class Honest(threading.Thread):
    """A visitor who restores one picture after the other, and looks at what he gets."""

    def __init__(self, address, number, done):
        super().__init__(daemon=True)
        self.address, self.number, self.done = address, number, done
        self.served, self.wrong = 0, None

    def run(self):
        try:
            seed = 100 * self.number
            while not self.done.is_set():
                seed += 1
                data, visitor = png((40 + self.number, 30), seed), Visitor(self.address, 'page')  # of the same name
                try:
                    got = visitor.restored(data, 'rain.png')
                except httpx.HTTPStatusError as error:
                    if error.response.status_code != 503:
                        raise
                    continue  # told to try again
                assert np.array_equal(pixels(got['before'].content), pixels(data))
                assert pixels(got['after'].content).shape == pixels(data).shape
                assert 'rain_restored.png' in got['file'].headers['content-disposition']
                self.served += 1
        except Exception as error:
            self.wrong = repr(error)


def test_hostile_requests(tmp_path):
    assert len(HOSTILE) >= 40
    wrong = {}
    with serving(tmp_path, *OPTIONS) as (server, address, home):
        done = threading.Event()
        honest = [Honest(address, number, done) for number in range(3)]
        for each in honest:
            each.start()
        attack = Attack(address, home)
        for name, hostile in HOSTILE.items():
            try:
                hostile(attack)
            except Exception as error:
                wrong[name] = f'{type(error).__name__}: {error}'
            assert server.poll() is None, f'{name} ended the server'
        done.set()
        for each in honest:
            each.join(WAIT)
        assert wrong == {}, '\n'.join(f'{name}: {what}' for name, what in wrong.items())
        assert [each.wrong for each in honest] == [None] * 3
        assert all(each.served for each in honest)
    assert 'Traceback' not in (tmp_path / 'errors.txt').read_text()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_server_at_work_ends(tmp_path, number):
    """A picture that takes minutes, a page that is open, an upload that does not come: none is waited for."""
    with serving(tmp_path, '--max-megapixels', 50, '--memory', 64) as (server, address, home):
        visitor = Visitor(address)
        flat = BytesIO()
        Image.new('RGB', (8000, 6000)).save(flat, 'PNG')
        with socket.create_connection(('127.0.0.1', int(address.rsplit(':', 1)[1]))) as wire:
            wire.sendall(f'POST {API}/upload HTTP/1.1\r\nHost: {address[7:]}\r\nContent-Length: 99\r\n\r\n'.encode())
            with visitor.web.stream('GET', f'{API}/heartbeat/page') as heartbeat:
                lines = heartbeat.iter_lines()
                next(lines)
                visitor.join(visitor.upload(flat.getvalue()).json()[0]).raise_for_status()
                with visitor.web.stream('GET', f'{API}/queue/data?session_hash=page') as told:
                    next(line for line in told.iter_lines() if 'process_starts' in line)
                    server.send_signal(number)
                    server.wait(WAIT)
        assert list(home.glob('restorebox-web-*')) == []
    assert 'Traceback' not in (tmp_path / 'errors.txt').read_text()


def test_a_killed_server_is_cleaned_up_by_the_next(tmp_path):
    with serving(tmp_path) as (first, address, home):
        Visitor(address).upload(png()).raise_for_status()
        (left,) = home.glob('restorebox-web-*')
        with serving(tmp_path) as (_, _, _):
            assert left.exists()  # it is at work
        first.kill()
        first.wait()
        assert left.exists()
        with serving(tmp_path):
            assert not left.exists()


def test_many_uploads_take_little_more_memory_than_one(tmp_path):
    options = ('--max-megabytes', 8, '--max-megapixels', 2, '--max-waiting', 6)
    with serving(tmp_path, *options) as (server, address, _):

        def peak():
            """MiB that the server has had at most."""
            return resident_size('VmHWM', server.pid) / 2**20

        data = png((1600, 1200))
        assert 5 < len(data) / 2**20 < 8
        visitors = [Visitor(address) for _ in range(8)]
        idle = peak()
        statuses = []

        def visit(visitor):
            path = visitor.upload(data).raise_for_status().json()[0]
            while (status := visitor.join(path).status_code) == 503:  # the queue is full
                time.sleep(0.2)
            statuses.append(status)
            assert visitor.told()['success']
            statuses.append('restored')

        visit(visitors[0])
        one = peak()
        threads = [threading.Thread(target=visit, args=(each,)) for each in visitors]
        for each in threads:
            each.start()
        for each in threads:
            each.join(5 * WAIT)
        many = peak()
        print(f'peak memory in MiB: idle {idle:.0f}, one upload {one:.0f}, 8 at once {many:.0f}')
        assert statuses.count('restored') == 9
        assert many < 2 * one
        assert many - idle < 2 * (one - idle)  # nor does what they take besides the libraries
