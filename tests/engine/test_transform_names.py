"""Overrides by the name of a transform, and windows that exceed the resized pictures."""

import pytest

from restorebox.engine.config import load_config
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError

PAIRED = 'configs/unet/unet5_paired.py'


def steps(cfg, part):
    return {step['type']: step for step in cfg[f'{part}_dataloader'].dataset.pipeline}


def test_a_name_stands_for_all_pipelines_or_one():
    cfg = load_config(PAIRED, {'pipeline.RandomWindow.size': 64, 'pipeline.LoadPictures.cache_gib': 3})
    assert steps(cfg, 'train')['RandomWindow']['size'] == 64
    assert [steps(cfg, part)['LoadPictures']['cache_gib'] for part in ('train', 'val', 'test')] == [3, 3, 3]
    cfg = load_config(PAIRED, {'test_dataloader.dataset.pipeline.LoadPictures.cache_gib': 3})
    assert 'cache_gib' not in steps(cfg, 'train')['LoadPictures']
    assert steps(cfg, 'test')['LoadPictures']['cache_gib'] == 3
    cfg = load_config(PAIRED, {'train_dataloader.dataset.pipeline.1.size': 32})
    assert steps(cfg, 'train')['RandomWindow']['size'] == 32


@pytest.mark.parametrize(
    ('key', 'expected'),
    [
        ('pipeline.RandomWndow.size', "no pipeline there has a 'RandomWndow'; did you mean 'RandomWindow'"),
        ('pipeline.RandomWindow.sise', "RandomWindow has no key 'sise'"),
        ('test_dataloader.dataset.pipeline.RandomWindow.size', "no pipeline there has a 'RandomWindow'"),
        ('train_dataloader.dataset.pipeline.Flip.p', 'the pipeline has 2 of them; give the number of one'),
    ],
)
def test_a_wrong_name_is_named(tmp_path, key, expected):
    (tmp_path / 'c.py').write_text(
        "_base_ = '{{$RESTOREBOX_CONFIGS:}}/unet/unet5_paired.py'\n"
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadPictures'), dict(type='RandomWindow', size=64), "
        "dict(type='Flip'), dict(type='Flip', direction='vertical'), dict(type='Pack')]))\n"
    )
    with pytest.raises(ConfigError) as caught:
        check_config(str(tmp_path / 'c.py'), {key: 0.5})
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ('resize', 'window', 'said'),
    [
        ('size=(96, 160)', 128, 'a window of 128x128 exceeds the pictures, resized to 96x160 before'),
        ('short=96', 128, 'a window of 128x128 exceeds the pictures, resized to a shorter side of 96 before'),
        ('short=128', 128, None),
        ('size=(128, 160)', 128, None),
    ],
)
def test_a_window_larger_than_the_picture_is_said(tmp_path, resize, window, said):
    (tmp_path / 'c.py').write_text(
        f"_base_ = '{{{{$RESTOREBOX_CONFIGS:}}}}/unet/unet5_paired.py'\n"
        f"train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadPictures'), dict(type='Resize', {resize}), "
        f"dict(type='RandomWindow', size={window}), dict(type='Pack')]))\n"
    )
    load_config(PAIRED)  # sets RESTOREBOX_CONFIGS
    found = check_config(str(tmp_path / 'c.py'))
    assert [said in line for line in found] == ([True] if said else [])
