"""The cache of decoded pictures does not change the samples."""

import os

import numpy as np
import pytest
from PIL import Image

from restorebox.datasets import cache as module
from restorebox.datasets.cache import PictureCache
from restorebox.datasets.transforms import LoadPictures
from restorebox.errors import ConfigError, PictureError


@pytest.fixture
def picture(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / 'a.png')
    return tmp_path / 'a.png', array


def test_it_decodes_once_and_gives_the_same(picture, tmp_path, monkeypatch):
    path, array = picture
    cache = PictureCache(tmp_path / 'cache')
    assert np.array_equal(cache.read(str(path)), array)
    monkeypatch.setattr(module, 'read_picture', lambda _: pytest.fail('decoded twice'))
    again = PictureCache(tmp_path / 'cache').read(str(path))
    assert np.array_equal(again, array)
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable


def test_a_changed_picture_is_decoded_anew(picture, tmp_path):
    path, array = picture
    cache = PictureCache(tmp_path / 'cache')
    cache.read(str(path))
    Image.fromarray(255 - array).save(path)
    os.utime(path, ns=(1, 1))
    assert np.array_equal(cache.read(str(path)), 255 - array)


def test_a_damaged_file_of_the_cache_is_replaced(picture, tmp_path):
    path, array = picture
    cache = PictureCache(tmp_path / 'cache')
    cache.read(str(path))
    (kept,) = (tmp_path / 'cache').iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert np.array_equal(cache.read(str(path)), array)
    assert isinstance(cache.read(str(path)), np.memmap)


def test_the_budget_is_kept(picture, tmp_path):
    path, array = picture
    cache = PictureCache(tmp_path / 'cache', gib=1000 / 2**30)
    for _ in range(2):
        assert np.array_equal(cache.read(str(path)), array)
    assert list((tmp_path / 'cache').iterdir()) == []
    with pytest.raises(ConfigError, match='positive'):
        PictureCache(tmp_path, gib=0)


def test_a_folder_that_cannot_be_written_costs_time_only(picture, tmp_path):
    path, array = picture
    (tmp_path / 'file').write_text('')
    assert np.array_equal(PictureCache(tmp_path / 'file').read(str(path)), array)


def test_bad_pictures_are_named_and_not_kept(tmp_path):
    (tmp_path / 'bad.png').write_bytes(b'nothing')
    with pytest.raises(PictureError, match=r'bad\.png'):
        PictureCache(tmp_path / 'cache').read(str(tmp_path / 'bad.png'))
    assert not (tmp_path / 'cache').exists()


def test_loading_through_it(picture, tmp_path):
    path, array = picture
    step = LoadPictures(cache=str(tmp_path / 'cache'))
    for _ in range(2):
        results = step.transform({'paths': {'lq': str(path)}, 'halves': {'lq': (1, 2)}})
        assert np.array_equal(results['lq'], array[:, 15:])


def test_a_name_that_is_not_utf8_is_kept_too(picture, tmp_path):
    path, array = picture
    odd = os.path.join(tmp_path, os.fsdecode(b'caf\xe9.png'))
    os.rename(path, odd)
    cache = PictureCache(tmp_path / 'cache')
    assert np.array_equal(cache.read(odd), array)
    assert isinstance(cache.read(odd), np.memmap)
