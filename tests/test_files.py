"""Atomic writing of files."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from restorebox import files
from restorebox.errors import BusyError, ConfigError
from restorebox.files import (
    LOCK,
    READ_TIMEOUT,
    find_checkpoints,
    json_bytes,
    locked,
    read_bytes,
    read_limit,
    remove_leftovers,
    replacing,
    write_whole,
)
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


@pytest.mark.parametrize('name', ['n' * 251 + '.png', 'ä' * 125 + 'n.png'])
def test_the_longest_name_has_room_beside_it(tmp_path, name):
    assert len(os.fsencode(name)) == 255
    write_whole(tmp_path / name, b'data')
    assert os.listdir(tmp_path) == [name]


def test_links_are_not_followed(tmp_path, monkeypatch):
    """Neither a link under the temporary name, which is unpredictable, nor a link at the path itself is followed."""
    treasure = tmp_path / 'treasure'
    treasure.write_bytes(b'mine')
    (tmp_path / 'a').symlink_to(treasure)
    with replacing(tmp_path / 'a') as one, replacing(tmp_path / 'a') as other:
        assert one != other
        assert not one.is_symlink()
        one.write_bytes(b'one')
        other.write_bytes(b'other')
    assert not (tmp_path / 'a').is_symlink()
    assert (tmp_path / 'a').read_bytes() == b'one'
    assert treasure.read_bytes() == b'mine'
    monkeypatch.setattr(files.secrets, 'token_hex', lambda _: '0' * 16)  # even where the name could be known
    (tmp_path / f'.restorebox-{"0" * 16}.tmp').symlink_to(treasure)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / 'b', b'data')
    assert treasure.read_bytes() == b'mine'


def test_leftovers_of_killed_runs_are_removed_but_not_files_being_written(tmp_path):
    left, linked = tmp_path / f'.restorebox-{"0" * 16}.tmp', tmp_path / f'.restorebox-{"1" * 16}.tmp'
    left.write_bytes(b'half')
    linked.symlink_to(tmp_path / 'mine.tmp')
    for name in ('mine.tmp', '.restorebox-mine.tmp', 'a.png'):
        (tmp_path / name).write_bytes(b'mine')
    with replacing(tmp_path / 'new') as beside:
        beside.write_bytes(b'new')
        remove_leftovers(tmp_path)
        assert beside.exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        *('mine.tmp', '.restorebox-mine.tmp', 'a.png', 'new', linked.name)
    }
    remove_leftovers(tmp_path / 'nowhere')


def test_without_locks_only_old_leftovers_go(tmp_path, monkeypatch):
    monkeypatch.setattr(files, 'fcntl', None)
    old, new = (tmp_path / f'.restorebox-{digit * 16}.tmp' for digit in '01')
    for path in (old, new):
        path.write_bytes(b'half')
    os.utime(old, (0, 0))
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [new]
    write_whole(tmp_path / 'a', b'data')
    assert (tmp_path / 'a').read_bytes() == b'data'
    with locked(tmp_path, 'restore') as reason:
        assert reason == 'this system has no locks'


def test_a_folder_is_one_process_s(tmp_path):
    folder = tmp_path / 'a' / 'b'
    for _ in range(2):
        with locked(folder, 'restore') as reason:
            assert reason is None
            line = rf'b: another restore \(process {os.getpid()} on .*\) is at work there; let it end, or take'
            with pytest.raises(BusyError, match=line), locked(folder, 'restore'):
                pass
        assert not list(folder.iterdir())


@pytest.mark.parametrize('kind', ['stale', 'link', 'dangling', 'hard link', 'folder', 'pipe'])
def test_another_file_in_place_of_the_lock_does_not_block_and_is_not_changed(tmp_path, kind):
    treasure, folder = tmp_path / 'treasure', tmp_path / 'out'
    treasure.write_bytes(b'process 1 on elsewhere\n')
    folder.mkdir()
    place = folder / LOCK
    {
        'stale': lambda: place.write_bytes(treasure.read_bytes()),
        'link': lambda: place.symlink_to(treasure),
        'dangling': lambda: place.symlink_to(tmp_path / 'new'),
        'hard link': lambda: place.hardlink_to(treasure),
        'folder': place.mkdir,
        'pipe': lambda: os.mkfifo(place),
    }[kind]()
    with locked(folder, 'restore') as reason:
        assert (reason is None) == (kind in ('stale', 'hard link', 'pipe'))
    assert treasure.read_bytes() == b'process 1 on elsewhere\n'
    assert not (tmp_path / 'new').exists()


def test_the_lock_of_a_killed_process_is_free_though_its_workers_live(tmp_path):
    code = (
        'import os, sys, time; from restorebox.files import locked\n'
        f'with locked({str(tmp_path)!r}, "training"):\n'
        '    worker = os.fork()\n'
        '    worker or time.sleep(600)\n'
        '    print(worker, flush=True)\n'
        '    time.sleep(600)\n'
    )
    with subprocess.Popen(
        [sys.executable, '-c', code], env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        worker = int(process.stdout.readline())
        try:
            with pytest.raises(BusyError, match=rf'process {process.pid} '), locked(tmp_path, 'training'):
                pass
            process.kill()
            process.wait()
            # the worker lets go when it first runs, which on a busy machine may be later
            with locked(tmp_path, 'training', timeout=120) as reason:
                assert reason is None
        finally:
            process.kill()
            os.kill(worker, signal.SIGKILL)


def test_the_first_bytes_of_a_file(tmp_path):
    (tmp_path / 'a').write_bytes(b'data' * 100_000)
    assert read_bytes(tmp_path / 'a', 6) == b'datada'
    assert len(read_bytes(tmp_path / 'a', 10**9)) == 400_000


def test_a_read_that_gives_nothing_is_given_up_and_one_that_goes_on_is_not(tmp_path, monkeypatch):
    path = tmp_path / 'a'
    path.write_bytes(b'data' * 100_000)
    assert read_bytes(path) == path.read_bytes()
    over, opened = threading.Event(), files.open_regular

    def dead(path, flags):
        over.wait()
        return opened(path, flags)

    class Slow:
        """Gives a block a second for an hour, then the rest."""

        def __init__(self, reading):
            self.reading, self.waits = reading, 0

        def wait(self, seconds):
            self.waits += 1
            self.reading.blocks += 1
            return self.waits > 3600

    monkeypatch.setenv(READ_TIMEOUT, '2')
    monkeypatch.setattr(files, 'open_regular', dead)
    with pytest.raises(TimeoutError) as caught:
        read_bytes(path)
    over.set()
    monkeypatch.setattr(files, 'open_regular', opened)
    assert (caught.value.filename, caught.value.strerror) == (
        *(str(path), 'it gave nothing for 2 seconds; is its disk gone?'),
    )
    begin = files._Reading.start

    def start(reading):
        begin(reading)
        reading.ended.wait()
        reading.ended = Slow(reading)

    monkeypatch.setattr(files._Reading, 'start', start)
    assert read_bytes(path) == path.read_bytes()


@pytest.mark.parametrize('text', ['soon', '0', '-1', 'nan', 'inf'])
def test_a_time_that_is_none_is_named(text, monkeypatch):
    monkeypatch.setenv(READ_TIMEOUT, text)
    with pytest.raises(ConfigError, match=f'RESTOREBOX_READ_TIMEOUT={text}: it must be a positive number of seconds'):
        read_limit()


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path in (tmp_path / 'pipe', '/dev/zero'):
        with pytest.raises(OSError, match='is no regular file'):
            read_bytes(path)
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / 'nothing')
