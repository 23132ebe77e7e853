"""A file is there whole or not at all."""

import errno
import json
import os
import subprocess
import sys

import pytest

from restorebox import files
from restorebox.files import find_checkpoints, json_bytes, replacing, write_whole
from tests.processes import environment, succeed


def test_it_takes_the_old_ones_place_in_a_folder_that_it_makes(tmp_path):
    path = tmp_path / 'a' / 'b' / 'file.bin'
    for data in (b'old', b'newer'):
        write_whole(path, data)
        assert path.read_bytes() == data
    with replacing(path) as beside:
        beside.write_bytes(b'half')
        assert beside.parent == path.parent
        assert path.read_bytes() == b'newer'
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    'error', [OSError(errno.ENOSPC, 'No space left on device'), ValueError('x'), KeyboardInterrupt()]
)
def test_an_error_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / 'file.bin'
    path.write_bytes(b'old')

    def fail(beside):
        beside.write_bytes(b'new')
        raise error

    with pytest.raises(type(error)) as caught, replacing(path) as beside:
        fail(beside)
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(error, OSError):
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))


def test_a_place_that_cannot_be_is_named_as_the_user_gave_it(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(OSError, match='file') as caught:
        write_whole(tmp_path / 'file' / 'x.bin', b'data')
    assert caught.value.filename == str(tmp_path / 'file' / 'x.bin')


def test_the_name_comes_after_the_bytes(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, 'fsync', lambda _: done.append('flushed'))
    monkeypatch.setattr(files.os, 'replace', lambda *_: done.append('renamed'))
    write_whole(tmp_path / 'a', b'data', flush=True)
    write_whole(tmp_path / 'a', b'data')
    assert done == ['flushed', 'renamed', 'renamed']


def test_checkpoints_go_by_their_number(tmp_path):
    for name in ('iter_10.pth', 'iter_9.pth', 'iter_x.pth', '.iter_11.pth.7.tmp', 'best_psnr_y.pth'):
        (tmp_path / name).touch()
    assert [path.name for path in find_checkpoints(tmp_path)] == ['iter_9.pth', 'iter_10.pth']
    assert find_checkpoints(tmp_path / 'nowhere') == []


def test_it_is_light():
    code = "import sys, restorebox.files, restorebox.claims.runs; sys.exit('torch' in sys.modules)"
    succeed(
        subprocess.run([sys.executable, '-c', code], env=environment(), capture_output=True, text=True, check=False)
    )


def test_json_reads_back_and_has_no_word_of_its_own():
    name = os.fsdecode(b'caf\xe9 \xc3\xa9\n')
    value = {'name': name, 'mean': float('nan'), 'each': [float('inf'), (1.5, None)]}
    text = json_bytes(value).decode('utf-8')
    found = json.loads(text, parse_constant=lambda word: pytest.fail(f'{word} is no JSON'))
    assert found == {'name': name, 'mean': None, 'each': [None, [1.5, None]]}
    assert 'é' in text
    with pytest.raises(TypeError):
        json_bytes({'a': object()})
