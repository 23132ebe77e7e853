"""Report lines, their schema, and the record of what made each output."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import restorebox
from restorebox.errors import ConfigError
from restorebox.files import write_whole
from restorebox.inference.output_log import OUTPUTS, OutputLog
from restorebox.inference.records import FileRecord, Maker, Report

SCHEMA = json.loads((Path(restorebox.__file__).parent / 'schemas/report-1.json').read_text())
HASH = 'ab' * 32
A, B = Maker('a', HASH), Maker('b', 'cd' * 32)


def restored(name, **more):
    return FileRecord(name, f'out/{name}', 'restored', 'a', HASH, 0.25, {'veil': 12.3456}, **more)


def failed(name):
    return FileRecord(name, f'out/{name}', 'failed', 'a', HASH, 0.0, error=f'{name}: is damaged')


def lines(path):
    return [json.loads(line) for line in path.read_text().split('\n')[:-1]]


def test_lines_fit_the_schema_and_the_schema_refuses_others(tmp_path):
    records = [
        restored('a.png', notes=('EXIF left out',)),
        failed('b.png'),
        FileRecord('c.png', 'out/c.png', 'existing'),
        FileRecord('d.png', 'out/d.png', 'copied', 'a', HASH, 0.1, {}),
        restored(os.fsdecode(b'\xff.png')),
    ]
    with Report(tmp_path / 'new' / 'r.jsonl') as report:
        for record in records:
            report.add(record)
    found = lines(tmp_path / 'new' / 'r.jsonl')
    assert [line['source'] for line in found] == [record.source for record in records]
    assert found[0]['found'] == {'veil': 12.346}
    for line in found:
        jsonschema.validate(line, SCHEMA)
    for change in ({'status': 'done'}, {'error': 'why'}, {'version': 2}, {'sha256': 'ab'}, {'more': 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(found[0] | change, SCHEMA)


def test_a_continued_report_keeps_one_line_per_file(tmp_path):
    path = tmp_path / 'r.jsonl'
    with Report(path) as report:
        for record in (restored('a.png'), failed('b.png')):
            report.add(record)
    with open(path, 'a') as file:
        file.write('{"version": 1, "source": "cut')  # as after a full disk
    with Report(path) as report:
        report.add(FileRecord('a.png', 'out/a.png', 'existing'))
        report.add(restored('b.png'))
        report.add(FileRecord('c.png', 'out/c.png', 'existing'))
        report.finish()
    assert [(line['source'], line['status']) for line in lines(path)] == [
        ('a.png', 'restored'),
        ('b.png', 'restored'),
        ('c.png', 'existing'),
    ]


@pytest.mark.parametrize('content', [b'notes\n', b'\x89PNG\r\n\x1a\n', b'[1]\n', b'{"a": 1}\n', b'{"version": 2}\n'])
def test_another_file_is_never_taken_for_a_report(tmp_path, content):
    path = tmp_path / 'r.jsonl'
    path.write_bytes(content)
    with pytest.raises(ConfigError, match='is no report of version 1; give it another name'):
        Report(path)
    assert path.read_bytes() == content


def test_a_report_that_cannot_be_opened_is_a_line(tmp_path):
    (tmp_path / 'file').touch()
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'link').symlink_to(tmp_path / 'file')
    for name in ('file/r.jsonl', '.', 'pipe', 'link'):
        with pytest.raises(ConfigError, match=r"report .*: can't be written"):
            Report(tmp_path / name)


def test_a_worker_appends_to_report_and_record_without_reading_them(tmp_path):
    path = tmp_path / 'r.jsonl'
    with Report(path) as report:
        report.add(restored('a.png'))
    with Report(path, append_only=True) as worker:
        worker.add(restored('b.png'))
    assert [line['source'] for line in lines(path)] == ['a.png', 'b.png']

    log, worker = OutputLog(tmp_path, A), OutputLog(tmp_path, A, append_only=True)
    for name in ('a.png', 'b.png'):
        with worker.writing(tmp_path / name):
            write_whole(tmp_path / name, b'')
    with pytest.raises(OSError, match='full'), worker.writing(tmp_path / 'c.png'):
        raise OSError(28, 'the disk is full')
    with pytest.raises(ValueError, match='for appending only'):
        worker.made(tmp_path / 'a.png')
    worker.close()
    log.close()
    log = OutputLog(tmp_path, A, read_only=True)
    assert [log.made(tmp_path / name) for name in ('a.png', 'b.png', 'c.png')] == ['same', 'same', None]
    log.close()
    made = [line['output'] for line in lines(tmp_path / OUTPUTS) if 'output' in line]
    assert made == ['a.png', 'b.png', 'c.png', 'c.png']


def append(path, first):
    with Report(path) as report:
        for i in range(first, first + 500):
            report.add(restored(f'{i}.png'))


def test_lines_of_several_processes_do_not_mix(tmp_path):
    path = tmp_path / 'r.jsonl'
    with ProcessPoolExecutor(3) as pool:
        list(pool.map(append, [path] * 3, (0, 500, 1000)))
    assert sorted(int(line['source'][:-4]) for line in lines(path)) == list(range(1500))


def test_a_run_that_ends_loses_no_line_of_another(tmp_path):
    path = tmp_path / 'report.jsonl'
    with Report(path) as one, Report(path) as two:
        for _ in range(2):
            one.add(FileRecord('a.png', 'out/a.png', 'restored'))
        two.add(FileRecord('b.png', 'out/b.png', 'restored'))
        one.finish()  # replaces the file
        two.add(FileRecord('c.png', 'out/c.png', 'restored'))
        one.add(FileRecord('d.png', 'out/d.png', 'restored'))
        two.finish()
    assert [json.loads(line)['source'] for line in path.read_text().splitlines()] == [f'{x}.png' for x in 'abcd']


def test_an_existing_output_of_another_model_gets_a_new_line(tmp_path):
    existing = FileRecord('a.png', 'out/a.png', 'existing', 'b', 'cd' * 32)
    for record, kept in ((restored('a.png'), HASH), (replace(existing, sha256=None), HASH), (existing, 'cd' * 32)):
        with Report(tmp_path / 'r.jsonl') as report:
            report.add(record)
            report.finish()
        assert [line['sha256'] for line in lines(tmp_path / 'r.jsonl')] == [kept]
