"""Refinement after the physics network: what each loss trains, real pictures, airlight of tiles, other conditions."""

import copy

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.restorers.heavy_rain import HeavyRainRestorer, relative_distance
from tests.factories import SMALL_RESTORERS, random_inputs, small_restorer
from tests.restorers.test_all_restorers import batch_for, wrappers

SMALL = SMALL_RESTORERS['HeavyRainRestorer']
LOSSES = SMALL_RESTORERS['HeavyRainPhysics']['physics_losses']
LAYERS = ('streak', 'transmission', 'airlight')


def build(**given):
    torch.manual_seed(0)
    return HeavyRainRestorer(**{**SMALL, **given}).train()


def build_physics():
    torch.manual_seed(0)
    return small_restorer('HeavyRainPhysics').train()


def terms(restorer, step, inputs):
    return restorer.losses(step, inputs, restorer.prepare(inputs))


def without(inputs, *roles):
    return {role: value for role, value in inputs.items() if role not in roles}


@pytest.mark.parametrize('known', [True, False])
def test_the_discriminator_loses_nothing_when_scores_and_maps_are_right(known):
    restorer = build()
    inputs = random_inputs(restorer, 2, 32)
    inputs = inputs if known else without(inputs, 'transmission')
    prepared = restorer.prepare(inputs)
    veil = 1 - (inputs['transmission'].mean(1, keepdim=True) if known else prepared['estimates']['transmission'])

    def judged(score, depth):
        return {'realness': torch.full((2, 1), score), 'depth': depth}

    def found(real, fake):
        each = iter((real, fake))
        restorer.discriminator.forward = lambda x, taps=(): next(each)
        return sum(restorer.losses('discriminator', inputs, prepared).values()).item()

    right = judged(50.0, torch.zeros_like(veil)), judged(-50.0, veil)
    assert found(*right) == pytest.approx(0, abs=1e-12)
    assert found(judged(50.0, torch.full_like(veil, 0.5)), right[1]) == pytest.approx(0.25)
    assert found(right[0], judged(-50.0, veil + 0.5)) == pytest.approx(0.25, rel=1e-4)
    assert found(judged(0.0, torch.zeros_like(veil)), right[1]) == pytest.approx(0.6931, abs=1e-4)
    assert found(right[0], judged(0.0, veil)) == pytest.approx(0.6931, abs=1e-4)


def test_the_adversarial_loss_alone_moves_the_generator():
    """The released code cuts its gradient off."""
    restorer = build(losses={}, objective=dict(real_rate=0.0))
    before = copy.deepcopy(restorer.generator.state_dict())
    inputs = random_inputs(restorer, 2, 32)
    assert set(terms(restorer, 'generator', inputs)) == {'loss_adv'}
    restorer.train_step(batch_for(restorer), wrappers(restorer))
    assert any(not torch.equal(value, before[key]) for key, value in restorer.generator.state_dict().items())


def test_stage_2_leaves_the_network_of_physics_alone():
    restorer = build()
    before = copy.deepcopy(restorer.physics.state_dict())
    for seed in range(3):
        restorer.train_step(batch_for(restorer, seed=seed), wrappers(restorer))
    after = restorer.physics.state_dict()
    assert all(torch.equal(value, before[key]) for key, value in after.items())  # batch norm's averages too
    assert restorer.training
    assert not restorer.physics.training
    restorer.eval().train()
    assert not restorer.physics.training
    joint = build(physics_losses=LOSSES)
    before = copy.deepcopy(joint.physics.state_dict())
    joint.train_step(batch_for(joint), wrappers(joint))
    assert joint.physics.training
    assert any(not torch.equal(value, before[key]) for key, value in joint.physics.state_dict().items())


def test_a_stage_begins_from_the_one_before():
    first, second, third = build_physics(), build(), build(physics_losses=LOSSES)
    assert first.roles_in(first.state_dict()) == ('physics',)
    second.load_weights(first.state_dict(), ('physics',))
    lq = torch.rand(1, 3, 40, 50)
    assert torch.equal(second.eval().restore(lq)['physics'], first.eval().restore(lq)['pred'])
    third.load_weights(second.state_dict())
    assert torch.equal(third.eval().restore(lq)['pred'], second.restore(lq)['pred'])
    assert not hasattr(first, 'generator')


def test_a_stage_without_its_predecessor_is_an_error(monkeypatch):
    said = []
    monkeypatch.setattr('restorebox.restorers.heavy_rain.print_log', lambda message, *_: said.append(message))
    restorer = build()
    for _ in range(2):
        restorer.prepare(random_inputs(restorer, 1, 32))
    assert len(said) == 1
    assert 'set load_from' in said[0]
    loaded = build()
    loaded.load_weights(restorer.state_dict(), ('physics',))
    for silent in (build_physics(), loaded):
        silent.prepare(random_inputs(restorer, 1, 32))
    assert len(said) == 1


def test_real_pictures_are_judged_now_and_then_and_alike_after_a_resume():
    def judged(restorer, count):
        inputs = random_inputs(restorer, 1, 32)
        return ['real_pred' in restorer.prepare(inputs) for _ in range(count)]

    restorer = build(objective=dict(real_rate=0.5))
    first = judged(restorer, 6)
    state = restorer.training_state()
    then = judged(restorer, 12)
    assert {True, False} == {*first, *then}
    twin = build(objective=dict(real_rate=0.5))
    twin.load_training_state(state)
    assert judged(twin, 12) == then
    always = build(objective=dict(real_rate=1.0))
    inputs = random_inputs(always, 1, 32)
    assert 'loss_adv_real' in terms(always, 'generator', inputs)
    assert 'loss_adv_real' not in terms(always, 'generator', without(inputs, 'real'))
    assert 'loss_adv_real' not in terms(build(objective=dict(real_rate=0.0)), 'generator', inputs)


def test_tiles_agree_on_the_airlight_of_the_whole():
    restorer = build().eval()
    lq = torch.rand(1, 3, 300, 280)
    shared = restorer.estimate_shared(lq)
    assert shared['airlight'].shape == (1, 3, 1, 1)
    whole, tile = restorer.restore(lq, shared=shared), restorer.restore(lq[..., 200:, 200:], shared=shared)
    for out in (whole, tile):
        torch.testing.assert_close(out['airlight'], shared['airlight'].expand_as(out['airlight']))
    assert not torch.allclose(restorer.restore(lq[..., 200:, 200:])['airlight'], tile['airlight'])
    assert set(whole) == {'pred', 'physics', 'depth', *LAYERS}
    assert all(value.shape == lq.shape for value in whole.values())
    torch.testing.assert_close(whole['depth'], 1 - whole['transmission'])


@pytest.mark.parametrize('cond', ['atm', 'depth'])
def test_other_conditions_train(cond):
    generator = dict(SMALL['generator'], backbone=dict(type='RefUNet', base_width=4, cond=cond))
    restorer = build(generator=generator)
    restorer.train_step(batch_for(restorer), wrappers(restorer))
    assert restorer.eval().restore(torch.rand(1, 3, 20, 20))['pred'].shape == (1, 3, 20, 20)


NET_OF_DEPTH = SMALL_RESTORERS['HeavyRainRestorer: told and taught']['depth_network']
LIGHT = SMALL_RESTORERS['HeavyRainRestorer: told and taught']['generator']
CONTRASTIVE = dict(type='ContrastiveRegularisation', layers=dict(relu1_2=1.0), weights='random')
PROPOSALS = {
    'attention in windows': dict(
        generator=dict(SMALL['generator'], backbone=dict(type='WindowUNet', base_width=16, levels=1, blocks=1))
    ),
    'no depth, attention': dict(
        generator=dict(SMALL['generator'], backbone=dict(type='RefUNet', base_width=4, cond='attention'))
    ),
    'a network of depth': dict(depth_network=NET_OF_DEPTH),
    'light and taught': dict(generator=LIGHT, teacher=SMALL['generator']),
    'contrastive': dict(losses=dict(mse=dict(type='MSELoss'), contrastive=CONTRASTIVE)),
}
TERMS = {'a network of depth': 'loss_distance', 'light and taught': 'loss_teacher', 'contrastive': 'loss_contrastive'}


@pytest.mark.parametrize('name', PROPOSALS)
def test_what_the_report_proposes_refines_as_well(name):
    """20 steps on one batch; it has learnt something of it by then, and what stands still stood still."""
    restorer = build(objective=dict(real_rate=0.0), **PROPOSALS[name])
    made, batch = wrappers(restorer), batch_for(restorer, size=32)
    still = [role for role in ('physics', 'teacher') if hasattr(restorer, role)]
    before = copy.deepcopy({role: restorer.role(role).state_dict() for role in still})
    logs = [restorer.train_step(batch, made) for _ in range(20)]
    assert TERMS.get(name, 'loss_adv') in logs[0]
    assert all(torch.isfinite(value) for log in logs for value in log.values())
    assert logs[-1]['total_generator'] < 0.995 * logs[0]['total_generator']
    for role in still:
        assert all(torch.equal(value, before[role][key]) for key, value in restorer.role(role).state_dict().items())
    assert restorer.eval().restore(torch.rand(1, 3, 20, 45))['pred'].shape == (1, 3, 20, 45)


def test_the_light_generator_learns_from_the_one_of_a_checkpoint():
    trained, student = build(), build(generator=LIGHT, teacher=SMALL['generator'])
    state = trained.state_dict()
    roles = student.roles_in(state)
    assert set(roles) == {'physics', 'teacher', 'discriminator'}
    student.load_weights(state, roles)
    prepared = student.prepare(random_inputs(student, 1, 32))
    with torch.no_grad():
        expected = trained.eval()._refine(trained.generator, prepared['estimates'])
    assert torch.allclose(prepared['teacher_pred'], expected, atol=1e-6)
    resumed = build(generator=LIGHT, teacher=SMALL['generator'])
    resumed.load_weights(student.state_dict())  # its own checkpoint has a teacher
    assert all(torch.equal(value, student.state_dict()[key]) for key, value in resumed.state_dict().items())
    assert student.deployed == ('physics', 'generator')


def test_distance_is_one_where_least_light_arrives():
    t = torch.tensor([[1.0, 0.5, 0.25]]).view(1, 1, 1, 3)
    assert torch.allclose(relative_distance(t).flatten(), torch.tensor([0, 0.5, 1]))
    assert torch.equal(relative_distance(torch.ones(1, 1, 2, 2)), torch.zeros(1, 1, 2, 2))


def test_the_generator_is_told_what_the_network_of_depth_says():
    restorer = build(depth_network=NET_OF_DEPTH).eval()
    lq = torch.rand(1, 3, 32, 32)
    near = restorer.restore(lq)
    torch.nn.init.constant_(restorer.depth_network.head.conv.bias, 0.9)
    far = restorer.restore(lq)
    assert far['depth'].mean() > near['depth'].mean() + 0.1
    assert not torch.equal(far['pred'], near['pred'])
    assert torch.equal(far['physics'], near['physics'])


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (
            dict(PROPOSALS['no depth, attention'], depth_network=NET_OF_DEPTH),
            'needs a generator that reads 4 channels; it reads 3',
        ),
        (dict(objective=dict(real_rate=2)), 'real_rate is 2'),
        (dict(objective=dict(lambda_gam=1)), "objective has no key 'lambda_gam'; did you mean 'lambda_gan'"),
        (dict(discriminator=None), 'needs a discriminator'),
        (dict(physics_losses={}), 'physics_losses is empty'),
        (dict(generator=dict(SMALL['generator'], backbone=dict(type='UNet', levels=2, in_channels=6))), 'reads 6'),
    ],
)
def test_contradictions_are_refused(given, expected):
    with pytest.raises(ConfigError, match=expected):
        build(**given)
