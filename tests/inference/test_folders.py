"""Runs over folders whose files are restored by other processes."""

import errno
import json

import pytest
from PIL import Image

from restorebox.errors import ConfigError
from restorebox.files import LOCK
from restorebox.inference import files
from restorebox.inference.folders import RestoreRun, restore_into
from restorebox.inference.inferencer import RestoreInferencer
from restorebox.inference.queue import restore_all
from restorebox.inference.records import FileRecord, Report, maker_of
from tests.factories import publish_small


def test_what_is_not_given_to_the_engine_is_in_the_report_too(tmp_path):
    """A file that is there already, and one whose output was made from another file; the engine reports the others."""
    published = publish_small(tmp_path)
    (tmp_path / 'in').mkdir()

    def build():
        return RestoreInferencer(str(published), device='cpu')

    def engine(run, device, jobs, record, outputs, label):
        with Report(run.report, append_only=True) as report:

            def both(done: FileRecord) -> None:
                report.add(run.maker.signed(done))
                record(done)

            restore_all(build(), jobs, both, outputs)

    def status(report):
        run = RestoreRun((str(tmp_path / 'in'),), tmp_path / 'out', maker_of(str(published)), report=tmp_path / report)
        restore_into(run, build, lambda done: None, engine)
        lines = [json.loads(line) for line in (tmp_path / report).read_text().splitlines()]
        return {line['source'][-5:]: line['status'] for line in lines}

    for level, name in enumerate('ab'):
        Image.new('L', (9, 7), 90 * level).save(tmp_path / f'in/{name}.png')
    assert status('first.jsonl') == {'a.png': 'restored', 'b.png': 'restored'}
    for level, name in enumerate('bc', 2):
        Image.new('L', (9, 7), 90 * level).save(tmp_path / f'in/{name}.png')
    assert status('second.jsonl') == {'a.png': 'existing', 'b.png': 'failed', 'c.png': 'restored'}


def test_a_full_disk_ends_the_run(tmp_path, monkeypatch):
    published = publish_small(tmp_path)
    (tmp_path / 'in').mkdir()
    for i in range(6):
        Image.new('L', (9, 7), i).save(tmp_path / f'in/{i}.png')
    write, written, done = files.write_file, [], []

    def full(restored, target, quality):
        written.append(target.name)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, 'No space left on device', str(target))
        return write(restored, target, quality)

    monkeypatch.setattr(files, 'write_file', full)
    run = RestoreRun((str(tmp_path / 'in'),), tmp_path / 'out', maker_of(str(published)))
    with pytest.raises(OSError, match='No space left on device'):
        restore_into(run, lambda: RestoreInferencer(str(published), device='cpu'), done.append)
    assert len(written) < 6  # those that are under way are still written
    monkeypatch.setattr(files, 'write_file', write)
    restore_into(run, lambda: RestoreInferencer(str(published), device='cpu'), done.append)
    assert [path.name for path in sorted((tmp_path / 'out').glob('*.png'))] == [f'{i}.png' for i in range(6)]


def test_the_lock_of_the_folder_is_no_report(tmp_path):
    published = publish_small(tmp_path)
    Image.new('L', (9, 7)).save(tmp_path / 'a.png')
    out = tmp_path / 'out'
    run = RestoreRun((str(tmp_path / 'a.png'),), out, maker_of(str(published)), report=out / LOCK)
    with pytest.raises(ConfigError, match='the run writes another file of this name'):
        restore_into(run, lambda: RestoreInferencer(str(published), device='cpu'), print)
