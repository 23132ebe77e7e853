"""The record of what made each output of a folder."""

import errno
import os

import pytest

from restorebox.errors import ConfigError
from restorebox.files import write_whole
from restorebox.inference.output_log import OUTPUTS, OutputLog
from restorebox.inference.records import Maker

HASH = 'ab' * 32
A, B = Maker('a', HASH), Maker('b', 'cd' * 32)


def test_what_is_no_file_is_no_output(tmp_path):
    (tmp_path / 'a.png').mkdir()
    os.mkfifo(tmp_path / 'b.png')
    log = OutputLog(tmp_path, A)
    for name in ('a.png', 'b.png'):
        assert not log.exists(tmp_path / name)
        with pytest.raises(OSError, match='something that is no file has this name'), log.writing(tmp_path / name):
            write_whole(tmp_path / name, b'x')
    assert (tmp_path / 'b.png').is_fifo()
    log.close()


def test_the_folder_knows_what_made_an_output(tmp_path):
    log = OutputLog(tmp_path, A)
    assert log.made(tmp_path / 'sub/a.png') is None
    with log.writing(tmp_path / 'sub/a.png'):
        assert log.made(tmp_path / 'sub/a.png') == 'same'  # before there is a file without a maker
        write_whole(tmp_path / 'sub/a.png', b'')
    with log.writing(tmp_path / 'b.png', 'copied'):
        pass
    log.close()
    again = OutputLog(tmp_path, Maker('the same under another name', HASH))
    assert [again.made(tmp_path / name) for name in ('sub/a.png', 'b.png', 'c.png')] == ['same', 'copied', None]
    again.close()
    for other in (B, Maker('a', HASH, strength=0.5), Maker('a', HASH, ensemble=True), Maker('a', HASH, quality=80)):
        log = OutputLog(tmp_path, other, read_only=True)
        assert log.made(tmp_path / 'sub/a.png') == 'other'
        log.close()
    log = OutputLog(tmp_path, B)
    with log.writing(tmp_path / 'sub/a.png'):
        assert log.made(tmp_path / 'sub/a.png') == 'other'  # until it is replaced
    log.close()
    assert OutputLog(tmp_path, B).made(tmp_path / 'sub/a.png') == 'same'
    assert OutputLog(tmp_path, A).made(tmp_path / 'sub/a.png') == 'other'


def test_an_output_that_could_not_be_written_is_not_ours(tmp_path):
    log = OutputLog(tmp_path, A)
    with pytest.raises(OSError, match='full'), log.writing(tmp_path / 'a.png'):
        raise OSError(28, 'full')
    log.close()
    (tmp_path / 'a.png').touch()
    for maker in (A, B):
        assert OutputLog(tmp_path, maker, read_only=True).made(tmp_path / 'a.png') is None


def test_a_log_is_created_only_by_a_run_that_writes(tmp_path):
    log = OutputLog(tmp_path / 'out', A, read_only=True)
    assert log.made(tmp_path / 'out/a.png') is None
    assert not (tmp_path / 'out').exists()


def test_a_log_that_is_something_else_is_a_line_and_a_broken_one_is_read_as_far_as_it_goes(tmp_path):
    (tmp_path / OUTPUTS).write_bytes(
        b'{"output": "a.png", "by": "3"}\n{"output": "c.png", "by": 3}\n[' + b'[' * 10000 + b'\n{"output": "b.png"'
    )
    log = OutputLog(tmp_path, A)
    assert [log.made(tmp_path / name) for name in ('a.png', 'b.png', 'c.png')] == ['other', None, None]
    with log.writing(tmp_path / 'b.png'):
        pass
    log.close()
    assert OutputLog(tmp_path, A).made(tmp_path / 'b.png') == 'same'
    (tmp_path / OUTPUTS).unlink()
    (tmp_path / OUTPUTS).symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(ConfigError, match=r"outputs\.jsonl: can't be opened"):
        OutputLog(tmp_path, A)
    assert not (tmp_path / 'elsewhere').exists()


def test_the_folder_knows_the_source_of_an_output(tmp_path):
    log = OutputLog(tmp_path, A)
    for name, kind, stamp in (('a.png', 'same', '1' * 16), ('b.png', 'nothing', '1' * 16), ('c.png', 'same', None)):
        with log.writing(tmp_path / name, kind, stamp):
            write_whole(tmp_path / name, b'')
    log.close()
    for maker, same, nothing in ((A, 'same', 'nothing'), (B, 'other', 'other')):
        log = OutputLog(tmp_path, maker, read_only=True)
        found = [
            [log.made(tmp_path / name, stamp) for name in ['a.png', 'b.png', 'c.png']] for stamp in ('1' * 16, None)
        ]
        assert found == [[same, nothing, same]] * 2
        assert [log.made(tmp_path / name, '2' * 16) for name in ('a.png', 'c.png')] == ['foreign', same]


def test_the_output_of_another_source_is_not_discarded(tmp_path):
    log = OutputLog(tmp_path, A)
    for name, stamp in (('a.png', '1' * 16), ('b.png', '2' * 16)):
        with log.writing(tmp_path / name, 'copied', stamp):
            write_whole(tmp_path / name, b'')
        log.discard(tmp_path / name, True, '1' * 16)
    assert [path.name for path in tmp_path.glob('*.png')] == ['b.png']


def test_a_run_that_is_killed_while_it_replaces_the_output_of_other_settings_leaves_no_wrong_record(tmp_path):
    log = OutputLog(tmp_path, A)
    with log.writing(tmp_path / 'a.png', 'same', '1' * 16):
        write_whole(tmp_path / 'a.png', b'')
    log.close()
    log = OutputLog(tmp_path, B)
    with log.writing(tmp_path / 'a.png', 'same', '1' * 16):
        for maker in (A, B):  # either content may be there: both make it again
            assert OutputLog(tmp_path, maker, read_only=True).made(tmp_path / 'a.png', '1' * 16) == 'other'
    assert log.made(tmp_path / 'a.png', '1' * 16) == 'same'


def test_an_output_is_not_replaced_if_the_record_cannot_be_written(tmp_path, monkeypatch):
    log = OutputLog(tmp_path, A)
    with log.writing(tmp_path / 'a.png', 'same', '1' * 16):
        write_whole(tmp_path / 'a.png', b'old')
    log.close()
    log = OutputLog(tmp_path, B)

    def full(content):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(log._lines, 'add', full)
    with pytest.raises(OSError, match='No space left'), log.writing(tmp_path / 'a.png', 'same', '1' * 16):
        write_whole(tmp_path / 'a.png', b'new')
    assert (tmp_path / 'a.png').read_bytes() == b'old'
    assert OutputLog(tmp_path, A, read_only=True).made(tmp_path / 'a.png', '1' * 16) == 'same'


def test_a_run_that_is_killed_while_it_replaces_the_output_of_another_source_leaves_no_wrong_record(tmp_path):
    log = OutputLog(tmp_path, A)
    with log.writing(tmp_path / 'a.png', 'same', '1' * 16):
        write_whole(tmp_path / 'a.png', b'')
    with log.writing(tmp_path / 'a.png', 'same', '2' * 16):
        during = OutputLog(tmp_path, A, read_only=True)
        assert [during.made(tmp_path / 'a.png', digit * 16) for digit in '12'] == ['other', 'other']  # is made again
    assert [log.made(tmp_path / 'a.png', digit * 16) for digit in '12'] == ['foreign', 'same']
