"""Reading ahead and writing behind: bounded, in order, and each fault is its own picture's."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from restorebox.cli.restore import WAITING, restore_all
from restorebox.inference import files
from restorebox.inference.inputs import RestoreJob

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
    return SimpleNamespace(tiler=fake)


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

    def reader(path):
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


def test_what_waits_is_bounded(jobs, monkeypatch):
    read, write = files.read_file, files.write_file
    taken, begun, over = [], [], []
    slow = threading.Event()

    def reader(path):
        begun.append(path)
        return read(path)

    def writer(picture, target):
        slow.wait(0.02)
        write(picture, target)

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

    def reader(path):
        picture = read(path)
        if path == jobs[2].source:
            was_read.set()
        return picture

    def writer(picture, target):
        write(picture, target)
        was_written.set()

    def network(colours):
        if colours[0, 0, 0] == 1:
            assert was_read.wait(10)
            assert was_written.wait(10)
        return colours

    monkeypatch.setattr(files, 'read_file', reader)
    monkeypatch.setattr(files, 'write_file', writer)
    assert restore_all(inferencer(network), jobs) == []
