"""Every config of the project passes check-config; a wrong one is named."""

import pytest

from restorebox.cli.check_config import check_config
from restorebox.engine.config import configs_dir
from restorebox.errors import ConfigError

ALL = sorted(p for p in configs_dir().glob('*/*.py') if p.parent.name != '_base_')


def test_there_are_configs():
    assert len(ALL) >= 3


@pytest.mark.parametrize('path', ALL, ids=lambda p: f'{p.parent.name}/{p.name}')
def test_passes(path):
    check_config(str(path))


@pytest.mark.parametrize('path', ALL, ids=lambda p: f'{p.parent.name}/{p.name}')
def test_reads_in_one_breath(path):
    assert len(path.read_text().splitlines()) <= 40


UNET5 = configs_dir() / 'unet' / 'unet5_paired.py'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('train_dataloder = dict(batch_size=2)', "nothing reads 'train_dataloder'; did you mean 'train_dataloader'"),
        (
            "default_hooks = dict(logger=dict(type='LogerHook'))",
            "default_hooks.logger: no hook is called 'LogerHook'; did you mean 'LoggerHook'",
        ),
        ("optim_wrapper = dict(optimizer=dict(type='Adm'))", "no optimiser is called 'Adm'; did you mean 'Adam'"),
        ('optim_wrapper = dict(optimizer=dict(lrr=1))', "Adam has no key 'lrr'; did you mean 'lr'"),
        (
            "param_scheduler = [dict(type='LinearLR', by_epoch=True, end=5)]",
            'by_epoch=True, but train_cfg counts samples',
        ),
        (
            "param_scheduler = [dict(type='LinearLR', strat_factor=1)]",
            "LinearLR has no key 'strat_factor'; did you mean 'start_factor'",
        ),
        (
            "model = dict(losses=dict(x=dict(type='L1Los')))",
            "model.losses.x: no loss is called 'L1Los'; did you mean 'L1Loss'",
        ),
        ('model = dict(generator=dict(backbone=dict(levels=9)))', 'levels is 9; it must be from 1 to 8'),
        ("model = dict(generator=dict(haed=dict(type='PictureHead')))", "has no key 'haed'; did you mean 'head'"),
        (
            "train_dataloader = dict(dataset=dict(type='UnpairedPictures', _delete_=True, data_root='x'))",
            'use PairedPictures',
        ),
        ('train_dataloader = dict(dataset=dict(lq=None))', 'gives gt; give its folder, or a Degrade'),
        ('model = dict(losses=dict(_delete_=True))', 'losses is empty'),
        ("_base_ = 'x' + 'y'", '_base_ must be written out, not computed'),
        ("val_evaluator = dict(protocols=['psnr_z'])", 'psnr_y'),
        ('train_cfg = dict(max_smaples=3)', "SampleTrainLoop has no key 'max_smaples'; did you mean 'max_samples'"),
        ("train_cfg = dict(type='SampleTrainLoop', _delete_=True)", "SampleTrainLoop needs the key 'max_samples'"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, expected):
    config = tmp_path / 'c.py'
    config.write_text(f"_base_ = '{UNET5}'\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        check_config(str(config))
    assert expected in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('key', 'expected'),
    [
        ('model.generator.backbone.levels', None),
        ('model.generator.backbone.dropout', None),  # not in the config, but UNet takes it
        ('randomness.seed', None),
        ('compile', None),
        ('train_dataloader.dataset.pipeline.9.size', 'counted from 0'),
        ('model.genrator.backbone.levels', "did you mean 'generator'"),
        ('max_sample', "did you mean 'max_samples'"),
        ('data_root', 'arrived: train_dataloader.dataset.data_root, val_dataloader.dataset.data_root'),
        ('default_hooks.logger.interval.x', 'it has no'),
    ],
)
def test_overrides_must_reach_something(key, expected):
    if expected is None:
        check_config(str(UNET5), {key: 0 if key != 'model.generator.backbone.levels' else 3})
    else:
        with pytest.raises(ConfigError, match=expected):
            check_config(str(UNET5), {key: 3})
