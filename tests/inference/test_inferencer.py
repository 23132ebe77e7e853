"""From Python: arrays, files, folders, patterns and lists."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

import restorebox
from restorebox.errors import CheckpointError, ConfigError, DataError, PictureError
from tests.factories import write_pairs


@pytest.mark.parametrize('shape', [(20, 31), (20, 31, 1), (20, 31, 3), (20, 31, 4)])
@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float16', 'float32', 'float64', '>f4'])
def test_arrays_keep_shape_and_kind(inferencer, shape, kind):
    rng = np.random.default_rng(0)
    array = rng.random(shape)
    array = array.astype(kind) if np.dtype(kind).kind == 'f' else (array * np.iinfo(kind).max).astype(kind)
    before = array.copy()
    out = inferencer(array)
    assert out.shape == shape
    assert out.dtype == kind
    assert np.array_equal(array, before)
    if shape[-1] == 4:
        np.testing.assert_array_equal(out[..., 3], array[..., 3])


@pytest.mark.parametrize(
    ('array', 'words'),
    [
        (np.zeros((4, 4, 2), np.uint8), r'shape \(4, 4, 2\)'),
        (np.zeros((0, 4, 3), np.uint8), r'shape \(0, 4, 3\)'),
        (np.zeros((4, 4, 3), np.int64), 'int64'),
        (np.full((4, 4, 3), 255.0), r'must lie in \[0, 1\]'),
        (np.full((4, 4, 3), np.nan), r'must lie in \[0, 1\]'),
    ],
)
def test_inputs_that_are_no_pictures_are_an_error(inferencer, array, words):
    with pytest.raises(PictureError, match=words):
        inferencer(array)


@pytest.mark.parametrize('source', [None, 3, torch.zeros(3, 4, 4), Image.new('RGB', (4, 4)), [[None]]])
def test_other_objects_are_a_line(inferencer, source):
    with pytest.raises(PictureError, match=r'^an object of type \w+ is no picture; it must be an array, a path, or'):
        inferencer(source)


def test_pictures_of_one_size_are_restored_together(inferencer, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (20, 31, 3), dtype=np.uint8) for _ in range(5)]
    alone = [inferencer(each) for each in arrays]
    passes, restore = [], inferencer.restorer.restore
    monkeypatch.setattr(
        inferencer.restorer, 'restore', lambda x, **more: (passes.append(len(x)), restore(x, **more))[1]
    )
    pixels = 20 * 31 * inferencer.tiler.pixel_bytes / 2**20
    for memory, sizes in ((1024, [5]), (2.5 * pixels, [2, 2, 1]), (1.5 * pixels, [1] * 5)):
        passes.clear()
        monkeypatch.setattr(inferencer.tiler, 'memory', memory)
        together = inferencer.tiler.batch(arrays)
        assert passes == sizes
        for one, other in zip(alone, together, strict=True):
            assert abs(one.astype(int) - other).max() <= 1
    monkeypatch.setattr(inferencer.tiler, 'strength', 0)
    assert all(map(np.array_equal, inferencer.tiler.batch(arrays), arrays))


@pytest.mark.parametrize('shape', [(1, 31, 3), (20, 1, 3), (20, 31, 3)])
def test_a_turned_array_is_restored(inferencer, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    turned = array[::-1, ::-1]
    np.testing.assert_array_equal(inferencer(turned), inferencer(np.array(turned, order='C', copy=True)))


@pytest.mark.parametrize(
    'other',
    [np.zeros((20, 31, 3), np.uint16), np.zeros((19, 31, 3), np.uint8), np.zeros((20, 31, 4), np.uint8)],
)
def test_a_batch_of_unequal_pictures_is_an_error(inferencer, other):
    with pytest.raises(PictureError, match='a batch must have one size and dtype'):
        inferencer.tiler.batch([np.zeros((20, 31, 3), np.uint8), other])


def test_a_batch_of_grey_pictures_is_an_error(inferencer):
    with pytest.raises(PictureError, match='a batch must have one size and dtype'):
        inferencer.tiler.batch([np.zeros((20, 31), np.uint8)] * 2)


def test_models_with_weights_are_listed():
    assert 'weather' in restorebox.RestoreInferencer.list_models()
    assert 'unet5_paired' not in restorebox.RestoreInferencer.list_models()


def test_files_folders_patterns_and_lists(inferencer, tmp_path):
    write_pairs(tmp_path, 'test', 3)
    folder = tmp_path / 'test' / 'lq'
    one = inferencer(folder / '01.png')
    assert np.array_equal(one, inferencer(np.asarray(Image.open(folder / '01.png'))))
    for source in (folder, f'{folder}/*.png', sorted(folder.iterdir())):
        several = inferencer(source)
        assert len(several) == 3
        assert np.array_equal(several[1], one)
    with pytest.raises(DataError, match=r'no picture fits this pattern'):
        inferencer(f'{folder}/*.jpg')
    with pytest.raises(PictureError, match=r'99\.png: no such file'):
        inferencer(folder / '99.png')


def test_restore_in_a_line_and_a_config_with_a_checkpoint(published, inferencer, tmp_path):
    lq = np.random.default_rng(1).random((16, 16, 3))
    assert np.array_equal(restorebox.restore(lq, model=published, device='cpu'), inferencer(lq))
    config = tmp_path / 'toy.py'
    config.write_text(
        "model = dict(type='SupervisedRestorer', generator=dict(backbone=dict(type='UNet', levels=2, base_width=4, "
        "max_width=8), head=dict(type='PictureHead')), losses=dict(l1=dict(type='L1Loss')))"
    )
    assert np.array_equal(restorebox.restore(lq, model=config, checkpoint=published, device='cpu'), inferencer(lq))
    with pytest.raises(ConfigError, match='a config needs a checkpoint'):
        restorebox.restore(lq, model=config)
    with pytest.raises(CheckpointError, match='it is of another model'):
        restorebox.restore(lq, model='unet5_paired', checkpoint=published)
    with pytest.raises(ConfigError, match=r"device 'gpu7': is not one of cuda, xpu, mps, cpu"):
        restorebox.restore(lq, model=published, device='gpu7')


def test_the_package_hands_the_names_out_when_they_are_asked_for():
    assert restorebox.RestoreInferencer is sys.modules['restorebox.inference'].RestoreInferencer
    with pytest.raises(AttributeError, match='restoer'):
        restorebox.restoer  # noqa: B018
