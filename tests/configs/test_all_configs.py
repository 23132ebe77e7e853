"""Every config of the project and every row passes check-config; a wrong one is named."""

import ast
import json
import re

import pytest

from restorebox.engine.check import check_types
from restorebox.engine.config import load_config
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.rows import read_rows
from tests.conftest import REPO

pytestmark = pytest.mark.slow

ALL = sorted(p for p in configs_dir().glob('*/*.py') if p.parent.name != '_base_')


BUILT = set()  # models that a process has built: rows of several configs have the same


def rows_of(path):
    return [row for row in read_rows(path.parent).values() if path.name in row.of]


def bases(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '_base_':
            value = ast.literal_eval(node.value)
            return [(path.parent / base).resolve() for base in ([value] if isinstance(value, str) else value)]
    return []


def files_read(path):
    return {path, *(file for base in bases(path) for file in files_read(base))}


def depth(path):
    return 1 + max((depth(base) for base in bases(path)), default=0)


def test_there_are_configs_and_rows():
    assert len(ALL) >= 3
    assert sum(len(rows_of(path)) for path in ALL) >= 3


def test_comments_point_to_pages_of_the_repository():
    found = [
        (str(path.relative_to(configs_dir())), name.rstrip('.,;'))
        for path in configs_dir().rglob('*.py')
        for name in re.findall(r'#.*\b(?:Card|Page): (\S+)', path.read_text())
    ]
    assert found
    assert not [each for each in found if not (REPO / each[1]).is_file()]


@pytest.mark.parametrize('path', ALL, ids=lambda p: f'{p.parent.name}/{p.name}')
def test_passes(path):
    check_config(str(path))


@pytest.mark.parametrize('path', ALL, ids=lambda p: f'{p.parent.name}/{p.name}')
def test_rows_pass(path):
    for row in rows_of(path):
        cfg = load_config(path, row=row.name)
        model = json.dumps(cfg.model, sort_keys=True, default=repr)
        if model not in BUILT and any(key.split('.')[0] == 'model' for key in row.differences):
            check_config(str(path), row=row.name)
            BUILT.add(model)
        else:
            check_types(cfg)


@pytest.mark.parametrize('path', ALL, ids=lambda p: f'{p.parent.name}/{p.name}')
def test_is_short_and_made_of_few_files(path):
    assert len(path.read_text().splitlines()) <= 40
    assert len(files_read(path)) <= 6
    assert depth(path) <= 3


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
        ('model = dict(generator=dict(backbone=dict(levels=9)))', 'levels is 9; it must be'),
        ("model = dict(generator=dict(haed=dict(type='PictureHead')))", "has no key 'haed'; did you mean 'head'"),
        (
            "train_dataloader = dict(dataset=dict(type='UnpairedPictures', _delete_=True, data_root='x'))",
            'use PairedPictures',
        ),
        ('train_dataloader = dict(dataset=dict(lq=None))', 'gives gt; give its folder, or a Degrade'),
        ('train_dataloader = dict(batch_size=0)', 'batch_size is 0; it must be a whole number from 1'),
        ("train_dataloader = dict(num_workers='two')", "num_workers is 'two'"),
        (
            'train_dataloader = dict(num_worker=2)',
            "config, train_dataloader: it has no key 'num_worker'; did you mean 'num_workers'",
        ),
        ("train_dataloader = dict(sampler=dict(type='DefaultSampler'))", "use dict(type='KeyedSampler')"),
        ('train_cfg = dict(max_samples=-5)', 'max_samples is -5'),
        ('default_hooks = dict(checkpoint=dict(every_samples=0))', 'every_samples is 0'),
        ('default_hooks = dict(logger=dict(interval=0))', 'interval is 0'),
        ("model = dict(statistics_window='abc')", "statistics_window is 'abc'"),
        (
            "model = dict(generator=dict(backbone=dict(levels='five')))",
            "model.generator.backbone: UNet: levels is 'five'; it must be a whole number",
        ),
        ('optim_wrapper = dict(optimizer=dict(lr=-1))', 'Invalid learning rate'),
        ('optim_wrapper = dict(accumulative_counts=0)', 'config, optim_wrapper'),
        ('val_evaluator = None', "go together; 'val_evaluator' is missing"),
        ('randomness = dict(sed=1)', "randomness: it has no key 'sed'; did you mean 'seed'"),
        ('env_cfg = dict(cudnn_benchmrk=True)', "did you mean 'cudnn_benchmark'"),
        ("val_dataloader = dict(sampler=dict(type='KeyedSampler'))", 'it is infinite; use'),
        ("log_level = 'LOUD'", "there is no log_level 'LOUD'"),
        ("compile = 'maybe'", "compile is 'maybe'"),
        ("param_scheduler = dict(_delete_=True, genrator=dict(type='LinearLR'))", "there is no step 'genrator'"),
        ("train_dataloader = dict(dataset=dict(type='ConcatDataset', _delete_=True, datasets=[]))", 'config, train_'),
        ('crop = 100\n_d = {}', "nothing reads '_d'"),
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
        check_config(str(UNET5), {key: {'model.generator.backbone.levels': 3, 'compile': False}.get(key, 0)})
    else:
        with pytest.raises(ConfigError, match=expected):
            check_config(str(UNET5), {key: 3})


def test_a_window_must_fit_the_networks(tmp_path):
    config = tmp_path / 'c.py'
    config.write_text(
        f"_base_ = '{UNET5}'\ntrain_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadPictures'), "
        "dict(type='RandomWindow', size=100), dict(type='Pack')]))\n"
    )
    with pytest.raises(ConfigError, match='a window of 100x100 does not fit the networks; they need multiples of 32'):
        check_config(str(config))


def test_the_config_that_a_run_writes_out_passes(tmp_path):
    from restorebox.cli.common import prepare
    from restorebox.cli.train import parse

    cfg = prepare(parse([str(UNET5), '--work-dir', str(tmp_path)]))
    cfg.dump(tmp_path / 'dumped.py')
    check_config(str(tmp_path / 'dumped.py'))
