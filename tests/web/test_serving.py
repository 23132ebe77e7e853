"""``restorebox serve`` in a process of its own, with curl, httpx and hostile clients."""

import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

pytest.importorskip('prometheus_client', reason='the extra serve is not installed')

from restorebox.engine.measuring import resident_size
from tests.processes import one_line_error, run
from tests.web.attack import bomb, form, send_raw
from tests.web.visitor import WAIT, Visitor, pixels, png, serving

pytestmark = pytest.mark.slow
LIMITS = ('--max-megabytes', 1, '--max-megapixels', 1)
TYPES = {'image/png': 'PNG', 'image/jpeg': 'JPEG', 'image/webp': 'WEBP', 'image/tiff': 'TIFF'}


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """(address, folder of the server's files)."""
    folder = tmp_path_factory.mktemp('serve')
    with serving(folder, *LIMITS, command='serve') as (_, address, home):
        yield address, home
    assert 'Traceback' not in (folder / 'errors.txt').read_text()


@pytest.fixture
def web(server):
    with httpx.Client(base_url=server[0], timeout=WAIT) as client:
        yield client


def left(home):
    return [path.name for path in home.glob('restorebox-web-*/pictures/*')]


def wait_until_empty(home):
    """Files are removed just after their answer has been sent."""
    end = time.monotonic() + WAIT
    while left(home):
        assert time.monotonic() < end, left(home)
        time.sleep(0.05)


def kind(data):
    return Image.open(BytesIO(data)).format


def test_curl_posts_a_picture_and_gets_one(server, tmp_path):
    if shutil.which('curl') is None:
        pytest.skip('no curl on this machine')
    address, home = server
    (tmp_path / 'rain.png').write_bytes(png((70, 50)))
    call = ['curl', '--fail', '--silent', '--show-error', '-o', 'out', f'{address}/v1/restore']
    for options in (['--data-binary', '@rain.png'], ['-F', 'file=@rain.png'], ['-T', 'rain.png', '-X', 'POST']):
        subprocess.run([*call, *options], cwd=tmp_path, check=True, timeout=WAIT)
        got = (tmp_path / 'out').read_bytes()
        assert kind(got) == 'PNG'
        assert pixels(got).shape == (50, 70, 3)
    refused = subprocess.run([*call, '-d', 'text'], cwd=tmp_path, check=False, timeout=WAIT)
    assert refused.returncode == 22
    wait_until_empty(home)


def test_the_result_equals_that_of_the_command(server, web, tmp_path):
    (tmp_path / 'rain.png').write_bytes(png((70, 50)))
    model = server[1].parent / 'published.safetensors'
    run('restore.py', 'rain.png', '--model', model, '--device', 'cpu', cwd=tmp_path)
    got = web.post('/v1/restore', content=png((70, 50)))
    assert np.array_equal(pixels(got.content), pixels((tmp_path / 'restored/rain.png').read_bytes()))
    assert got.headers['restorebox-model'] == 'published.safetensors'


@pytest.mark.parametrize('media', TYPES)
def test_accept_chooses_the_format(web, media):
    answer = web.post('/v1/restore', content=png(), headers={'Accept': media})
    assert answer.status_code == 200
    assert answer.headers['content-type'] == media
    assert kind(answer.content) == TYPES[media]
    assert answer.headers['x-content-type-options'] == 'nosniff'


def test_kinds_that_only_a_name_tells(server, web):
    file = BytesIO()
    Image.open(BytesIO(png())).save(file, 'TGA')
    same = web.post('/v1/restore', params={'strength': 0}, files={'file': ('a.TGA', file.getvalue())})
    assert np.array_equal(pixels(same.content), pixels(png()))
    assert web.post('/v1/restore', content=file.getvalue()).status_code == 422
    assert kind(Visitor(f'{server[0]}/page').restored(file.getvalue(), 'a.tga')['file'].content) == 'TGA'
    file = BytesIO()
    Image.open(BytesIO(png())).save(file, 'TIFF')  # the preview in a raw file
    answer = web.post('/v1/restore', files={'file': ('a.nef', file.getvalue())})
    assert answer.status_code == 422
    assert 'develop raw files' in answer.json()['detail']


def test_strength_and_model(web):
    (model,) = web.get('/v1/models').json()['models']
    data = png()
    same = web.post('/v1/restore', params={'strength': 0, 'model': model}, files={'file': ('a.png', data)})
    assert np.array_equal(pixels(same.content), pixels(data))
    for query, what in (
        ({'strength': 2.5}, 'strength'), ({'strength': 'nan'}, 'strength'), ({'strength': 'x'}, 'strength'),
        ({'model': 'other'}, 'no model'), ({'model': '../../etc/passwd'}, 'no model'), ({'model': 'm' * 300}, 'model'),
    ):  # fmt: skip
        answer = web.post('/v1/restore', params=query, content=data)
        assert answer.status_code == 422
        assert what in answer.json()['detail']


def test_metadata_that_is_lost_is_named(web):
    file = BytesIO()
    Image.new('RGB', (20, 20)).save(file, 'PNG', dpi=(300, 300))
    answer = web.post('/v1/restore', content=file.getvalue(), headers={'Accept': 'image/webp'})
    assert 'no resolution' in answer.headers['restorebox-notes']


def wait_for(web, url, *statuses):
    end = time.monotonic() + WAIT
    while (state := web.get(url).json())['status'] not in statuses:
        assert time.monotonic() < end, state
        time.sleep(0.02)
    return state


def test_a_job(server, web):
    started = web.post('/v1/jobs', content=png(), headers={'Accept': 'image/webp'})
    assert started.status_code == 202
    url = started.headers['location']
    assert re.fullmatch(r'/v1/jobs/[\w-]{32}', url)
    state = wait_for(web, url, 'done')
    for _ in range(2):
        picture = web.get(state['picture'])
        assert kind(picture.content) == 'WEBP'
    assert web.delete(url).status_code == 204
    assert {web.get(url).status_code, web.get(state['picture']).status_code, web.delete(url).status_code} == {404}
    url = web.post('/v1/jobs', content=b'no picture').headers['location']
    assert 'not a picture' in wait_for(web, url, 'failed')['error']
    assert web.get(f'{url}/picture').status_code == 422
    wait_until_empty(server[1])
    assert web.get(f'/v1/jobs/{"A" * 32}').status_code == 404
    for key in ('..', '%2e%2e', 'A' * 31, 'A' * 33, 'a/b', '\u202e' * 32):
        assert web.get(f'/v1/jobs/{key}/picture').status_code in (404, 422)


def test_health_metrics_and_description(web):
    assert web.get('/health').json()['status'] == 'ok'
    before = counted(web)
    web.post('/v1/restore', content=png())
    web.post('/v1/restore', content=b'text')
    after = counted(web)
    assert after['restorebox_requests_total{route="/v1/restore",status="200"}'] == 1 + before.get(
        'restorebox_requests_total{route="/v1/restore",status="200"}', 0
    )
    assert after['restorebox_requests_total{route="/v1/restore",status="422"}'] >= 1
    assert after['restorebox_restored_pixels_total'] - before['restorebox_restored_pixels_total'] == 32 * 24
    description = web.get('/openapi.json').json()
    assert set(description['paths']) == {
        '/v1/restore', '/v1/jobs', '/v1/jobs/{key}', '/v1/jobs/{key}/picture', '/v1/models', '/health', '/metrics',
    }  # fmt: skip
    assert '200' in description['paths']['/v1/restore']['post']['responses']
    page = web.get('/docs')
    assert '/v1/restore' in page.text
    assert not re.search(r'(src|href)="(https?:)?//', page.text)  # nothing of other hosts
    assert '<script' not in page.text


def counted(web):
    lines = [line.rsplit(' ', 1) for line in web.get('/metrics').text.splitlines() if not line.startswith('#')]
    return {name: float(value) for name, value in lines}


def test_the_page_is_served_below_page(server, web):
    pytest.importorskip('gradio', reason='Gradio is not installed')
    for path in ('/', '/page'):
        answer = web.get(path)
        assert (answer.status_code, answer.headers['location']) == (307, '/page/')
    assert web.get('/config').status_code == 404
    data = png((40, 30), 5)
    got = Visitor(f'{server[0]}/page').restored(data)
    assert np.array_equal(pixels(got['before'].content), pixels(data))
    assert '/page/gradio_api/file=' in str(got['after'].url)
    assert np.array_equal(pixels(got['after'].content), pixels(web.post('/v1/restore', content=data).content))


def test_hostile_requests(server, web, tmp_path):
    address, home = server
    port = int(address.rsplit(':', 1)[1])
    file = tmp_path / 'secret.png'
    file.write_bytes(png(seed=3))

    def refused(status, **options):
        answer = web.post(options.pop('path', '/v1/restore'), **options)
        assert answer.status_code == status, answer.text[:300]
        assert str(home) not in answer.text
        assert 'Traceback' not in answer.text
        assert len(answer.json()['detail']) < 400
        return answer

    for path in ('/v1/restore', '/v1/jobs'):
        refused(413, path=path, content=bytes(2 * 2**20))
        refused(413, path=path, content=iter([bytes(2**16)] * 40))  # no header says how long it is
        refused(415, path=path, content=b'a', headers={'Content-Encoding': 'gzip'})
        refused(415, path=path, json={'path': str(file)})
        refused(415, path=path, content=b'<svg/>', headers={'Content-Type': 'text/html'})
        refused(400, path=path, content=b'')
        refused(400, path=path, **form([(b'Content-Disposition: form-data; name="file"', b'x')]))
        refused(400, path=path, **form([(b'Content-Disposition: form-data; name="other"; filename="a"', png())]))
        refused(400, path=path, **form([(b'Content-Disposition: form-data; name="file"; filename="a"', png())] * 2))
        refused(400, path=path, content=b'x', headers={'Content-Type': 'multipart/form-data'})
        refused(406, path=path, content=png(), headers={'Accept': 'text/html'})
        for headers, status in (
            ({'Host': f'evil.example:{port}'}, 421), ({'Origin': 'http://evil.example'}, 403),
            ({'Origin': 'null'}, 403), ({'Sec-Fetch-Site': 'cross-site'}, 403), ({'X-Long': 'a' * 17000}, 431),
        ):  # fmt: skip
            answer = web.post(path, content=png(), headers=headers)
            assert answer.status_code in (status, 400), (headers, answer.status_code)
    assert 'megapixels' in refused(413, content=bomb()).text
    for data in (
        b'text',
        png()[:200],
        b'\x89PNG\r\n\x1a\n',
        b'GIF89a' + bytes(50),
        b'II*\0' + b'\xff' * 64,
        bytes(5000),
    ):
        refused(422, content=data)
    frames = BytesIO()
    Image.new('L', (8, 8)).save(frames, 'TIFF', save_all=True, append_images=[Image.new('L', (8, 8))] * 3)
    assert 'single pictures' in refused(422, content=frames.getvalue()).text
    for name in ('../../etc/passwd', 'a\u202egnp.png', '<script>.png', 'n' * 900, '..\\x'):
        text = refused(422, files={'file': (name, b'text')}).json()['detail']
        assert not re.search(r'[\x00-\x1f/<>\u202e]', text), text
    for path in (
        '/v1',
        '/v1/restore/',
        '/v2/restore',
        '/docs/',
        '/page/%2e%2e/metrics',
        '/redoc',
        '/gradio_api/upload',
    ):
        assert web.get(path).status_code in (404, 405), path
    assert web.get('/v1/restore').status_code == 405
    for method in ('PUT', 'PATCH', 'TRACE', 'OPTIONS', 'BREW'):
        assert web.request(method, '/v1/restore').status_code in (400, 405)
    assert web.request('GET', '/health', content=b'body').status_code == 400
    head = f'POST /v1/restore HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n'.encode()
    send_raw(port, head + b'Content-Length: ' + b'9' * 17 + b'\r\n\r\n', (413,))
    send_raw(port, head + b'Content-Length: -1\r\n\r\n', (400,))
    send_raw(port, head + b'Content-Length: 1\r\nContent-Length: 2\r\n\r\nab', (400,))
    send_raw(port, b'GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n', (400, 421))
    send_raw(port, b'\x16\x03\x01\x02\0', (0, 400))
    ranged = web.post('/v1/restore', content=png(), headers={'Range': 'bytes=0-1'})
    assert ranged.status_code == 200
    assert kind(ranged.content) == 'PNG'
    for _ in range(5):  # clients that leave while their picture is received
        with socket.create_connection(('127.0.0.1', port), WAIT) as wire:
            wire.sendall(head + b'Content-Length: 5000\r\n\r\n' + bytes(300))
    wait_until_empty(home)
    assert web.get('/health').status_code == 200


def test_a_full_queue_refuses_and_a_leaving_client_gives_its_place_back(tmp_path):
    options = ('--max-waiting', 1, '--max-megapixels', 50, '--memory', 64)
    with (
        serving(tmp_path, *options, command='serve') as (_, address, _),
        httpx.Client(base_url=address, timeout=WAIT) as web,
    ):
        large = BytesIO()
        Image.new('RGB', (6000, 5000)).save(large, 'PNG')
        first = web.post('/v1/jobs', content=large.getvalue()).headers['location']
        wait_for(web, first, 'running')
        waiting = [web.post('/v1/jobs', content=png()).headers['location'] for _ in range(4)]  # CONCURRENT
        full = web.post('/v1/restore', content=png())
        assert full.status_code == 503
        assert full.headers['retry-after'] == '5'
        assert web.get('/health').status_code == 200
        assert web.delete(waiting[0]).status_code == 204
        with pytest.raises(httpx.ReadTimeout):  # takes the place, and leaves
            httpx.post(f'{address}/v1/restore', content=png(), timeout=1)
        end = time.monotonic() + WAIT
        while (started := web.post('/v1/jobs', content=png())).status_code == 503:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert web.delete(first).status_code == 204
        for url in (*waiting[1:], started.headers['location']):
            wait_for(web, url, 'done')


def test_the_time_limit(tmp_path):
    options = ('--max-seconds', 1, '--max-megapixels', 50, '--memory', 64)
    with serving(tmp_path, *options, command='serve') as (_, address, home):
        large = BytesIO()
        Image.new('RGB', (6000, 5000)).save(large, 'PNG')
        answer = httpx.post(f'{address}/v1/restore', content=large.getvalue(), timeout=WAIT)
        assert answer.status_code == 504
        assert '/v1/jobs' in answer.json()['detail']
        end = time.monotonic() + WAIT
        while (last := httpx.post(f'{address}/v1/restore', content=png(), timeout=WAIT)).status_code == 504:
            assert time.monotonic() < end  # the tile at work is finished first
        assert last.status_code == 200
        wait_until_empty(home)


def test_a_signal_lets_requests_in_progress_finish(tmp_path):
    """They wait behind a job, which the signal cancels."""
    options = ('--memory', 64, '--grace', WAIT, '--max-megapixels', 50)
    with serving(tmp_path, *options, command='serve') as (server, address, home):
        large = BytesIO()
        Image.new('RGB', (6000, 5000)).save(large, 'PNG')
        with ThreadPoolExecutor(4) as pool, httpx.Client(base_url=address, timeout=WAIT) as web:
            wait_for(web, web.post('/v1/jobs', content=large.getvalue()).headers['location'], 'running')
            pictures = [png((900, 700), number) for number in range(4)]
            work = [pool.submit(httpx.post, f'{address}/v1/restore', content=each, timeout=WAIT) for each in pictures]
            end = time.monotonic() + WAIT
            while counted(web)['restorebox_waiting'] < 4:
                assert time.monotonic() < end
                time.sleep(0.02)
            server.send_signal(signal.SIGTERM)
            results = [each.result() for each in work]
        assert [each.status_code for each in results] == [200] * 4
        assert all(pixels(each.content).shape == (700, 900, 3) for each in results)
        assert server.wait(WAIT) == 0
        assert list(home.glob('restorebox-web-*')) == []
    assert 'Traceback' not in (tmp_path / 'errors.txt').read_text()


def test_fifty_requests_at_once(tmp_path):
    """Nothing is lost or mixed up, and memory is that of a few pictures."""
    with serving(tmp_path, '--memory', 128, command='serve') as (server, address, home):

        def peak():
            return resident_size('VmHWM', server.pid) / 2**20

        data = png((800, 600))
        alone = httpx.post(f'{address}/v1/restore', content=data, timeout=WAIT)
        one = peak()
        gate = threading.Barrier(50)

        def visit(number):
            with httpx.Client(base_url=address, timeout=WAIT) as web:
                gate.wait(WAIT)
                mine = png((800, 600), number) if number < 5 else data
                return number, web.post('/v1/restore', content=mine)

        with ThreadPoolExecutor(50) as pool:
            answers = dict(pool.map(visit, range(50)))
        assert [answer.status_code for answer in answers.values()] == [200] * 50
        for number, answer in answers.items():
            same = np.abs(pixels(answer.content).astype(int) - pixels(alone.content).astype(int)).max() <= 1
            assert same == (number == 0 or number >= 5)
        many = peak()
        print(f'peak memory in MiB: one request {one:.0f}, 50 at once {many:.0f}')
        assert many - one < 50 * 800 * 600 * 12 / 2**20  # all decoded at once would take 275 MiB
        wait_until_empty(home)


def test_errors_of_the_command_are_one_line(tmp_path):
    error = one_line_error(run('serve.py', '--model', 'wether', cwd=tmp_path))
    assert "did you mean 'weather'" in error
    twice = one_line_error(run('serve.py', '--model', 'weather', '--model', 'weather', cwd=tmp_path))
    assert "two models are named 'weather'" in twice
