"""Reading ahead and writing behind: bounded, in order, and each fault is its own picture's."""

import itertools
import os
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from restorebox import files as reading
from restorebox.files import READ_TIMEOUT
from restorebox.inference import files
from restorebox.inference.inputs import RestoreJob, plan_jobs
from restorebox.inference.queue import WAITING, restore_all

pytestmark = pytest.mark.slow

COUNT = 12


@pytest.fixture
def jobs(tmp_path):
    for i in range(COUNT):
        Image.new('RGB', (8, 6), (i, i, i)).save(tmp_path / f'{i:02d}.png')
    return [RestoreJob(tmp_path / f'{i:02d}.png', tmp_path / 'out' / f'{i:02d}.png') for i in range(COUNT)]


def inferencer(network=lambda colours: colours + 100, device='cpu'):
    """What restore_all reads of one."""

    class Fake:
        def __call__(self, colours):
            return network(colours)

    fake = Fake()
    fake.device = torch.device(device)
    return SimpleNamespace(tiler=fake, max_pixels=10**6, restore_picture=lambda picture: picture.restored(fake))


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_every_picture_goes_into_its_own_file(jobs, device):
    assert restore_all(inferencer(device=device), jobs) == []
    for i, job in enumerate(jobs):
        assert (np.asarray(Image.open(job.target)) == i + 100).all()


def test_a_failed_write_is_named_with_its_picture_and_the_others_are_there(jobs):
    for i in (3, 7):
        jobs[i].target.mkdir(parents=True)  # no file can take a folder's place
    bad = restore_all(inferencer(), jobs)
    assert [line.split(': ')[:2] for line in bad] == [[str(jobs[i].source), str(jobs[i].target)] for i in (3, 7)]
    assert sum(job.target.is_file() for job in jobs) == COUNT - 2
    assert not list(jobs[0].target.parent.glob('.*'))


def test_a_lack_of_memory_is_named(jobs, monkeypatch):
    def short(colours):
        if colours[0, 0, 0] == 5:
            raise torch.OutOfMemoryError('too large')
        return colours

    read = files.read_file

    def reader(path, max_pixels):
        if path.name == '08.png':
            raise MemoryError
        return read(path)

    monkeypatch.setattr(files, 'read_file', reader)
    bad = restore_all(inferencer(short), jobs)
    assert bad == [
        f'{jobs[i].source}: not enough memory for a picture of 8 x 6; lower --memory or close other programs'
        for i in (5, 8)
    ]
    assert not jobs[8].target.exists()


def test_the_queue_is_bounded(jobs, monkeypatch):
    read, write = files.read_file, files.write_file
    taken, begun, over = [], [], []
    slow = threading.Event()

    def reader(path, max_pixels):
        begun.append(path)
        return read(path)

    def writer(picture, target, quality):
        slow.wait(0.02)
        return write(picture, target)

    def network(colours):
        taken.append(1)
        over.append(len(begun) - len(taken))
        return colours

    monkeypatch.setattr(files, 'read_file', reader)
    monkeypatch.setattr(files, 'write_file', writer)
    assert restore_all(inferencer(network), jobs) == []
    assert max(over) <= WAITING
    assert sum(job.target.exists() for job in jobs) == COUNT


def test_reading_and_writing_go_on_while_the_network_works(jobs, monkeypatch):
    """The network waits for a file that is written, and for one that is read, while it is at another."""
    read, write = files.read_file, files.write_file
    was_read, was_written = threading.Event(), threading.Event()

    def reader(path, max_pixels):
        picture = read(path)
        if path == jobs[2].source:
            was_read.set()
        return picture

    def writer(picture, target, quality):
        lost = write(picture, target)
        was_written.set()
        return lost

    def network(colours):
        if colours[0, 0, 0] == 1:
            assert was_read.wait(10)
            assert was_written.wait(10)
        return colours

    monkeypatch.setattr(files, 'read_file', reader)
    monkeypatch.setattr(files, 'write_file', writer)
    assert restore_all(inferencer(network), jobs) == []


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'in'
    for name in ('a.png', 'sub/b.png', 'locked/c.png'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('L', (9, 7), 90).save(folder / name)
    return folder


def test_a_read_that_never_ends_is_given_up(pictures, tmp_path, monkeypatch):
    over, opened = threading.Event(), reading.open_regular

    def dead(path, flags):
        if os.path.basename(path) == 'a.png':
            over.wait()
        return opened(path, flags)

    monkeypatch.setattr(reading, 'open_regular', dead)
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

    def restore_video(source, target, progress, note, restorer, only_if_damaged):
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
    fake.frame_restorer = lambda examined: SimpleNamespace(findings=None, flicker=None)
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
