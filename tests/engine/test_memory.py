"""Estimated memory of a training, and the line that compares it with the free memory."""

import logging
from unittest import mock

import pytest
import torch
from mmengine.logging import print_log

from restorebox.engine import memory
from restorebox.registry import RESTORERS

MODEL = dict(
    type='SupervisedRestorer',
    generator=dict(backbone=dict(type='UNet', levels=4, base_width=8, max_width=16), head=dict(type='PictureHead')),
    losses=dict(l1=dict(type='L1Loss')),
)
CYCLE = dict(
    type='CycleRestorer',
    generator=dict(backbone=dict(type='ResNetGenerator', blocks=2, base_width=4), head=dict(type='PictureHead')),
    discriminator=dict(
        backbone=dict(type='PatchDiscriminator', halvings=2, base_width=4), head=dict(type='RealnessHead')
    ),
    lambda_lcl=0.0,
    lambda_intra=0.0,
    lambda_inter=0.0,
    lambda_cycle=1.0,
)


def batch(roles, side=256):
    return {'inputs': {role: torch.rand(1, 3, side, side) for role in roles}, 'data_samples': []}


@pytest.mark.parametrize(('model', 'roles'), [(MODEL, ('lq', 'gt')), (CYCLE, ('lq', 'hq'))])
def test_activations_are_extrapolated_to_the_whole_crop(model, roles):
    restorer, data = RESTORERS.build(dict(model)).train(), batch(roles)
    estimate = memory.training_bytes(restorer, model, data)
    activations = memory.activation_bytes(restorer, data['inputs'])
    weights = sum(p.nbytes for p in restorer.parameters())
    assert estimate == pytest.approx(memory.WORKSPACE * activations + 3 * weights, rel=0.1)


def test_random_numbers_of_the_training_are_untouched():
    restorer, data = RESTORERS.build(dict(CYCLE)).train(), batch(('lq', 'hq'))
    before, own = torch.get_rng_state(), restorer.training_state()
    assert memory.training_bytes(restorer, CYCLE, data) is not None
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(state, own[name]) for name, state in restorer.training_state().items() if name != 'pools')


def test_small_crops_need_no_estimate():
    restorer = RESTORERS.build(dict(MODEL)).train()
    assert memory.training_bytes(restorer, MODEL, batch(('lq', 'gt'), 64)) is None


@pytest.mark.parametrize(('free', 'short'), [(2**40, False), (2**20, True), (None, None)])
def test_the_error_names_the_lacking_memory(free, short, monkeypatch):
    monkeypatch.setattr(memory, 'free_memory', lambda: free)
    restorer = RESTORERS.build(dict(MODEL)).train()
    found = memory.memory_line(restorer, MODEL, batch(('lq', 'gt')), None, 4)
    assert (found is None) == (free is None)
    if found is not None:
        assert found[1] is short
        assert '4 rank(s)' in found[0]
        assert ('activation_checkpointing' in found[0]) is short


def test_free_memory_is_plausible():
    free = memory.free_memory()
    assert free is None or 0 <= free < 2**50


def test_warnings_of_the_trial_are_not_logged(capfd):
    model = dict(MODEL, losses=dict(l1=dict(type='L1Loss')))
    restorer = RESTORERS.build(dict(model)).train()
    original = type(restorer).losses

    def losses(self, *given):
        print_log('a warning of the trial', 'current', logging.WARNING)
        return original(self, *given)

    with mock.patch.object(type(restorer), 'losses', losses):
        assert memory.training_bytes(restorer, model, batch(('lq', 'gt'))) is not None
    out, err = capfd.readouterr()
    assert 'a warning of the trial' not in out + err


def test_the_trial_of_one_rank_waits_for_no_other(monkeypatch):
    """Rank 0 alone makes the trial; a collective call in it would pair with another one of the other ranks."""
    encoder = dict(type='FirstAvailable', encoders=[dict(type='RandomConv', width=4)])
    model = dict(CYCLE, lambda_lcl=1.0, lcl_positions=8, lambda_intra=1.0, lambda_inter=1.0, semantic_encoder=encoder)
    restorer = RESTORERS.build(dict(model)).train()
    # with two ranks a collective call would end in an error here, as there is no process group
    monkeypatch.setattr('mmengine.dist.dist.get_world_size', lambda group=None: 2)
    assert memory.training_bytes(restorer, model, batch(('lq', 'hq'))) is not None
