"""Collation of samples to batches."""

from __future__ import annotations

import pytest
import torch

from restorebox.datasets.collate import collate_roles
from restorebox.errors import DataError
from restorebox.registry import FUNCTIONS
from restorebox.sample import RestorationSample


def sample(name='a', bad=(), **inputs):
    return {'inputs': inputs, 'data_samples': RestorationSample(metainfo={'name': name, 'bad': list(bad)})}


def test_registered():
    assert FUNCTIONS.get('collate_roles') is collate_roles


def test_equal_sizes_are_stacked():
    batch = collate_roles([sample(lq=torch.full((3, 4, 5), float(i)), gt=torch.zeros(3, 4, 5)) for i in range(3)])
    assert batch['inputs']['lq'].shape == (3, 3, 4, 5)
    assert batch['inputs']['lq'][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert len(batch['data_samples']) == 3
    assert batch['bad'] == []


def test_unequal_sizes_stay_a_list():
    batch = collate_roles([sample(lq=torch.zeros(3, 4, n), gt=torch.zeros(3, 2, 2)) for n in (5, 6)])
    assert [tuple(t.shape) for t in batch['inputs']['lq']] == [(3, 4, 5), (3, 4, 6)]
    assert isinstance(batch['inputs']['gt'], torch.Tensor)


def test_pictures_of_8_and_of_16_bits_are_one_batch():
    eight, sixteen = torch.full((3, 4, 4), 51, dtype=torch.uint8), torch.full((3, 4, 4), 0.7)
    batch = collate_roles([sample(lq=eight, gt=eight), sample(lq=sixteen, gt=eight)])
    assert batch['inputs']['gt'].dtype == torch.uint8
    assert batch['inputs']['lq'].dtype == torch.float32
    assert batch['inputs']['lq'].shape == (2, 3, 4, 4)
    assert batch['inputs']['lq'][:, 0, 0, 0].tolist() == pytest.approx([51 / 255, 0.7])


def test_bad_samples_are_dropped_and_their_lines_kept():
    batch = collate_roles([sample('a', ['x: empty']), sample('b', ['y: cut'], lq=torch.zeros(3, 2, 2))])
    assert batch['inputs']['lq'].shape == (1, 3, 2, 2)
    assert [s.name for s in batch['data_samples']] == ['b']
    assert [s.name for s in batch['dropped']] == ['a']
    assert batch['bad'] == ['x: empty', 'y: cut']


def test_all_bad():
    batch = collate_roles([sample('a', ['x: empty'])])
    assert [s.name for s in batch.pop('dropped')] == ['a']
    assert batch == {'inputs': {}, 'data_samples': [], 'bad': ['x: empty']}


def test_different_roles_are_an_error():
    with pytest.raises(DataError, match='different roles: a has lq, gt, b has lq'):
        collate_roles([sample('a', lq=torch.zeros(1), gt=torch.zeros(1)), sample('b', lq=torch.zeros(1))])
