"""Stage 1 of heavy rain: losses of the true layers, sets that lack layers, and layers given by the model."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.restorers.heavy_rain_physics import HeavyRainPhysics
from tests.factories import SMALL_RESTORERS, random_inputs

LAYERS = ('streak', 'transmission', 'airlight')


def build(**given):
    torch.manual_seed(0)
    return HeavyRainPhysics(**{**SMALL_RESTORERS['HeavyRainPhysics'], **given}).train()


def terms(restorer, inputs):
    return restorer.losses('physics', inputs, restorer.prepare(inputs))


def without(inputs, *roles):
    return {role: value for role, value in inputs.items() if role not in roles}


def answers(restorer, **layers):
    """Let the network of physics answer with these layers."""
    restorer.physics.backbone.forward = lambda x, taps=(), only_taps=False, airlight=None: {'out': x, **layers}


def test_the_truth_costs_nothing():
    restorer = build()
    inputs = random_inputs(restorer, 2, 32)
    inputs['streak'] = inputs['streak'][:, :1].expand(-1, 3, -1, -1)
    inputs['transmission'] = inputs['transmission'][:, :1]
    inputs['airlight'] = inputs['airlight'][..., :1, :1].expand(-1, -1, 32, 32)
    airlight = inputs['airlight'][..., :1, :1]
    answers(restorer, streak=inputs['streak'][:, :1], transmission=inputs['transmission'], airlight=airlight)
    found = terms(restorer, inputs)
    assert set(found) == {
        f'loss_{x}' for x in ('streak_mse', 'transmission_mse', 'transmission_gradient', 'airlight_mse')
    }
    assert all(value.item() == pytest.approx(0, abs=1e-12) for value in found.values())
    off = dict(inputs, transmission=(inputs['transmission'] + 0.1))
    assert terms(restorer, off)['loss_transmission_mse'].item() == pytest.approx(0.01, abs=1e-5)
    assert terms(restorer, off)['loss_transmission_gradient'].item() == pytest.approx(0, abs=1e-6)


def test_a_set_without_layers_has_no_veil():
    restorer = build()
    inputs = without(random_inputs(restorer, 2, 32), *LAYERS)
    found = terms(restorer, inputs)
    assert set(found) == {'loss_streak_mse', 'loss_transmission_mse', 'loss_transmission_gradient'}
    streak = (inputs['lq'] - inputs['gt']).clamp(0, 1)
    derived = terms(restorer, dict(inputs, streak=streak, transmission=torch.ones(2, 3, 32, 32)))
    assert all(torch.allclose(value, derived[name]) for name, value in found.items())
    veiled = dict(inputs, transmission=torch.rand(2, 1, 32, 32))  # the difference is not the streaks then
    assert set(terms(restorer, veiled)) == {'loss_transmission_mse', 'loss_transmission_gradient'}


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_without_a_veil_the_true_streaks_give_the_clean_picture(seed):
    torch.manual_seed(seed)
    physics = dict(
        backbone=dict(type='PhysicsEstimator', base_width=4, veil=False), head=dict(type='PhysicsHead', eps=0.0)
    )
    losses = dict(streak=dict(mse=dict(type='MSELoss')))
    restorer = HeavyRainPhysics(physics, losses).eval()
    gt, streak = 0.6 * torch.rand(1, 3, 32, 48), 0.4 * torch.rand(1, 1, 32, 48)
    restorer.physics.backbone.streak.forward = lambda x, taps=(), only_taps=False: {'out': streak}
    out = restorer.infer(gt + streak, restorer.estimate_shared(gt + streak), None, None)
    assert torch.allclose(out['pred'], gt, atol=1e-6)
    assert not out['depth'].any()
    assert {name.split('.')[2] for name, _ in restorer.named_parameters()} == {'streak'}


def test_what_is_known_of_a_layer_stands_beside_the_estimate():
    from restorebox.sample import RestorationSample

    restorer = build().eval()
    inputs = random_inputs(restorer, 1, 32)
    sample = RestorationSample(metainfo=dict(name='a', index=0))
    out = restorer.test_step(dict(inputs=inputs, data_samples=[sample]))[0]
    for layer in LAYERS:
        assert torch.equal(out.get(f'true_{layer}'), inputs[layer][0])
        assert not torch.equal(out.get(layer), inputs[layer][0])
    assert torch.equal(out.lq, inputs['lq'][0])


@pytest.mark.parametrize(
    ('losses', 'expected'),
    [({}, 'physics_losses is empty'), (dict(streaks={}), "no layer 'streaks'; did you mean 'streak'")],
)
def test_contradictions_are_refused(losses, expected):
    with pytest.raises(ConfigError, match=expected):
        build(physics_losses=losses)
