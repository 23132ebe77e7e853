"""Hostile requests for routes, by headers and bodies, and floods; see attacks_on_files."""

import re
import socket
import threading
import time

import httpx

from tests.web.attack import form, part
from tests.web.visitor import API, WAIT, Visitor, png


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
        'run/work', 'api/work', 'call/work', 'call/v2/work', 'component_server', 'reset', 'stream/1', 'mcp',
        'process_recording', 'vibe-edit', 'run-history/connect', 'queue/join/', 'upload/',
    ):  # fmt: skip
        attack.post(f'{API}/{path}', 404, json=attack.attacker.body(str(attack.secret)))
    for body in ({}, [], 'page', {'session_hash': 1}, {'session_hash': '../x'}, {'session_hash': 'a' * 65}):
        attack.post(f'{API}/cancel', 400, json=body)
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
    wrong = [None, {}, [], 'abc', [path], [None] * 9, [path, None, 1, model], [[path], None, 1, model]]
    wrong += [[{'path': [path]}, None, 1, model], [file, None, 1, {'__type__': 'update'}], [{}, {}, 1, model]]
    wrong += [[file, 1, 1, model], [file, None, 1, 7], [file, None, model]]
    wrong += [[file, None, strength, model] for strength in (-1, 2.1, 10**400, True, None, '1', [1], {})]
    for data in wrong:
        attack.path(path, 400, data=data)
    for number in (True, 1.0, '1', None, -1, 99, [attack.attacker.work]):
        attack.path(path, 404, fn_index=number)
    for session in (None, 7, '', '../x', 'a' * 65, 'a\0', ['a'], 'a/b'):
        attack.path(path, 400, session_hash=session)


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
    """More connections than allowed, none of which sends a request."""
    wires = []
    for _ in range(400):
        wires.append(socket.create_connection(('127.0.0.1', attack.port), WAIT))
        wires[-1].sendall(b'GET / HTTP/1.1\r\nHost: ')
    assert Visitor(attack.address).restored(png())['after'].status_code == 200
    for wire in wires:
        wire.close()


def slow_bodies(attack):
    """Uploads that never end use all connections: other clients get an error, and are served after their end."""
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
