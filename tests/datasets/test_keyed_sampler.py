"""Stream of sample keys: order, ranks, resuming."""

from __future__ import annotations

import pickle
from itertools import islice

import numpy as np
import pytest

from restorebox.datasets import sampler as module
from restorebox.datasets.keys import SampleKey, as_key
from restorebox.datasets.sampler import KeyedSampler
from restorebox.registry import DATA_SAMPLERS


def of_rank(monkeypatch, rank, world, **arguments):
    monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world))
    return KeyedSampler(range(10), **arguments)


def take(sampler, count):
    return list(islice(iter(sampler), count))


def test_every_epoch_is_another_permutation():
    keys = take(KeyedSampler(range(10), seed=3), 30)
    assert [key.position for key in keys] == list(range(30))
    assert [key.epoch for key in keys] == [0] * 10 + [1] * 10 + [2] * 10
    orders = [tuple(key.index for key in keys[i : i + 10]) for i in (0, 10, 20)]
    assert len(set(orders)) == 3
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[1] == tuple(np.random.default_rng([3, 1]).permutation(10))


def test_seeds_differ_and_repeat():
    assert take(KeyedSampler(range(10), seed=1), 10) == take(KeyedSampler(range(10), seed=1), 10)
    assert take(KeyedSampler(range(10), seed=1), 10) != take(KeyedSampler(range(10), seed=2), 10)


def test_without_shuffle_in_order():
    assert [key.index for key in take(KeyedSampler(range(4), shuffle=False), 9)] == [0, 1, 2, 3, 0, 1, 2, 3, 0]


@pytest.mark.parametrize('start', [0, 7, 12])
def test_two_ranks_cover_the_positions_of_one_step_by_step(monkeypatch, start):
    one = of_rank(monkeypatch, 0, 1, seed=5)
    ranks = [of_rank(monkeypatch, rank, 2, seed=5) for rank in (0, 1)]
    for sampler in (one, *ranks):
        sampler.skip(start)
    alone, first, second = take(one, 32), take(ranks[0], 16), take(ranks[1], 16)
    for step in range(4):  # batches of 4 per rank, 8 alone
        now = slice(4 * step, 4 * step + 4)
        together = sorted(first[now] + second[now], key=lambda key: key.position)
        assert together == alone[8 * step : 8 * step + 8]


@pytest.mark.parametrize('skipped', [0, 1, 9, 10, 11, 57])
def test_skip_equals_iterating(skipped):
    sampler = KeyedSampler(range(10), seed=2)
    expected = take(sampler, skipped + 15)[skipped:]
    sampler.skip(skipped)
    assert take(sampler, 15) == expected


def test_skip_costs_nothing_per_sample(monkeypatch):
    sampler = KeyedSampler(range(1000), seed=2)
    computed = []
    order = sampler._order
    monkeypatch.setattr(sampler, '_order', lambda epoch, length: computed.append(epoch) or order(epoch, length))
    sampler.skip(10**12 + 5)
    take(sampler, 3)
    assert computed == [10**9]


def test_length_is_one_epoch_of_this_rank(monkeypatch):
    assert len(of_rank(monkeypatch, 0, 1)) == 10
    assert len(of_rank(monkeypatch, 2, 3)) == 4


def test_built_as_the_runner_does():
    config = {'type': 'KeyedSampler', 'shuffle': False}
    sampler = DATA_SAMPLERS.build(config, default_args={'dataset': range(3), 'seed': None})
    assert isinstance(sampler.seed, int)
    assert take(sampler, 1) == [SampleKey(0, 0, 0)]


def test_plain_indices_become_keys():
    assert as_key(3, 10) == SampleKey(3, 0, 3)
    assert as_key(np.int64(3), 10) == SampleKey(3, 0, 3)
    assert as_key(-1, 10) == SampleKey(9, 0, 9)
    assert as_key(SampleKey(1, 2, 3), 10) == SampleKey(1, 2, 3)
    for wrong in (10, -11, SampleKey(10)):
        with pytest.raises(IndexError):
            as_key(wrong, 10)


def test_a_key_travels_to_a_worker():
    assert pickle.loads(pickle.dumps(SampleKey(1, 2, 3))) == SampleKey(1, 2, 3)


def test_draws_depend_on_seed_epoch_position_and_attempt_but_not_on_the_index():
    draws = {
        SampleKey(0, epoch, position).rng(seed, attempt).random()
        for seed in (0, 1)
        for epoch in (0, 1)
        for position in (0, 1)
        for attempt in (0, 1)
    }
    assert len(draws) == 16
    assert SampleKey(0, 1, 2).rng(0).random() == SampleKey(5, 1, 2).rng(0).random()
    assert SampleKey(0, 1, 2).rng(9).random() == np.random.default_rng([9, 1, 2]).random()
