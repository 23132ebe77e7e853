"""Scores where a picture is too large for the memory."""

from types import SimpleNamespace

import pytest
import torch

from restorebox.datasets.numbered import Numbered
from restorebox.engine.short_memory import MemoryLimitedLoop
from restorebox.errors import DataError
from restorebox.sample import RestorationSample

ROOM = 100 * 100


class Loop:
    """MMEngine's in short: restores a batch where there is room for it, and scores its pictures one after the other."""

    def __init__(self, dataset):
        self.metric = SimpleNamespace(results=[])
        self.evaluator = SimpleNamespace(metrics=[self.metric])
        self.dataloader = SimpleNamespace(dataset=dataset)
        self.bad = []

    def run_iter(self, idx, data_batch):
        self.bad += data_batch['bad']
        pictures = data_batch['inputs'].get('lq', [])
        if sum(each.shape[-2] * each.shape[-1] for each in pictures) > 2 * ROOM:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        for sample, picture in zip(data_batch['data_samples'], pictures, strict=True):
            if picture.shape[-2] * picture.shape[-1] > ROOM:
                raise MemoryError
            self.metric.results.append(sample.name)


class Scoring(MemoryLimitedLoop, Loop):
    """As ours are made."""


def batch(*sides):
    samples = [RestorationSample(metainfo={'name': f'{i}', 'paths': {'lq': f'lq/{i}.png'}}) for i in range(len(sides))]
    pictures = [torch.zeros(3, side, 50) for side in sides]
    alike = len(set(sides)) == 1
    inputs = {'lq': torch.stack(pictures) if alike else pictures}
    return {'inputs': inputs, 'data_samples': samples, 'bad': ['x.png: is damaged']}


@pytest.mark.parametrize('sides', [(150, 150, 150), (150, 20, 190), (50,)])
def test_a_batch_that_is_too_large_goes_one_by_one_and_each_counts_once(sides):
    loop = Scoring(SimpleNamespace(bad_picture='error'))
    loop.run_iter(0, batch(*sides))
    assert loop.metric.results == [str(i) for i in range(len(sides))]
    assert loop.bad.count('x.png: is damaged') == (1 if sum(sides) <= 400 else 2)


@pytest.mark.parametrize('sides', [(20, 210, 30), (20, 900, 30)])
def test_a_picture_that_is_too_large_is_left_out_or_named(sides):
    line = f'lq/1.png: not enough memory to score a picture of 50 x {sides[1]}, which is restored whole'
    for dataset in (
        SimpleNamespace(bad_picture='skip'),
        Numbered(SimpleNamespace(bad_picture='skip')),
    ):
        loop = Scoring(dataset)
        loop.run_iter(0, batch(*sides))
        assert loop.metric.results == ['0', '2']
        assert [each for each in loop.bad if each.startswith(line)]
    with pytest.raises(DataError, match=f"{line}.*, or leave such pictures out with bad_picture='skip'"):
        Scoring(SimpleNamespace(bad_picture='error')).run_iter(0, batch(*sides))


def test_what_is_wrong_otherwise_stays():
    loop = Scoring(SimpleNamespace(bad_picture='skip'))
    with pytest.raises(KeyError):
        loop.run_iter(0, {'inputs': {}})
