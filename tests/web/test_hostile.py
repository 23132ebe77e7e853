"""Hostile requests against ``restorebox web`` in a process of its own, while honest visitors are served."""

import gzip
import json
import os
import re
import signal
import socket
import struct
import threading
import time
import zlib
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.web.visitor import API, WAIT, Visitor, pixels, png, serving

pytest.importorskip('gradio', reason='Gradio is not installed')
OPTIONS = ('--max-megabytes', 1, '--max-megapixels', 1, '--max-waiting', 4)
HTML = b'<html><script>alert(1)</script></html>'


class Attack:
    """What hostile requests need: an attacker, a victim with an upload and a result, a place that nobody may ask."""

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
        with socket.create_connection(('127.0.0.1', self.port), WAIT) as wire:
            got = b''
            try:
                wire.sendall(data)
                while part := wire.recv(65536):
                    got += part
            except OSError:  # the server has ended the connection
                pass
        status = int(got.split()[1]) if got else 0
        assert status in expected, got[:300]
        assert str(self.home).encode() not in got
        return got

    def request(self, line, *headers, body=b'', expected):
        named = [f'Host: 127.0.0.1:{self.port}', 'Connection: close', *headers]
        return self.raw('\r\n'.join([line, *named, '', '']).encode('latin-1') + body, expected)


def form(parts):
    """A multipart body and its type."""
    body = b''.join(b'--x\r\n' + head + b'\r\n\r\n' + data + b'\r\n' for head, data in parts) + b'--x--\r\n'
    return {'content': body, 'headers': {'Content-Type': 'multipart/form-data; boundary=x'}}


def part(name=b'a.png', extra=b''):
    return b'Content-Disposition: form-data; name="files"; filename="' + name + b'"' + extra


def bomb(side=30000):
    """A PNG that says it has ``side`` by ``side`` pixels."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    head = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(10**6))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def paths(attack, *more):
    for each in more:
        attack.path(each)


def another_visitors_session(attack):
    path = attack.victim.upload(png(seed=10)).json()[0]
    attack.victim.join(path).raise_for_status()
    attack.get(f'{API}/queue/data?session_hash=victim', 404)
    attack.get(f'{API}/queue/data?session_hash={"0" * 64}', 404)
    assert attack.victim.told()['success']


def another_visitors_result(attack):
    for each in ('before', 'after', 'file'):
        url = attack.result[each].url
        attack.get(url, 404)
        assert httpx.get(url).status_code == 404  # nobody's
        forged = {f'restorebox_{attack.port}': 'A' * 32 + '.' + '0' * 64}
        assert httpx.get(url, cookies=forged).status_code == 404
        assert attack.victim.web.get(url).content == attack.result[each].content


def swapped_for_a_link(attack):
    path = attack.attacker.upload(png()).json()[0]
    (file,) = attack.home.glob(f'restorebox-web-*/files/{path}')
    file.unlink()
    file.symlink_to(attack.secret)
    attack.get(f'{API}/file={path}', 404)
    assert 'no regular file' in attack.attacker.refused(path)
    assert attack.secret.exists()


def swapped_for_a_pipe(attack):
    path = attack.attacker.upload(png()).json()[0]
    (file,) = attack.home.glob(f'restorebox-web-*/files/{path}')
    file.unlink()
    os.mkfifo(file)
    assert 'no regular file' in attack.attacker.refused(path)


def url_beside_the_path(attack):
    """Harmless: the address is not looked at."""
    path = attack.attacker.upload(png()).json()[0]
    file = {'path': path, 'url': attack.url, 'orig_name': '../../x', 'meta': {'_type': 'gradio.FileData'}}
    answer = attack.attacker.join(path, data=[file, None, attack.attacker.model])
    assert answer.status_code == 200
    assert attack.attacker.told()['success']
    assert not attack.asked_elsewhere()


def restored_twice(attack):
    path = attack.attacker.upload(png()).json()[0]
    assert attack.attacker.join(path).status_code == 200
    attack.path(path, 410)
    assert attack.attacker.told()['success']
    attack.path(path, 410)


def gone_results(attack):
    visitor = Visitor(attack.address, 'leaves')
    with visitor.web.stream('GET', f'{API}/heartbeat/leaves') as heartbeat:
        lines = heartbeat.iter_lines()  # kept, since the connection ends with it
        next(lines)
        url = visitor.restored(png())['file'].url
    end = time.monotonic() + WAIT
    while visitor.web.get(url).status_code != 404:
        assert time.monotonic() < end
        time.sleep(0.1)


def html_is_not_shown(attack):
    for name in ('a.html', 'a.svg', 'a.png'):
        path = attack.attacker.upload(HTML, name).json()[0]
        answer = attack.get(f'{API}/file={path}', 200)
        assert answer.headers['content-type'] == 'application/octet-stream'
        assert answer.headers['content-disposition'].startswith('attachment')
        assert answer.headers['x-content-type-options'] == 'nosniff'
        assert 'sandbox' in answer.headers['content-security-policy']


def odd_names(attack):
    names = [
        b'..',
        b'/etc/passwd',
        b'a\0b.png',
        'a\u202egnp.png'.encode(),
        b'<img src=x onerror=alert(1)>.png',
        b'n' * 900,
    ]
    names += [b'..\\..\\a.png', b'\xff\xfe.png', b'%0d%0aSet-Cookie: a=b.png', b'']
    for name in names:
        answer = attack.attacker.web.post(f'{API}/upload', **form([(part(name), b'no picture')]))
        if answer.status_code == 400:  # python-multipart takes it for no file
            continue
        assert answer.status_code == 200, (name, answer.text)
        (path,) = answer.json()
        assert re.fullmatch(r'[\w-]{32}(\.png)?', path)
        saved = attack.get(f'{API}/file={path}', 200).headers['content-disposition']
        assert not re.search(r'[\x00-\x1f/\\<>\u202e]|%2F|%0D|%00|%E2%80%AE', saved), saved
        assert len(saved) < 500
        said = attack.attacker.refused(path)
        assert 'not a picture of a known kind' in said
        assert not re.search(r'[\x00-\x1f/<>\u202e]', said), said


def unused_routes(attack):
    for path in (
        'user', 'token', 'login_check', 'dev/reload', 'info', 'openapi.json', 'runs', 'run-history/buckets',
        'queue/status', 'startup-events', 'call/work/1', 'stream/a/b/1/playlist.m3u8', 'custom_component/a/client/b/c',
        'vibe-code', 'theme.css', 'file/etc/passwd', 'proxy=https://a.hf.space/x', f'proxy={attack.url}', 'mcp/sse',
        f'file={attack.url}', f'file={attack.secret}', 'file=/etc/passwd', 'file=', 'file=..', 'profiling/traces',
    ):  # fmt: skip
        attack.get(f'{API}/{path}', 404)
    for path in ('/monitoring', '/monitoring/summary', '/logout', '/docs', '/openapi.json', '/pwa_icon'):
        attack.get(path, 404)
    for path in (
        'run/work', 'api/work', 'call/work', 'call/v2/work', 'component_server', 'cancel', 'reset', 'stream/1', 'mcp',
        'process_recording', 'vibe-edit', 'run-history/connect', 'queue/join/', 'upload/',
    ):  # fmt: skip
        attack.post(f'{API}/{path}', 404, json=attack.attacker.body(str(attack.secret)))
    attack.post('/login', 404, data={'username': 'a', 'password': 'b'})
    assert not attack.asked_elsewhere()


def methods(attack):
    for method in ('PUT', 'DELETE', 'PATCH', 'TRACE', 'OPTIONS', 'HEAD', 'CONNECT', 'BREW'):
        expected = (400, 404, 405)
        attack.request(f'{method} {API}/queue/join HTTP/1.1', 'Content-Length: 0', expected=expected)
    attack.get(f'{API}/upload', 405)
    attack.post('/', 405)


def preflight(attack):
    asks = {'Origin': 'http://evil.example', 'Access-Control-Request-Method': 'POST'}
    answer = attack.attacker.web.options(f'{API}/queue/join', headers=asks)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith('access-control')]


def origins(attack, *origins):
    for origin in origins:
        headers = {'Origin': origin}
        attack.post(f'{API}/upload', 403, files={'files': ('a.png', png())}, headers=headers)
        attack.get('/', 403, headers=headers)


def hosts(attack, *hosts):
    for host in hosts:
        attack.get('/', 421, headers={'Host': host})
        attack.post(f'{API}/upload', 421, files={'files': ('a.png', png())}, headers={'Host': host})


def forwarded_host(attack):
    headers = {'X-Forwarded-Host': 'evil.example', 'X-Gradio-Server': 'http://evil.example'}
    assert 'evil.example' not in attack.get('/', 200, headers=headers).text
    assert 'evil.example' not in attack.get('/config', 200, headers=headers).text


def bodies(attack, *bodies):
    for body in bodies:
        headers = {'Content-Type': 'application/json'}
        attack.post(f'{API}/queue/join', 400, content=body, headers=headers)


def wrong_values(attack):
    path = attack.attacker.upload(png()).json()[0]
    model = attack.attacker.model
    file = {'path': path}
    wrong = [None, {}, [], 'abc', [path], [None] * 9, [path, None, model], [[path], None, model], [file, None, 7]]
    wrong += [[{'path': [path]}, None, model], [file, None, {'__type__': 'update'}], [{}, {}, model], [file, 1, model]]
    for data in wrong:
        attack.path(path, 400, data=data)
    for number in (True, 1.0, '1', None, -1, 99, [attack.attacker.work]):
        attack.path(path, 404, fn_index=number)
    for session in (None, 7, '', '../x', 'a' * 65, 'a\0', ['a'], 'a/b'):
        attack.path(path, 400, session_hash=session)


def no_model(attack):
    for model in ('elsewhere', '../../etc/passwd', attack.url, str(attack.secret)):
        path = attack.attacker.upload(png()).json()[0]
        file = {'path': path}
        attack.attacker.join(path, data=[file, None, model]).raise_for_status()
        told = attack.attacker.told()
        assert not told['success']
        assert str(attack.home) not in json.dumps(told)
        assert 'no model' in told['output']['error']
    assert not attack.asked_elsewhere()


def too_large(attack):
    long = bytes(3 * 2**20)
    attack.post(f'{API}/upload', 413, files={'files': ('a.png', long)})
    body = form([(part(), long)])
    body['content'] = iter([body['content'][at : at + 2**16] for at in range(0, len(body['content']), 2**16)])
    attack.post(f'{API}/upload', 413, **body)  # in chunks, so that no header says how long it is
    attack.post(f'{API}/queue/join', 413, json=attack.attacker.body('a' * 2**20))
    attack.request(f'POST {API}/upload HTTP/1.1', 'Content-Length: ' + '9' * 17, expected=(413,))
    assert 'megapixels' in attack.attacker.refused(attack.attacker.upload(bomb()).json()[0])


def compressed(attack):
    packed = gzip.compress(json.dumps(attack.attacker.body('a')).encode() + bytes(10**7))
    attack.post(f'{API}/queue/join', 415, content=packed, headers={'Content-Encoding': 'gzip'})
    assert 'not a picture' in attack.attacker.refused(attack.attacker.upload(packed, 'a.png').json()[0])


def odd_forms(attack):
    url = f'{API}/upload'
    attack.post(url, 400, **form([(part(), b'x')] * 2000))
    attack.post(url, 400, **form([(b'Content-Disposition: form-data; name="%d"' % i, b'x') for i in range(2000)]))
    attack.post(url, 400, **form([(part(extra=b'\r\nX-Long: ' + b'a' * 2**17), b'x')]))
    attack.post(url, 400, **form([(part(), b'')]))
    attack.post(url, 400, **form([(b'Content-Disposition: form-data; name="files"', b'x' * 5000)]))
    attack.post(url, 400, content=b'--x', headers={'Content-Type': 'multipart/form-data'})
    attack.post(url, 400, content=b'no form', headers={'Content-Type': 'multipart/form-data; boundary=x'})
    attack.post(url, 400, content=b'a=b&' * 5000, headers={'Content-Type': 'application/x-www-form-urlencoded'})
    attack.post(url, 400, content=png(), headers={'Content-Type': 'image/png'})


def odd_http(attack):
    attack.raw(b'GET / HTTP/1.1\r\n\r\n', (400,))
    attack.raw(b'GET / HTTP/1.0\r\n\r\n', (400, 421))
    two = f'GET / HTTP/1.1\r\nHost: 127.0.0.1:{attack.port}\r\nHost: evil.example\r\n\r\n'
    attack.raw(two.encode(), (400, 421))
    attack.request('GET / HTTP/1.1', *[f'X-{i}: {"a" * 500}' for i in range(200)], expected=(400, 431))
    attack.request(f'GET /{"a" * 10**5} HTTP/1.1', expected=(400, 431))
    attack.request(f'POST {API}/upload HTTP/1.1', 'Content-Length: -1', expected=(400,))
    attack.request(f'POST {API}/upload HTTP/1.1', 'Content-Length: 5', 'Content-Length: 6', expected=(400,))
    smuggled = b'0\r\n\r\nGET /config HTTP/1.1\r\n\r\n'
    got = attack.request(
        f'POST {API}/queue/join HTTP/1.1', 'Content-Length: 4', 'Transfer-Encoding: chunked', body=smuggled,
        expected=(400, 403),
    )  # fmt: skip
    assert got.count(b'HTTP/1.1 ') == 1
    attack.request('GET /config HTTP/1.1', 'Content-Length: 9', body=b'some body', expected=(400,))
    attack.raw(bytes(range(256)) * 100, (0, 400))
    attack.raw(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', (0, 400))


def odd_paths(attack):
    for line in (
        'GET http://evil.example/config HTTP/1.1', f'GET {attack.url} HTTP/1.1', 'GET //config HTTP/1.1',
        'GET /./config HTTP/1.1', 'GET /%63onfig HTTP/1.1', 'GET /assets/../config HTTP/1.1', 'GET /config/ HTTP/1.1',
        'GET /assets/%2e%2e/%2e%2e/routes.py HTTP/1.1', 'GET /static/..%2f..%2froutes.py HTTP/1.1',
        'GET /assets//etc/passwd HTTP/1.1', f'GET {API}/file=%2fetc%2fpasswd HTTP/1.1', 'GET * HTTP/1.1',
        f'GET {API}/heartbeat/..%2f..%2fx HTTP/1.1', 'GET /config%00 HTTP/1.1', 'GET \\config HTTP/1.1',
    ):  # fmt: skip
        attack.request(line, expected=(400, 404))


def queries(attack):
    page = re.sub(r'\d+', '', attack.get('/', 200).text)
    for query in ('page=x', 'deep_link=../../x', 'all_endpoints=1', '__theme=dark&view=api', 'a=b&' * 500):
        assert re.sub(r'\d+', '', attack.get(f'/?{query}', 200).text) == page
    attack.get(f'{API}/queue/data?' + 'a=b&' * 500, 404)


def websockets(attack):
    upgrade = (
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    )
    attack.request(f'GET {API}/queue/join HTTP/1.1', *upgrade, expected=(405,))


def other_sites(attack):
    for site in ('cross-site', 'same-site', 'odd'):
        attack.get('/config', 403, headers={'Sec-Fetch-Site': site})
        attack.get(attack.result['file'].url, 403, headers={'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': 'navigate'})
        attack.post(f'{API}/upload', 403, files={'files': ('a.png', png())}, headers={'Sec-Fetch-Site': site})
    attack.get('/', 200, headers={'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate'})  # a link to the page


def ranges(attack):
    """Harmless: they are not looked at."""
    url = attack.attacker.restored(png())['file'].url
    for each in ('bytes=0-1', 'bytes=' + ','.join(f'{i}-{i + 1}' for i in range(500)), 'bytes=-1', 'bytes=9-1'):
        assert attack.get(url, 200, headers={'Range': each}).content[:4] == b'\x89PNG'


def flood_of_uploads(attack):
    """What nobody has restored is bounded."""
    keys = [attack.attacker.upload(png(seed=i)).raise_for_status().json()[0] for i in range(30)]
    (folder,) = attack.home.glob('restorebox-web-*/files')
    assert sum((folder / key).exists() for key in keys) == 8


def flood_of_requests(attack):
    """Each is answered or refused."""
    results = []

    def ask(visitor, path):
        try:
            with visitor.web.stream('GET', path) as answer:
                results.append(answer.status_code)
        except httpx.HTTPError as error:
            results.append(repr(error))

    for path in ('/', '/config', f'{API}/heartbeat/attacker', f'{API}/upload_progress?upload_id=1'):
        threads = [threading.Thread(target=ask, args=(attack.attacker, path)) for _ in range(40)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(WAIT)
    assert len(results) == 160
    assert set(results) <= {200, 503}, set(results)


def flood_of_joins(attack):
    uploads = [attack.attacker.upload(png((400, 400), i)).json()[0] for i in range(8)]
    statuses = [attack.attacker.join(path).status_code for path in uploads]
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    attack.attacker.told()


def slow_headers(attack):
    """More connections than are allowed, none of which says what it wants."""
    wires = []
    for _ in range(400):
        wires.append(socket.create_connection(('127.0.0.1', attack.port), WAIT))
        wires[-1].sendall(b'GET / HTTP/1.1\r\nHost: ')
    assert Visitor(attack.address).restored(png())['after'].status_code == 200
    for wire in wires:
        wire.close()


def slow_bodies(attack):
    """Uploads that never end, to the last place: whoever comes then is told so, and is served when they have ended."""
    wires = []
    for _ in range(12):
        head = f'POST {API}/upload HTTP/1.1\r\nHost: 127.0.0.1:{attack.port}\r\nContent-Length: 1000000\r\n'
        wires.append(socket.create_connection(('127.0.0.1', attack.port), WAIT))
        wires[-1].sendall(head.encode() + b'Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n')
    end = time.monotonic() + WAIT
    while (answer := attack.attacker.upload(png())).status_code != 200:
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < end
        time.sleep(0.2)
    for wire in wires:
        wire.close()


def same_names(attack):
    visitors = [Visitor(attack.address, 'same') for _ in range(3)]
    pictures = [png(seed=1), png(seed=2), png(seed=2)]  # two have the same picture besides
    paths = [each.upload(picture).json()[0] for each, picture in zip(visitors, pictures, strict=True)]
    assert len(set(paths)) == 3
    for each, path in zip(visitors, paths, strict=True):
        each.join(path).raise_for_status()
    for each, picture in zip(visitors, pictures, strict=True):
        slider = each.told()['output']['data'][0]['value']
        assert np.array_equal(pixels(each.web.get(slider[0]['url']).content), pixels(picture))


HOSTILE = {
    'foreign path': lambda a: paths(a, '/etc/passwd', str(a.secret), '~/.bashrc', 'README.md', 'C:\\Windows\\win.ini'),
    'path of the model': lambda a: a.path(str(a.home.parent / 'published.safetensors')),
    'path beside an upload': lambda a: paths(a, f'{a.upload}/../../secret.png', f'../{a.upload}', f'{a.upload}\0'),
    'the folder of the uploads': lambda a: paths(a, *map(str, [*a.home.glob('restorebox-web-*/files/*')][:3])),
    'device': lambda a: paths(a, '/dev/zero', '/dev/random', '/dev/stdin', '/proc/self/environ', '/dev/fd/0'),
    'pipe': lambda a: a.path(str(a.home / 'pipe')),
    'URL': lambda a: paths(a, a.url, a.url.replace('http', 'https'), 'ftp://127.0.0.1/a.png', '//127.0.0.1/a.png'),
    'file URL and data URL': lambda a: paths(a, f'file://{a.secret}', 'data:image/png;base64,aaaa'),
    'URL beside the path': url_beside_the_path,
    "another visitor's upload": lambda a: a.path(a.upload, 410),
    "another visitor's upload as a file": lambda a: a.get(f'{API}/file={a.upload}', 404),
    "another visitor's result": another_visitors_result,
    "another visitor's result as an upload": lambda a: a.path(str(a.result['file'].url).rpartition('=')[2], 410),
    "another visitor's session": another_visitors_session,
    'upload swapped for a link': swapped_for_a_link,
    'upload swapped for a pipe': swapped_for_a_pipe,
    'restored twice': restored_twice,
    'result that is gone': gone_results,
    'foreign Host': lambda a: hosts(a, f'evil.example:{a.port}', 'evil.example', f'127.0.0.1.evil.example:{a.port}'),
    'Host with another port': lambda a: hosts(
        a, 'localhost:1', '127.0.0.1', f'localhost.:{a.port}', f'a@localhost:{a.port}'
    ),
    'Host of another address': lambda a: hosts(a, f'10.1.2.3:{a.port}', f'[fe80::1]:{a.port}', f'0.0.0.0:{a.port}'),
    'foreign Origin': lambda a: origins(a, 'http://evil.example', f'http://evil.example:{a.port}', 'https://127.0.0.1'),
    'Origin of another port, null, odd': lambda a: origins(
        a, 'http://127.0.0.1:1', 'null', 'file://', f'127.0.0.1:{a.port}'
    ),
    'other site by Sec-Fetch-Site': other_sites,
    'preflight': preflight,
    'forwarded Host': forwarded_host,
    'routes that are not used': unused_routes,
    'methods': methods,
    'WebSocket': websockets,
    'paths written oddly': odd_paths,
    'queries': queries,
    'HTTP written oddly': odd_http,
    'JSON that is deep': lambda a: bodies(a, b'[' * 16000, b'{"a":' * 3000),
    'JSON that is none': lambda a: bodies(a, b'', b'{', b'null', b'[]', b'\xff\xfe', b'{"data": NaN}', b'1' * 9000),
    'values of the wrong kind': wrong_values,
    'model of elsewhere': no_model,
    'too large': too_large,
    'compressed': compressed,
    'forms written oddly': odd_forms,
    'HTML and SVG': html_is_not_shown,
    'file names': odd_names,
    'ranges': ranges,
    'same names': same_names,
    'flood of uploads': flood_of_uploads,
    'flood of requests': flood_of_requests,
    'flood of requests to restore': flood_of_joins,
    'slow headers': slow_headers,
    'slow bodies': slow_bodies,
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
    options = ('--max-megabytes', 8, '--max-megapixels', 2, '--max-waiting', 16)
    with serving(tmp_path, *options) as (server, address, _):

        def peak():
            """MiB that the server has had at most."""
            status = Path(f'/proc/{server.pid}/status').read_text()
            return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) / 1024

        data = png((1600, 1200))
        assert 5 < len(data) / 2**20 < 8
        visitors = [Visitor(address) for _ in range(20)]
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
        print(f'peak memory in MiB: idle {idle:.0f}, one upload {one:.0f}, 20 at once {many:.0f}')
        assert statuses.count('restored') == 21
        assert many < 2 * one
        assert many - idle < 2 * (one - idle)  # nor does what they take besides the libraries
