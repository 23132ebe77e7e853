"""DegradedPictures: pictures without clean ones."""

from __future__ import annotations

import pytest

from restorebox.errors import DataError
from restorebox.registry import DATASETS
from tests.factories import write_pairs

LOAD = [dict(type='LoadPictures'), dict(type='Pack')]


def test_degraded_pictures_alone(tmp_path):
    write_pairs(tmp_path, 'test', 3)
    dataset = DATASETS.build(dict(type='DegradedPictures', data_root=str(tmp_path), pipeline=LOAD))
    assert len(dataset) == 3
    assert dataset.roles == ('lq',)
    assert set(dataset.get_data_info(1)['paths']) == {'lq'}
    assert [dataset.get_data_info(i)['name'] for i in range(3)] == ['00', '01', '02']
    assert set(dataset[0]['inputs']) == {'lq'}
    with pytest.raises(DataError, match='no such folder'):
        DATASETS.build(dict(type='DegradedPictures', data_root=str(tmp_path), split='elsewhere'))
