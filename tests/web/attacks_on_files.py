"""Hostile requests for files and pictures; each raises AssertionError if it is neither refused nor harmless."""

import gzip
import json
import os
import re
import time

import httpx
import numpy as np

from tests.web.attack import bomb, form, part
from tests.web.visitor import API, WAIT, Visitor, pixels, png

HTML = b'<html><script>alert(1)</script></html>'


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
    assert 'not a regular file' in attack.attacker.refused(path)
    assert attack.secret.exists()


def swapped_for_a_pipe(attack):
    path = attack.attacker.upload(png()).json()[0]
    (file,) = attack.home.glob(f'restorebox-web-*/files/{path}')
    file.unlink()
    os.mkfifo(file)
    assert 'not a regular file' in attack.attacker.refused(path)


def url_beside_the_path(attack):
    """Harmless: the address is not looked at."""
    path = attack.attacker.upload(png()).json()[0]
    file = {'path': path, 'url': attack.url, 'orig_name': '../../x', 'meta': {'_type': 'gradio.FileData'}}
    answer = attack.attacker.join(path, data=[[file], None, 1, attack.attacker.model])
    assert answer.status_code == 200
    assert attack.attacker.told()['success']
    assert not attack.asked_elsewhere()


def restored_twice(attack):
    for _ in range(20):  # on a busy machine the first request may end before the second is sent
        path = attack.attacker.upload(png()).json()[0]
        assert attack.attacker.join(path).status_code == 200
        again = attack.attacker.join(path)
        assert attack.attacker.told()['success']
        if again.status_code == 410:  # while it is queued
            break
    assert again.status_code == 410, again.text
    assert not attack.asked_elsewhere()
    attack.clean(again)
    assert attack.attacker.join(path).status_code == 200  # as for another model
    assert attack.attacker.told()['success']
    attack.attacker.restored(png())  # another picture of the same page
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


def same_names(attack):
    visitors = [Visitor(attack.address, 'same') for _ in range(3)]
    pictures = [png(seed=1), png(seed=2), png(seed=2)]  # two have the same picture besides
    paths = [each.upload(picture).json()[0] for each, picture in zip(visitors, pictures, strict=True)]
    assert len(set(paths)) == 3
    for each, path in zip(visitors, paths, strict=True):
        while (answer := each.join(path)).status_code == 503:  # the queue is short, and others wait in it
            time.sleep(0.05)
        answer.raise_for_status()
    for each, picture in zip(visitors, pictures, strict=True):
        before = each.urls(each.told())['before']
        assert np.array_equal(pixels(each.web.get(before).content), pixels(picture))


def no_model(attack):
    for model in ('elsewhere', '../../etc/passwd', attack.url, str(attack.secret)):
        path = attack.attacker.upload(png()).json()[0]
        file = {'path': path}
        attack.attacker.join(path, data=[[file], None, 1, model]).raise_for_status()
        told = attack.attacker.told()
        assert not told['success']
        assert str(attack.home) not in json.dumps(told)
        assert 'no model' in told['output']['error']
    assert not attack.asked_elsewhere()


def ranges(attack):
    """Harmless: they are not looked at."""
    url = attack.attacker.restored(png())['file'].url
    for each in ('bytes=0-1', 'bytes=' + ','.join(f'{i}-{i + 1}' for i in range(500)), 'bytes=-1', 'bytes=9-1'):
        assert attack.get(url, 200, headers={'Range': each}).content[:4] == b'\x89PNG'


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


def flood_of_uploads(attack):
    """The number of uploads that were not restored is limited."""
    keys = [attack.attacker.upload(png(seed=i)).raise_for_status().json()[0] for i in range(30)]
    (folder,) = attack.home.glob('restorebox-web-*/files')
    assert sum((folder / key).exists() for key in keys) == 8
