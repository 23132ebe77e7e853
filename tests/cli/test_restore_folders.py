"""restore over folders as they are found: what is bad in them is named, and the rest is restored."""

import itertools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from restorebox import files
from restorebox.cli.main import main
from restorebox.cli.restore import restore_all
from restorebox.files import LOCK, READ_TIMEOUT, locked
from restorebox.inference.inputs import RestoreJob, plan_jobs
from tests.cli.test_restore_queue import inferencer
from tests.factories import publish_small
from tests.processes import environment

LONG = ('l' * 251 + '.png', 'm' * 251 + '.gif', 'n' * 247 + '.gif')


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'in'
    for name in ('a.png', 'sub/b.png', 'locked/c.png', *LONG):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('L', (9, 7), 90).save(folder / name)
    return folder


def restore(*words):
    """The exit code of restoring."""
    try:
        main(['restore', *map(str, words), '--device', 'cpu', '--precision', 'fp32'])
    except SystemExit as end:
        return end.code
    return 0


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if not path.is_dir())


def test_one_bad_thing_does_not_end_it(pictures, published, tmp_path, monkeypatch, capsys):
    os.mkfifo(pictures / 'pipe.png')
    for name, place in (('itself.png', 'itself.png'), ('zero.png', '/dev/zero'), ('sub/up', '..'), ('gone.png', 'x')):
        (pictures / name).symlink_to(place)
    (pictures / 'folder.png').mkdir()
    scan = os.scandir

    def scandir(path):  # permissions would not stop a test that runs as root
        if os.path.basename(path) == 'locked':
            raise PermissionError(13, 'Permission denied', str(path))
        return scan(path)

    monkeypatch.setattr(os, 'scandir', scandir)
    out = tmp_path / 'out'
    assert restore(pictures, '--model', published, '--out', out) == 1
    assert names(out) == sorted(['a.png', 'sub/b.png', LONG[0], 'm' * 251 + '.png', LONG[2] + '.png'])
    printed = capsys.readouterr()
    assert f'5 restored into {out}, 4 could not be restored, 1 folder could not be read' in printed.out
    assert printed.err.splitlines() == [
        f'not entered: {pictures}/sub/up: is the folder {pictures}, whose pictures are taken under that name',
        f"not restored: {pictures}/locked: the folder can't be read (Permission denied)",
        f'not restored: {pictures}/gone.png: no such file',
        f"not restored: {pictures}/itself.png: can't be read (Too many levels of symbolic links)",
        f"not restored: {pictures}/pipe.png: can't be read (is no regular file)",
        f"not restored: {pictures}/zero.png: can't be read (is no regular file)",
    ]
    assert restore(pictures, '--model', published, '--out', out) == 1
    assert f'0 restored into {out}, 5 were there already, 4 could not' in capsys.readouterr().out


def test_what_a_killed_run_left_goes_and_planted_links_are_not_followed(pictures, published, tmp_path):
    out, treasure = tmp_path / 'out', tmp_path / 'treasure'
    treasure.write_bytes(b'mine')
    for folder in (out, out / 'sub'):
        folder.mkdir()
        (folder / f'.restorebox-{"0" * 16}.tmp').write_bytes(b'half')
    (out / 'a.png').symlink_to(tmp_path / 'nowhere')
    (out / 'sub' / 'b.png').symlink_to(treasure)
    (out / LOCK).write_bytes(b'process 1 on elsewhere\n')
    assert restore(pictures, '--model', published, '--out', out) == 0
    assert names(out) == sorted(['a.png', 'sub/b.png', 'locked/c.png', LONG[0], 'm' * 251 + '.png', LONG[2] + '.png'])
    assert not (out / 'a.png').is_symlink()
    assert not (tmp_path / 'nowhere').exists()
    assert treasure.read_bytes() == b'mine'


def test_a_second_run_into_one_folder_is_a_line_with_the_first_one_s_number(pictures, published, tmp_path, capsys):
    out = tmp_path / 'out'
    with locked(out, 'restore'):
        assert restore(pictures, '--model', published, '--out', out) == 1
        assert names(out) == [LOCK]
    assert f'{out}: another restore (process {os.getpid()} on ' in capsys.readouterr().err
    with locked(out, 'restore'), pytest.MonkeyPatch.context() as patch:
        patch.setenv('RANK', '1')  # of one run under torchrun the first rank alone takes it
        patch.setenv('WORLD_SIZE', '2')
        assert restore(pictures, '--model', published, '--out', out) == 0
    assert len(names(out)) == 3


def test_without_a_lock_it_says_so_and_goes_on(pictures, published, tmp_path, capsys):
    out = tmp_path / 'out'
    (out / LOCK).mkdir(parents=True)
    assert restore(pictures / 'a.png', '--model', published, '--out', out) == 0
    assert f'{out}: no lock (Is a directory); keep other runs away from it' in capsys.readouterr().err
    assert names(out) == ['a.png']


def test_a_read_that_never_ends_is_given_up(pictures, tmp_path, monkeypatch):
    over, opened = threading.Event(), files.open_regular

    def dead(path, flags):
        if os.path.basename(path) == 'a.png':
            over.wait()
        return opened(path, flags)

    monkeypatch.setattr(files, 'open_regular', dead)
    monkeypatch.setenv(READ_TIMEOUT, '5')
    jobs = plan_jobs(pictures, tmp_path / 'out')
    bad = restore_all(inferencer(), jobs)
    over.set()
    assert bad == [f"{pictures}/a.png: can't be read (it gave nothing for 5 seconds; is its disk gone?)"]
    assert sum(job.target.exists() for job in jobs) == len(jobs) - 1


@pytest.mark.parametrize('disk', ['gone', 'slow'])
def test_a_clip_of_a_disk_that_is_gone_is_given_up_and_one_that_is_slow_is_not(tmp_path, monkeypatch, disk):
    over, spent = threading.Event(), itertools.count()
    job = RestoreJob(tmp_path / 'a.mp4', tmp_path / 'out' / 'a.mp4')

    def restore_video(source, target, progress, note):
        over.wait()
        progress(1, 1)
        target.parent.mkdir()
        target.touch()

    def worked():  # what the processor has been at work: for a slow one a second in each second, for three minutes
        seconds = next(spent) * (disk == 'slow')
        if seconds > 180:
            over.set()
        return seconds

    monkeypatch.setattr(time, 'process_time', worked)
    monkeypatch.setenv(READ_TIMEOUT, '2')
    wait = threading.Event.wait
    monkeypatch.setattr(threading.Event, 'wait', lambda event, limit=None: wait(event, limit and limit / 50))
    fake = inferencer()
    fake.restore_video = restore_video
    bad = restore_all(fake, [job])
    over.set()
    gone = [f"{job.source}: can't be read (it gave nothing for 2 seconds; is its disk gone?)"]
    assert bad == (gone if disk == 'gone' else [])
    assert job.target.exists() == (disk == 'slow')


def test_a_mistake_of_ours_costs_one_picture(pictures, tmp_path, monkeypatch):
    Image.new('L', (3, 3), 7).save(pictures / 'odd.png')

    def network(colours):
        if len(colours) == 3:
            raise ZeroDivisionError('by\nzero')
        return colours

    jobs = plan_jobs(pictures, tmp_path / 'out')
    bad = restore_all(inferencer(network), jobs)
    assert bad == [f'{pictures}/odd.png: ZeroDivisionError: by zero (RESTOREBOX_TRACEBACK=1 shows where)']
    monkeypatch.setenv('RESTOREBOX_TRACEBACK', '1')
    with pytest.raises(ZeroDivisionError):
        restore_all(inferencer(network), jobs)


def test_a_picture_for_which_others_left_no_memory_is_tried_again_alone(pictures, tmp_path):
    tried = []

    def network(colours):
        tried.append(len(colours))
        if len(tried) == 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        return colours

    jobs = plan_jobs(pictures, tmp_path / 'out')
    assert restore_all(inferencer(network), jobs) == []
    assert len(tried) == len(jobs) + 1
    assert all(job.target.exists() for job in jobs)


LESS = """
import resource, sys
from restorebox.cli import restore
from restorebox.cli.main import main
run = restore.run_jobs
def limited(*args):
    taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[1]) * 2**20,) * 2)
    return run(*args)
restore.run_jobs = limited
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
# MiB when the model is there. With 200 and less, native code of PyTorch may end the process by itself, which no Python
# code can catch, and Python's own Thread.start may wait for a thread that could not begin.
@pytest.mark.parametrize('more', [500])
def test_a_lack_of_memory_is_never_damage_and_never_the_end(published, tmp_path, more):
    rng = np.random.default_rng(0)
    (tmp_path / 'in').mkdir()
    for name, size in (('a', (64, 80)), ('b', (2400, 3200)), ('z', (64, 80))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / 'in' / f'{name}.png')
    words = ['restore', 'in', '--out', 'o', '--model', published, '--device', 'cpu', '--memory', '4000']
    command = [sys.executable, '-c', LESS, str(more), *map(str, words)]
    known = dict(cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=900)
    result = subprocess.run(command, **known)
    assert 'Traceback' not in result.stderr, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith('not restored')]
    missing = {'a.png', 'b.png', 'z.png'} - set(names(tmp_path / 'o'))
    assert len(lines) == len(missing)
    assert all(any(f'in/{name}: not enough memory for a picture of' in line for line in lines) for name in missing)
    assert result.returncode == (1 if missing else 0)


def test_a_tiler_cuts_smaller_where_there_is_less_than_was_said(published):
    from restorebox.inference import RestoreInferencer

    tiler = RestoreInferencer(published, device='cpu', memory=10_000).tiler
    picture = np.random.default_rng(0).integers(0, 256, (500, 700, 3), dtype=np.uint8)
    whole, once, sizes = tiler(picture), tiler._once, []

    def short(x, *rest):
        sizes.append(x.shape[-2] * x.shape[-1])
        if sizes[-1] > 300 * 300:
            raise torch.OutOfMemoryError('CUDA out of memory')
        return once(x, *rest)

    tiler._once = short
    parts = tiler(picture)
    assert sizes[0] == 500 * 700
    assert sizes[-1] <= 300 * 300
    assert np.abs(parts.astype(int) - whole).mean() < 1
    assert tiler.memory == 10_000

    def never(x, *rest):
        raise torch.OutOfMemoryError('CUDA out of memory')

    tiler._once = never
    with pytest.raises(torch.OutOfMemoryError):
        tiler(picture)


def test_the_time_that_a_read_has_is_an_option(pictures, published, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(READ_TIMEOUT, '60')
    seen, begin = [], files._Reading.start
    monkeypatch.setattr(files._Reading, 'start', lambda reading: (seen.append(files.read_limit()), begin(reading))[1])
    words = (pictures / 'a.png', '--model', published, '--out', tmp_path / 'out')
    assert restore(*words, '--read-timeout', 7) == 0
    assert seen == [7.0, 7.0]  # the first bytes, by which its kind is known, and all
    monkeypatch.setenv(READ_TIMEOUT, 'soon')
    assert restore(*words) == 1
    assert 'RESTOREBOX_READ_TIMEOUT=soon' in capsys.readouterr().err
