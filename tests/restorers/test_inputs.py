"""What a training step is given: the hardest of several degradations."""

import numpy as np
import pytest
import torch

from restorebox.datasets import SampleKey
from restorebox.datasets.collate import collate_roles
from restorebox.datasets.pictures import PairedPictures
from restorebox.datasets.transforms import Degrade, Flip, Pack
from restorebox.errors import ConfigError
from restorebox.restorers.inputs import take_hardest
from tests.factories import small_restorer, write_pairs

NOISE = dict(type='GaussianNoise', sigma=(1, 60))


def batch(tmp_path, candidates, seed=0):
    write_pairs(tmp_path / 'data', 'train', 3, size=(32, 32))
    steps = [dict(type='LoadPictures'), dict(type='Degrade', recipe=NOISE, candidates=candidates)]
    pipeline = [*steps, dict(type='Pack', keep=('parameters',))]
    data = PairedPictures(tmp_path / 'data', lq=None, pipeline=pipeline, seed=seed)
    return collate_roles([data[SampleKey(i, 0, i)] for i in range(3)])


def test_the_worst_restored_candidate_is_trained_on(tmp_path):
    data = batch(tmp_path, 4)
    assert data['inputs']['lq'].shape == (3, 4, 3, 32, 32)
    restorer = small_restorer('SupervisedRestorer').train()
    inputs = restorer.data_preprocessor(data, True)['inputs']
    taken = take_hardest(restorer, inputs)
    assert taken['lq'].shape == taken['gt'].shape == (3, 3, 32, 32)
    assert restorer.training
    restorer.eval()
    for i in range(3):
        errors = [
            (restorer.restore(inputs['lq'][i : i + 1, k])['pred'] - inputs['gt'][i : i + 1]).abs().mean().item()
            for k in range(4)
        ]
        assert torch.equal(taken['lq'][i], inputs['lq'][i, int(np.argmax(errors))])


def test_a_model_that_does_nothing_gets_the_most_noise(tmp_path):
    from restorebox.restorers.supervised import SupervisedRestorer

    identity = SupervisedRestorer(
        dict(backbone=dict(type='UNet', levels=1, base_width=4), head=dict(type='PictureHead', residual=True)),
        losses=dict(l1=dict(type='L1Loss')),
    ).train()
    data = batch(tmp_path, 5)
    taken = take_hardest(identity, identity.data_preprocessor(data, True)['inputs'])
    for i, sample in enumerate(data['data_samples']):
        loudest = int(np.argmax([parameters['sigma'] for parameters in sample.parameters]))
        assert torch.equal(taken['lq'][i], data['inputs']['lq'][i, loudest])


def test_one_candidate_changes_nothing(tmp_path):
    data = batch(tmp_path, 1)
    restorer = small_restorer('SupervisedRestorer')
    inputs = restorer.data_preprocessor(data, True)['inputs']
    assert inputs['lq'].shape == (3, 3, 32, 32)
    assert take_hardest(restorer, inputs) is inputs


def test_the_first_candidate_is_what_would_have_been_drawn_alone(tmp_path):
    assert torch.equal(batch(tmp_path, 3)['inputs']['lq'][:, 0], batch(tmp_path / 'b', 1)['inputs']['lq'])


def test_layers_are_taken_with_their_picture():
    results = {'gt': np.full((8, 8, 3), 0.5, np.float32), 'rng': np.random.default_rng(0), 'paths': {}, 'name': 'a'}
    results.update(index=0, bad=[])
    step = Degrade(dict(type='LineRain', density=(0.01, 0.05)), candidates=3)
    packed = Pack().transform(step.transform(results))['inputs']
    assert packed['lq'].shape == (3, 3, 8, 8)
    assert packed['streak'].shape == (3, 1, 8, 8)
    inputs = {role: x[None] for role, x in packed.items()}
    restorer = small_restorer('SupervisedRestorer')
    taken = take_hardest(restorer, inputs)
    torch.testing.assert_close(taken['lq'], (taken['gt'] + taken['streak']).clamp(0, 1))


def test_it_trains_and_invalid_settings_are_an_error(tmp_path):
    from tests.restorers.test_all_restorers import wrappers

    restorer = small_restorer('SupervisedRestorer').train()
    assert 'loss' in restorer.train_step(batch(tmp_path, 2), wrappers(restorer))
    unpaired = small_restorer('CycleRestorer').train()
    data = dict(inputs=dict(lq=torch.rand(1, 2, 3, 16, 16), hq=torch.rand(1, 3, 16, 16)), data_samples=[])
    with pytest.raises(ConfigError, match='set candidates=1'):
        unpaired.train_step(data, wrappers(unpaired))
    with pytest.raises(ConfigError, match='candidates is 0'):
        Degrade(NOISE, candidates=0)
    results = {'lq': np.zeros((2, 8, 8, 3), np.float32), 'rng': np.random.default_rng(0)}
    with pytest.raises(ConfigError, match='put it before Degrade'):
        Flip(1.0).transform(results)
