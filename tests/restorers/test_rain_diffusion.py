"""The unpaired diffusion model: its losses, which network each trains, the collapse and its remedies."""

import copy

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from restorebox.errors import ConfigError
from restorebox.restorers.collapse import STEPS, CollapseMonitor
from restorebox.restorers.rain_diffusion import RainDiffusion
from tests.factories import SMALL_CYCLE, SMALL_RESTORERS, random_inputs, small_restorer

SMALL = SMALL_RESTORERS['RainDiffusion']
GENERATORS = ('generator', 'rain_generator')
ALL = ('denoiser', 'rain_denoiser', *GENERATORS)
ADVERSARIAL = {key: SMALL_RESTORERS['RainDiffusion: adversarial'][key] for key in ('discriminator', 'lambda_adv')}
PRIOR = dict(domain_prior=True, condition_dropout=0.5)


def build(**settings):
    torch.manual_seed(0)
    return RainDiffusion(**{**copy.deepcopy(SMALL), **settings})


def inputs(restorer, count=2):
    return random_inputs(restorer, count, 16)


class Fake(nn.Module):
    """Replacement of a network that records its inputs and returns a function of them."""

    def __init__(self, network, name, answer):
        super().__init__()
        self.needs, self.name, self.answer, self.seen = network.needs, name, answer, []

    def forward(self, x, **given):
        self.seen.append(x)
        return {self.name: self.answer(x)}


def fakes(restorer, generate=lambda x: x, estimate=lambda x: torch.zeros_like(x[:, :3])):
    for role in ALL:
        if hasattr(restorer, role):
            name, answer = ('picture', generate) if role in GENERATORS else ('estimate', estimate)
            setattr(restorer, role, Fake(getattr(restorer, role), name, answer))
    return restorer


def terms_of(restorer, count=2, step='joint'):
    given = inputs(restorer, count)
    return restorer.losses(step, given, restorer.prepare(given))


def touched(restorer, names, step='joint'):
    """Roles that the sum of some terms has a gradient for."""
    terms = terms_of(restorer, step=step)
    sum(terms[name] for name in names).backward()
    found = set()
    for role in ALL:
        if hasattr(restorer, role) and any(
            p.grad is not None and p.grad.abs().sum() > 0 for p in getattr(restorer, role).parameters()
        ):
            found.add(role)
    return found


def test_terms_of_a_denoiser_that_says_nothing_have_expectation_one():
    """Invariant 8, and that each is a mean: a sum would be in the thousands."""
    terms = terms_of(fakes(build()), 64)
    for name in ('L1', 'L2', 'L3', 'L4'):
        assert float(terms[f'loss_{name}']) == pytest.approx(1, abs=0.02)


def test_identity_generators_have_no_cycle_loss():
    """Invariant 7: the collapse is the objective's own minimum."""
    terms = terms_of(fakes(build()))
    assert float(terms['loss_cyc']) == 0
    assert float(terms['shift_rainy']) == float(terms['shift_clean']) == 0


def test_each_denoiser_is_conditioned_on_the_other_domain():
    """Two replacements with different outputs: A adds, B subtracts."""
    restorer = fakes(build())
    restorer.rain_generator.answer, restorer.generator.answer = (lambda x: x + 10), (lambda x: x - 30)
    given = inputs(restorer)
    x, y = given['hq'] * 2 - 1, given['lq'] * 2 - 1
    prepared = restorer.prepare(given)
    restorer.losses('joint', given, prepared)
    (to_clean,), (to_rainy,) = restorer.denoiser.seen, restorer.rain_denoiser.seen  # one pass each
    for seen, role, pairs in (
        (to_clean, 'denoiser', ((x + 10, x), (y - 30 + 10, y - 30))),  # L1, L4
        (to_rainy, 'rain_denoiser', ((x + 10 - 30, x + 10), (y - 30, y))),  # L2, L3
    ):
        t, noise = prepared['drawn'][role]
        for part, (condition, target) in zip(seen.chunk(2), pairs, strict=True):
            torch.testing.assert_close(part[:, :3], condition)
            torch.testing.assert_close(part[:, 3:], restorer.schedule.noisy(target, t, noise))


def test_the_cycle_loss_is_the_sum_of_both_mean_differences():
    restorer = fakes(build(lambda_cyc=2.0), generate=lambda x: x + 0.25)
    assert float(terms_of(restorer)['loss_cyc']) == pytest.approx(2 * (0.5 + 0.5), rel=1e-5)


@pytest.mark.parametrize(
    ('settings', 'names', 'expected'),
    [
        (dict(), ('loss_L1',), {'denoiser', 'rain_generator'}),
        (dict(), ('loss_L2',), {'rain_denoiser', *GENERATORS}),
        (dict(), ('loss_L3',), {'rain_denoiser', 'generator'}),
        (dict(), ('loss_L4',), {'denoiser', *GENERATORS}),
        (dict(), ('loss_cyc',), set(GENERATORS)),
        (dict(detach='target'), ('loss_L1',), {'denoiser', 'rain_generator'}),
        (dict(detach='all'), ('loss_L1', 'loss_L4'), {'denoiser'}),
        (dict(detach='all'), ('loss_L2', 'loss_L3'), {'rain_denoiser'}),
        (dict(detach='all'), ('loss_L1', 'loss_L2', 'loss_L3', 'loss_L4', 'loss_cyc'), set(ALL)),
    ],
)
def test_who_learns_from_which_term(settings, names, expected):
    """Invariant 9."""
    assert touched(build(**settings), names) == expected


def test_pseudo_targets_can_be_held_while_their_conditions_are_not():
    """With ``target`` the gradient of L2 for the rain generator comes through the condition alone, so it differs."""

    def gradient(detach):
        restorer = build(detach=detach)
        terms_of(restorer)['loss_L2'].backward()
        return torch.cat([p.grad.flatten() for p in restorer.rain_generator.parameters()])

    free, held = gradient('none'), gradient('target')
    assert held.abs().sum() > 0
    assert not torch.allclose(free, held)


def test_with_the_prior_photographs_train_denoisers_and_pseudo_targets_generators():
    restorer = build(**PRIOR)
    assert restorer.steps == {'denoiser': ('denoiser', 'rain_denoiser'), 'generator': GENERATORS[::-1]}
    assert touched(restorer, ('loss_L1', 'loss_L3'), 'denoiser') == {'denoiser', 'rain_denoiser'}
    assert set(terms_of(build(**PRIOR), step='generator')) == {
        'loss_L2', 'loss_L4', 'loss_cyc', 'shift_rainy', 'shift_clean'
    }  # fmt: skip


def test_with_the_prior_each_step_moves_its_own_roles_alone():
    restorer = build(**PRIOR).train()
    made = {
        step: OptimWrapper(torch.optim.SGD([p for r in roles for p in getattr(restorer, r).parameters()], lr=1.0))
        for step, roles in restorer.steps.items()
    }
    gradients = {}
    for step, wrapper in made.items():

        def note(loss, step=step, wrapper=wrapper):
            loss.backward()
            gradients[step] = {
                role
                for role in ALL
                if any(p.grad is not None and p.grad.any() for p in getattr(restorer, role).parameters())
            }
            restorer.zero_grad()

        wrapper.update_params = note
    restorer.train_step(dict(inputs=inputs(restorer), data_samples=[]), OptimWrapperDict(**made))
    assert gradients == {'denoiser': {'denoiser', 'rain_denoiser'}, 'generator': set(GENERATORS)}


def test_the_prior_is_asked_without_a_condition():
    restorer = fakes(build(**PRIOR), generate=lambda x: 0.5 * x)
    terms_of(restorer, step='generator')
    for role in ('denoiser', 'rain_denoiser'):
        (seen,) = getattr(restorer, role).seen
        assert not seen[:, :3].any()
        assert seen[:, 3:].any()


def test_the_stated_share_of_conditions_is_dropped():
    restorer = fakes(build(condition_dropout=0.3))
    terms_of(restorer, 500)
    for role, real in (('denoiser', 0), ('rain_denoiser', 1)):
        (seen,) = getattr(restorer, role).seen
        dropped = [float((part[:, :3].flatten(1) == 0).all(1).float().mean()) for part in seen.chunk(2)]
        assert dropped[real] == pytest.approx(0.3, abs=0.07)
        assert dropped[1 - real] == 0


@pytest.mark.parametrize(
    ('settings', 'roles'),
    [
        (dict(terms=('L1',), lambda_cyc=0.0), {'denoiser', 'rain_generator'}),
        (dict(terms=('L1', 'L4')), {'denoiser', *GENERATORS}),
        (dict(terms=('L1', 'L2', 'L3'), cycles=('clean',)), set(ALL)),
        (dict(terms=('L1', 'L3'), lambda_cyc=0.0), set(ALL)),
    ],
)
def test_networks_without_a_loss_term_are_not_built(settings, roles):
    restorer = build(**settings)
    assert {name for name in ALL if hasattr(restorer, name)} == roles
    assert {role for each in restorer.steps.values() for role in each} == roles


def test_only_pictures_that_are_read_are_made():
    restorer = fakes(build(terms=('L1', 'L3', 'L4'), cycles=('rainy',)))
    terms_of(restorer)
    assert [len(getattr(restorer, role).seen) for role in GENERATORS] == [1, 2]


def images(share=0.0, count=4, seed=0):
    """Random smooth images, a share of whose columns is bright, and in another copy none."""
    rng = torch.Generator().manual_seed(seed)
    clean = nn.functional.interpolate(torch.rand(count, 3, 8, 8, generator=rng), size=48, mode='bilinear') - 0.5
    rainy = nn.functional.interpolate(torch.rand(count, 3, 8, 8, generator=rng), size=48, mode='bilinear') - 0.5
    return torch.where(torch.rand(count, 1, 1, 48, generator=rng) < share, rainy + 0.4, rainy), clean


def watched(values, watch=None, share=0.2):
    """Return the warnings of the monitor for a sequence of differences, one per interval."""
    watch, said = watch or CollapseMonitor(), []
    logger = MMLogger.get_current_instance()
    original, logger.warning = logger.warning, said.append
    try:
        for rainy, clean in values:
            for step in range(STEPS):
                shifts = {'shift_rainy': torch.tensor(rainy), 'shift_clean': torch.tensor(clean)}
                watch.add(shifts, *images(share, seed=step))
    finally:
        logger.warning = original
    return said, watch


def test_the_required_shift_is_below_the_true_one_and_grows_with_it():
    """The true shift of a fifth of the columns by 0.4 is 0.08; of none 0."""
    required = [watched([(0.5, 0.5)], share=share)[1].last['shift_required'] for share in (0.0, 0.05, 0.2)]
    assert required[0] < 0.002
    assert 0.3 * 0.02 < required[1] < 0.02
    assert 0.3 * 0.08 < required[2] < 0.08


def test_the_watch_warns_once_when_both_differences_are_too_small_for_the_domains():
    said, watch = watched([(0.5, 0.4), (0.005, 0.05), (0.05, 0.005)])
    assert not said
    assert not watch.collapsed
    said, watch = watched([(0.5, 0.4), (0.005, 0.004), (0.003, 0.002)], watch)
    assert len(said) == 1
    assert 'COLLAPSE' in said[0]
    assert 'shift_rainy = 0.0050' in said[0]
    assert '\n' not in said[0]
    assert watch.collapsed


def test_small_differences_of_domains_that_differ_little_are_no_collapse():
    """The same shifts as above, a weaker rain."""
    said, watch = watched([(0.005, 0.004)], share=0.01)
    assert not said
    assert not watch.collapsed


def test_a_collapse_is_told_in_training_and_in_what_scores_record():
    restorer = fakes(build())
    assert restorer.provenance() == {}
    said = []
    logger = MMLogger.get_current_instance()
    original, logger.warning = logger.warning, said.append
    try:
        rainy, clean = images(0.2)
        given = {**inputs(restorer, 4), 'lq': rainy + 0.5, 'hq': clean + 0.5}
        for _ in range(STEPS):
            restorer.losses('joint', given, restorer.prepare(given))
    finally:
        logger.warning = original
    assert len(said) == 1
    found = restorer.provenance()
    assert found.pop('shift_required') > 0.02
    assert found == {'shift_rainy': 0.0, 'shift_clean': 0.0, 'collapsed': True}


def test_what_the_watch_has_seen_survives_a_resume():
    def add(restorer, first, last, rainy):
        for step in range(first, last):
            shifts = {'shift_rainy': torch.tensor(rainy), 'shift_clean': torch.tensor(0.1)}
            restorer.monitor.add(shifts, *images(0.2, seed=step))

    restorer, twin, whole = build(), build(), build()
    add(restorer, 0, STEPS // 2, 0.5)
    twin.load_training_state(restorer.training_state())
    add(twin, STEPS // 2, STEPS, 0.3)
    add(whole, 0, STEPS // 2, 0.5)
    add(whole, STEPS // 2, STEPS, 0.3)
    assert twin.provenance() == whole.provenance()
    assert twin.provenance()['shift_rainy'] == pytest.approx(0.4)


def test_generators_come_from_a_cyclegan():
    """The roles have the same names, so that load_from takes what both have."""
    cycle = small_restorer('CycleRestorer: CycleGAN')
    restorer = build(generator=copy.deepcopy(SMALL_CYCLE['generator']))
    state = cycle.state_dict()
    assert set(restorer.roles_in(state)) == set(GENERATORS)
    restorer.load_weights(state, restorer.roles_in(state))
    x = torch.rand(1, 3, 16, 16)
    for role in GENERATORS:
        assert torch.equal(restorer.role(role)(x)['picture'], cycle.role(role)(x)['picture'])


def test_generators_that_are_held_make_pairs_and_learn_nothing():
    restorer = build(detach='all', lambda_cyc=0.0).train()
    assert restorer.steps == {'joint': ('denoiser', 'rain_denoiser')}
    assert not any(p.requires_grad for name in GENERATORS for p in restorer.role(name).parameters())
    assert not any(restorer.role(name).training for name in GENERATORS)
    terms = terms_of(restorer)
    assert {'loss_L1', 'loss_L2', 'loss_L3', 'loss_L4'} <= set(terms)
    assert 'loss_cyc' not in terms
    assert terms['shift_rainy'] > 0
    for _ in range(STEPS):
        terms_of(restorer)
    assert restorer.provenance() == {}  # nothing to watch


def test_the_adversarial_term_trains_generators_and_its_step_the_discriminators():
    restorer = build(**ADVERSARIAL).train()
    assert list(restorer.steps) == ['discriminator', 'joint']
    assert restorer.steps['discriminator'] == ('discriminator', 'rain_discriminator')
    assert touched(restorer, ('loss_adv',)) == set(GENERATORS)
    critics = [restorer.role(name) for name in restorer.steps['discriminator']]
    for critic in critics:
        critic.zero_grad()
    terms = terms_of(restorer, step='discriminator')
    assert set(terms) == {'loss_d_clean', 'loss_d_rainy'}
    sum(terms.values()).backward()
    assert all(p.grad is not None for critic in critics for p in critic.parameters())


def test_a_single_domain_has_a_single_discriminator():
    restorer = build(**ADVERSARIAL, terms=('L1',), lambda_cyc=0.0)
    assert restorer.steps['discriminator'] == ('rain_discriminator',)
    assert {'loss_L1', 'loss_adv'} <= set(terms_of(restorer))


def test_the_adversarial_term_leaves_the_published_ones_unchanged():
    free, bound = build(), build(**ADVERSARIAL)
    given = inputs(free)
    bound.load_weights(free.state_dict(), free.roles_in(free.state_dict()))
    for restorer in (free, bound):
        restorer.load_training_state(free.training_state())
    ours, theirs = (each.losses('joint', given, each.prepare(given)) for each in (free, bound))
    assert set(theirs) - set(ours) == {'loss_adv'}
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_generator_without_norm_keeps_the_mean_of_its_input():
    """With instance norm images that differ by a constant look alike inside."""
    cfg = dict(SMALL['generator'])
    x = torch.rand(1, 3, 16, 16) * 0.5

    def change(norm):
        network = build(generator=dict(cfg, backbone=dict(cfg['backbone'], norm=norm))).generator
        made = network(x)['picture'] - network(x + 0.2)['picture']
        return float(made.detach().mean((2, 3)).abs().mean())

    assert change(None) > 5 * change('instance')


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        (dict(terms=('L5', 'L1')), "terms: there is no 'L5'"),
        (dict(terms=('L2', 'L3')), 'L1 or L4 must be among them'),
        (dict(cycles=('clean', 'rain')), "did you mean 'rainy'"),
        (dict(cycles=('clean',)), "L4 needs the reconstruction of 'rainy'"),
        (dict(detach='al'), "did you mean 'all'"),
        (dict(lambda_cyc=-1), 'lambda_cyc is -1'),
        (dict(condition_dropout=1.0), 'condition_dropout is 1.0'),
        (dict(domain_prior=True), 'a condition_dropout'),
        (dict(PRIOR, terms=('L1', 'L3')), 'all four terms'),
        (dict(lambda_adv=1.0), 'lambda_adv=1 alone'),
        (dict(ADVERSARIAL, lambda_adv=0.0), 'a discriminator alone'),
        (dict(ADVERSARIAL, lambda_adv=-1), 'lambda_adv is -1'),
        (dict(ADVERSARIAL, detach='all', lambda_cyc=0.0), 'lambda_adv trains generators'),
    ],
)
def test_mistakes_are_named(settings, expected):
    with pytest.raises(ConfigError, match=expected):
        build(**settings)


def test_a_crop_that_does_not_fit_the_generators_is_named():
    restorer = build(generator=dict(SMALL['generator'], backbone=dict(type='NTBGenerator', levels=5, base_width=4)))
    with pytest.raises(ConfigError, match=r'16x16 .* needs multiples of 32'):
        terms_of(restorer)
