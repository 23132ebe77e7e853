"""restore from and to an S3 server on loopback and zip archives: bytes, memory of the folder, report, exit codes."""

import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from restorebox.inference.output_log import OUTPUTS
from restorebox.inference.records import FileRecord, Report
from restorebox.storage import RemotePath
from tests.factories import publish_small
from tests.processes import restore
from tests.storage_server import SECRET, s3_server

__all__ = ['s3_server']  # a fixture
COUNT = 6


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        path = tmp_path / 'in' / str(i % 2) / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)).save(path)
    return tmp_path / 'in'


def local(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*.png')}


def remote(server, folder):
    paths = [path for path in server.files.find(f'{server.bucket}/{folder}') if path.endswith('.png')]
    return {path.removeprefix(f'{server.bucket}/{folder}/'): server.files.cat_file(path) for path in paths}


def report_of(server):
    return [json.loads(line) for line in server.files.cat_file(f'{server.bucket}/report.jsonl').splitlines()]


def test_round_trip_continued_with_few_requests(s3_server, pictures, published, tmp_path, capsys):
    bucket = f's3://{s3_server.bucket}'
    s3_server.files.put(str(pictures), f'{s3_server.bucket}/in', recursive=True)
    assert restore(pictures, '--out', tmp_path / 'local', '--model', published) == 0
    plain = [f'{bucket}/in', '--out', f'{bucket}/out', '--model', published]
    words = [*plain, '--report', f'{bucket}/report.jsonl']

    assert restore(*words, '--exclude', '0.png', '--exclude', '1.png') == 0
    s3_server.requests.clear()
    assert restore(*plain, '--dry-run') == 0
    assert s3_server.requests['PUT'] == 0
    assert f'would restore 2 into {bucket}/out' in capsys.readouterr().out
    s3_server.requests.clear()
    assert restore(*words) == 0
    assert remote(s3_server, 'out') == local(tmp_path / 'local')
    assert s3_server.requests['PUT'] == 2 + 4  # pictures; parts and joined files of report and folder
    lines = report_of(s3_server)
    assert sorted(line['source'] for line in lines) == sorted(f'{bucket}/in/{name}' for name in local(pictures))
    assert {line['status'] for line in lines} == {'restored'}
    s3_server.requests.clear()
    assert restore(*words) == 0
    assert f'{COUNT} were there already' in capsys.readouterr().out
    assert s3_server.requests['GET'] <= 4  # of record and report, none per picture
    assert s3_server.requests['HEAD'] <= 4

    other = [*words, '--strength', '0.5', '--include', '0.png']  # other settings replace what others made
    assert restore(*other) == 0
    assert f'1 restored into {bucket}/out, 1 of these in place of others' in capsys.readouterr().out
    assert restore(*other) == 0
    assert '1 were there already' in capsys.readouterr().out
    names = {path.rpartition('/')[2] for path in s3_server.files.find(f'{s3_server.bucket}/out')}
    assert names == {OUTPUTS, *(f'{i}.png' for i in range(COUNT))}


def test_outputs_of_a_killed_run_have_their_maker(s3_server, pictures, published, monkeypatch, capsys):
    bucket = f's3://{s3_server.bucket}'
    words = [pictures, '--out', f'{bucket}/out', '--report', f'{bucket}/report.jsonl', '--model', published]
    pid = os.fork()
    if pid == 0:  # killed as soon as it has written two pictures
        from restorebox.inference import files

        written = []

        def write(path, data, write=files.write):
            write(path, data)
            written.append(path)
            if len(written) == 2:
                os.kill(os.getpid(), 9)

        files.write = write
        restore(*words)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
    assert len(remote(s3_server, 'out')) == 2
    assert restore(*words) == 0
    lines = report_of(s3_server)
    assert sorted(line['status'] for line in lines) == ['existing'] * 2 + ['restored'] * (COUNT - 2)
    assert len({line['sha256'] for line in lines}) == 1
    assert lines[0]['sha256'] is not None


def test_the_report_has_lines_of_other_processes(s3_server):
    path = RemotePath(f's3://{s3_server.bucket}/report.jsonl')
    with Report(path) as first:  # reads what is there, as the first rank or the process that starts workers does
        with Report(path, append_only=True) as worker:
            worker.add(FileRecord('a.png', 'out/a.png', 'failed', error='a.png: is empty'))
        with Report(path, append_only=True) as worker:
            worker.add(FileRecord('a.png', 'out/a.png', 'restored'))
        first.finish()
    assert [(line['source'], line['status']) for line in report_of(s3_server)] == [('a.png', 'restored')]
    assert s3_server.files.find(s3_server.bucket) == [path.key]


def test_failures_are_lines(s3_server, pictures, published, tmp_path, monkeypatch, capsys):
    bucket = f's3://{s3_server.bucket}'
    s3_server.files.pipe_file(f'{s3_server.bucket}/in/bad.png', b'no picture')
    s3_server.files.put(str(pictures / '0' / '0.png'), f'{s3_server.bucket}/in/good.png')
    assert restore(f'{bucket}/in', '--out', tmp_path / 'out', '--model', published) == 3
    printed = capsys.readouterr()
    assert f'not restored: {bucket}/in/bad.png: ' in printed.err
    for source, reason in (
        ('s3://no-such-bucket/in', 'no such bucket'),
        (f'{bucket}/nothing', 'no such picture'),
        ('s3://me:hidden@bucket/in', 'is refused'),
    ):
        assert restore(source, '--out', tmp_path / 'none', '--model', published) == 1
        line = capsys.readouterr().err
        assert reason in line
        assert line.count('\n') == 1
        assert SECRET not in line
        assert 'hidden' not in line
    assert not (tmp_path / 'none').exists()


def test_archives_are_restored_as_their_files(pictures, published, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        for name, data in local(pictures).items():
            archive.writestr(name, data)
    assert restore(pictures, '--out', tmp_path / 'local', '--model', published) == 0
    assert restore(tmp_path / 'a.zip', '--out', tmp_path / 'out', '--model', published) == 0
    assert local(tmp_path / 'out') == local(tmp_path / 'local')
    assert restore(f'zip://1::{tmp_path / "a.zip"}', '--out', tmp_path / 'one', '--model', published) == 0
    assert sorted(local(tmp_path / 'one')) == ['1.png', '3.png', '5.png']
    with zipfile.ZipFile(tmp_path / 'bad.zip', 'w') as archive:
        archive.writestr('../x.png', b'1')
    capsys.readouterr()
    assert restore(tmp_path / 'bad.zip', '--out', tmp_path / 'none', '--model', published) == 1
    assert 'the member ../x.png' in capsys.readouterr().err
