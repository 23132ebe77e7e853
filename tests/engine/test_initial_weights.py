"""Weights by role and by pattern at the start of a training, and weights that stay as they are."""

import copy
import logging

import pytest
import torch
from torch import nn

from restorebox.engine.checkpoint import load_file, save_file
from restorebox.engine.config import load_config
from restorebox.engine.initial_weights import check_init_from, freeze, load_init_from
from restorebox.engine.running import check_config, run_config
from restorebox.errors import CheckpointError, ConfigError
from tests.factories import small_restorer, write_pairs
from tests.processes import write_config

LOG = logging.getLogger('initial weights')


@pytest.fixture
def source(tmp_path):
    """A checkpoint of a small restorer with other weights, and the restorer."""
    model = small_restorer('SupervisedRestorer')
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1)
    save_file({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'other.pth')
    return str(tmp_path / 'other.pth'), model


def equal_names(model, other):
    """Names of the weights that two restorers have in common."""
    theirs = other.state_dict()
    return {name for name, weight in model.state_dict().items() if torch.equal(weight, theirs[name])}


def test_a_role_is_loaded_whole(source, tmp_path, caplog):
    path, other = source
    model = small_restorer('SupervisedRestorer')
    count = len(model.state_dict())
    assert not equal_names(model, other)
    with caplog.at_level(logging.INFO, LOG.name):
        load_init_from(model, {'generator': path}, LOG, tmp_path)
    assert len(equal_names(model, other)) == count
    assert f'{count} of {count} weights of generator from' in caplog.text
    assert len((tmp_path / 'initial_weights.txt').read_text().splitlines()) == count


def test_keys_select_weights_and_the_others_are_named(source, tmp_path, caplog):
    path, other = source
    model = small_restorer('SupervisedRestorer')
    with caplog.at_level(logging.INFO, LOG.name):
        load_init_from(model, {'generator': dict(checkpoint=path, keys=['backbone.down*'])}, LOG, tmp_path)
    loaded = equal_names(model, other)
    assert loaded == {name for name in model.state_dict() if name.startswith('generator.backbone.down')}
    assert 'is not named by keys' in caplog.text
    lines = (tmp_path / 'initial_weights.txt').read_text().splitlines()
    assert sum('initial value, is not named by keys' in line for line in lines) == len(lines) - len(loaded)


def test_a_partial_load_keeps_what_does_not_fit_and_says_so(source, tmp_path, caplog):
    path, other = source
    checkpoint = load_file(path)
    names = list(checkpoint['state_dict'])
    checkpoint['state_dict'][names[0]] = torch.zeros(1, 2, 3)
    del checkpoint['state_dict'][names[1]]
    save_file(checkpoint, tmp_path / 'changed.pth')
    changed = str(tmp_path / 'changed.pth')
    model = small_restorer('SupervisedRestorer')
    before = copy.deepcopy(model)
    with pytest.raises(CheckpointError, match='it is of another model'):
        load_init_from(model, {'generator': changed}, LOG, tmp_path)
    assert len(equal_names(model, before)) == len(names)
    with caplog.at_level(logging.INFO, LOG.name):
        load_init_from(model, {'generator': dict(checkpoint=changed, partial=True)}, LOG, tmp_path)
    assert equal_names(model, other) == set(names[2:])
    assert equal_names(model, before) == set(names[:2])
    assert f'{len(names) - 2} of {len(names)} weights' in caplog.text
    assert 'is (1, 2, 3) there and' in caplog.text
    assert 'is not in the file' in caplog.text


def test_a_role_of_another_name(source, tmp_path):
    path, other = source
    checkpoint = load_file(path)
    renamed = {key.replace('generator.', 'student.'): value for key, value in checkpoint['state_dict'].items()}
    save_file({'state_dict': renamed, 'meta': {}}, tmp_path / 'renamed.pth')
    model = small_restorer('SupervisedRestorer')
    with pytest.raises(CheckpointError, match="it has no role 'generator'"):
        load_init_from(model, {'generator': str(tmp_path / 'renamed.pth')}, LOG, tmp_path)
    given = dict(checkpoint=str(tmp_path / 'renamed.pth'), role='student')
    load_init_from(model, {'generator': given}, LOG, tmp_path)
    assert len(equal_names(model, other)) == len(renamed)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ({'genrator': 'x.pth'}, "there is no role 'genrator'; did you mean 'generator'"),
        ({'generator': 3}, 'init_from.generator is 3; it must be a path'),
        ({'generator': dict(path='x')}, "init_from.generator has no key 'path'"),
        ({'generator': dict(role='x')}, "init_from.generator: needs the key 'checkpoint'"),
        ({'generator': dict(checkpoint='x', partial='yes')}, "partial is 'yes'; it must be a bool"),
        ({'generator': dict(checkpoint='x', keys=['nothing*'])}, "keys: no weight matches 'generator.nothing*'"),
    ],
)
def test_wrong_init_from_is_named(given, expected):
    with pytest.raises(ConfigError) as caught:
        check_init_from(small_restorer('SupervisedRestorer'), given)
    assert expected in str(caught.value)


def test_patterns_freeze_weights_and_statistics():
    model = small_restorer('SupervisedRestorer')
    model.generator.backbone.extra = nn.BatchNorm2d(3)
    freeze(model, ['generator.backbone.down.1', 'generator.backbone.extra'])
    for name, weight in model.named_parameters():
        frozen = name.startswith(('generator.backbone.down.1.', 'generator.backbone.extra.'))
        assert weight.requires_grad is not frozen
    model.generator.backbone.extra.train()(torch.randn(2, 3, 4, 4) + 7)
    assert torch.equal(model.generator.backbone.extra.running_mean, torch.zeros(3))
    with pytest.raises(ConfigError, match=r"freeze: no weight matches 'generator\.bakbone'; did you mean"):
        freeze(model, ['generator.bakbone'])
    with pytest.raises(ConfigError, match='it matches every weight: nothing would be trained'):
        freeze(small_restorer('SupervisedRestorer'), 'generator')


def test_a_step_without_weights_is_named():
    with pytest.raises(ConfigError, match="every weight that the step 'discriminator' updates is frozen"):
        check_config('configs/cyclegan/cyclegan_demo.py', {'freeze': ['*discriminator*']})


def test_rates_for_no_weight_are_named():
    keys = {'custom_keys': {'generator.head': {'lr_mult': 0.1}}}
    assert check_config('configs/unet/unet5_paired.py', {'optim_wrapper.paramwise_cfg': keys}) == []
    keys = {'custom_keys': {'generator.heads': {'lr_mult': 0.1}}}
    with pytest.raises(ConfigError, match=r"custom_keys: no weight's name contains 'generator\.heads'; did you mean"):
        check_config('configs/unet/unet5_paired.py', {'optim_wrapper.paramwise_cfg': keys})


@pytest.mark.slow
def test_a_training_starts_from_the_weights_and_keeps_the_frozen_ones(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 3)
    write_pairs(tmp_path / 'data', 'test', 2)
    cfg = load_config(write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=8))
    cfg.work_dir, cfg.launcher, cfg.experiment_name = str(tmp_path / 'first'), 'none', 'initial_first'
    first = run_config(copy.deepcopy(cfg), 'train').last_checkpoint()
    cfg.merge_from_dict(
        dict(
            work_dir=str(tmp_path / 'second'),
            experiment_name='initial_second',
            init_from=dict(generator=str(first)),
            freeze=['generator.backbone.down*'],
        )
    )
    second = run_config(cfg, 'train').last_checkpoint()
    before, after = (load_file(path) for path in (first, second))
    start = {**before['state_dict'], **before['ema_state_dict']}
    frozen = {name for name in start if name.startswith('generator.backbone.down')}
    same = {name for name, weight in after['state_dict'].items() if torch.equal(weight, start[name])}
    assert frozen
    assert same == frozen
