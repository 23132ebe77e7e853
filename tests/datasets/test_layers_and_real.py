"""Pairs with known layers, together with unpaired real pictures."""

import numpy as np
import pytest
from PIL import Image

from restorebox.datasets.pictures import PairedPictures
from restorebox.errors import ConfigError, DataError
from tests.factories import write_pairs

LOAD = [dict(type='LoadPictures'), dict(type='RandomWindow', size=16), dict(type='Flip'), dict(type='Pack')]


@pytest.fixture
def layered(tmp_path):
    write_pairs(tmp_path / 'set', 'train', 3)
    for role in ('streak', 'airlight'):
        folder = tmp_path / 'set' / 'train' / role
        folder.mkdir()
        for i in range(3):  # what a layer of the same scene is: the clean picture itself, told by a shift of its values
            gt = np.asarray(Image.open(tmp_path / 'set' / 'train' / 'gt' / f'{i:02d}.png'))
            Image.fromarray(gt // 2 + (100 if role == 'airlight' else 0)).save(folder / f'{i:02d}.png')
    (tmp_path / 'real').mkdir()
    for i in range(4):
        Image.fromarray(np.full((30, 40, 3), 10 * i, np.uint8)).save(tmp_path / 'real' / f'{i}.png')
    return tmp_path


def test_layers_go_through_the_same_window(layered):
    data = PairedPictures(layered / 'set', layers=('streak', 'airlight'), pipeline=LOAD)
    assert data.roles == ('lq', 'gt', 'streak', 'airlight')
    for i in range(3):
        inputs = data[i]['inputs']
        assert (inputs['streak'] == inputs['gt'] // 2).all()
        assert (inputs['airlight'] == inputs['gt'] // 2 + 100).all()


def test_a_layer_that_is_missing_is_named(layered):
    (layered / 'set' / 'train' / 'streak' / '01.png').unlink()
    data = PairedPictures(layered / 'set', layers=('streak',), pipeline=LOAD, lazy_init=True)
    with pytest.raises(DataError, match=r'has no streak of 01$'):
        data.full_init()
    with pytest.raises(DataError, match=r"'train'.*transmission"):
        PairedPictures(layered / 'set', layers=('transmission',), pipeline=LOAD)
    with pytest.raises(ConfigError, match='layers are those of degraded pictures'):
        PairedPictures(layered / 'set', lq=None, layers=('streak',), pipeline=LOAD)


def test_real_pictures_are_drawn_anew_and_alike_for_one_key(layered):
    data = PairedPictures(layered / 'set', real=layered / 'real', pipeline=LOAD)
    seen = {int(data[i]['inputs']['real'][0, 0, 0]) for i in range(3)}
    twin = PairedPictures(layered / 'set', real=layered / 'real', pipeline=LOAD, seed=1)
    seen |= {int(twin[i]['inputs']['real'][0, 0, 0]) for i in range(3)}
    assert len(seen) > 1
    assert seen <= {0, 10, 20, 30}
    assert (data[1]['inputs']['real'] == data[1]['inputs']['real']).all()
    assert 'real' not in data.roles  # no method may ask for it
    with pytest.raises(DataError, match='nowhere'):
        PairedPictures(layered / 'set', real=layered / 'nowhere', pipeline=LOAD)
