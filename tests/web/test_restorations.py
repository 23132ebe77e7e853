"""The queue of restorations and the jobs, without HTTP."""

import threading
import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('prometheus_client', reason='the extra serve is not installed')

from restorebox.inference.files import read_file
from restorebox.web import Limits, RestorationService
from restorebox.web.exchange import RequestRefused
from restorebox.web.jobs import Jobs
from restorebox.web.metrics import Metrics
from restorebox.web.restorations import BATCH, Restoration, Restorations
from tests.factories import publish_small


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    small = str(publish_small(tmp_path_factory.mktemp('published')))
    return RestorationService({'small': small, 'lost': 'nowhere.safetensors'}, Limits(megabytes=1, megapixels=1), 'cpu')


@pytest.fixture
def queue(service, tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    return Restorations(service, folder, Metrics())


def request(folder, number=0, size=(48, 40), **changes):
    array = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path = folder / f'{number}_{time.monotonic_ns()}'
    Image.fromarray(array).save(path, 'PNG')
    plain = {'source': path, 'name': f'{number}.png', 'kind': 'PNG', 'model': 'small', 'strength': 1.0}
    return Restoration(**plain | changes)


def hold(queue, each):
    """Keep the thread busy with one restoration until the returned event is set."""
    held, go = threading.Event(), threading.Event()
    inner = queue.service.read

    def read(path, name):
        held.set()
        go.wait(60)
        queue.service.read = inner
        return inner(path, name)

    queue.service.read = read
    queue.add(each)
    assert held.wait(60)
    return go


def test_pictures_of_one_size_are_restored_together(queue, tmp_path):
    go = hold(queue, request(tmp_path, 99))
    same = [request(tmp_path, number) for number in range(BATCH + 2)]
    other = [request(tmp_path, 50, (40, 48)), request(tmp_path, 51, strength=0.5)]
    for each in (*same[:3], *other, *same[3:]):
        queue.add(each)
    go.set()
    results = [each.result.result(60)[0] for each in (*same, *other)]
    alone = queue.service
    for each, path in zip((*same, *other), results, strict=True):
        assert not each.source.exists()
        got = read_file(path).colours.astype(int)
        again = request(tmp_path, int(each.name.split('.')[0]), each.size)
        expected = alone.restore_batch([alone.read(again.source, 'a')], 'small', each.strength)[0].colours.astype(int)
        assert np.abs(got - expected).max() <= 1
    samples = [sample for metric in queue.metrics.registry.collect() for sample in metric.samples]
    counts = {each.labels['le']: each.value for each in samples if each.name == 'restorebox_batch_pictures_bucket'}
    assert counts['+Inf'] - counts['6.0'] == 1  # the eight
    assert counts['1.0'] == 3  # the first, the other size, the other strength
    assert counts['+Inf'] == 5


def test_an_error_concerns_its_picture_only(queue, tmp_path):
    go = hold(queue, request(tmp_path, 99))
    good, bad = request(tmp_path, 1), request(tmp_path, 2)
    data = bad.source.read_bytes()
    bad.source.write_bytes(data[: len(data) // 2])  # the header is whole
    odd = [request(tmp_path, 3, model='lost'), request(tmp_path, 4, model='none'), request(tmp_path, 5, strength=3.0)]
    for each in (good, bad, *odd):
        queue.add(each)
    go.set()
    assert good.result.result(60)[0].exists()
    errors = [each.result.exception(60) for each in (bad, *odd)]
    assert [error.status for error in errors] == [422, 500, 422, 422]
    assert errors[0].message.startswith('2.png: ')
    assert not any(str(tmp_path) in error.message for error in errors)
    assert queue.alive


def test_alpha_is_not_dropped_silently(queue, tmp_path):
    path = tmp_path / 'clear'
    Image.new('RGBA', (20, 20), (1, 2, 3, 128)).save(path, 'PNG')
    each = request(tmp_path, source=path, kind='JPEG')
    queue.add(each)
    assert each.result.exception(60).status == 406


def test_a_cancelled_restoration_leaves_nothing(queue, tmp_path):
    first, second = request(tmp_path, 1), request(tmp_path, 2)
    go = hold(queue, first)
    queue.add(second)
    queue.cancel(second)
    queue.cancel(first)
    assert not second.source.exists()
    assert isinstance(second.result.exception(0), RequestRefused)
    go.set()
    assert first.result.exception(60).status == 410
    last = request(tmp_path, 3)
    queue.add(last)
    last.result.result(60)
    assert [path.name for path in queue.folder.iterdir()] == [f'{last.key}.png']


def test_jobs_expire_and_have_a_storage_limit(queue, tmp_path):
    jobs = Jobs(queue, age=1000, capacity=10**6, count=2)
    made = [jobs.add(request(tmp_path, number)) for number in range(4)]
    for job in made:
        job.restoration.result.result(60)
    while made[-1].ended is None:
        time.sleep(0.01)
    jobs.tidy()
    assert [job.status for job in made] == ['done'] * 4
    assert sum(job.file.exists() for job in made) == 2  # the oldest have gone
    with pytest.raises(RequestRefused, match='no such job'):
        jobs.find(made[0].restoration.key)
    kept = jobs.find(made[3].restoration.key)
    jobs.capacity = kept.file.stat().st_size
    jobs.tidy()
    assert [job.file.exists() for job in made] == [False, False, False, True]
    jobs.age = 0
    jobs.tidy()
    assert not kept.file.exists()
    assert list(queue.folder.iterdir()) == []
