"""CCLGAN and CycleGAN: what each loss trains, schedules, number of passes, and equality of shared and plain passes."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from plain_cycle import PlainCycleRestorer

from restorebox.engine.config import load_config
from restorebox.engine.provenance import recorded
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.registry import RESTORERS
from restorebox.restorers.cycle import CycleRestorer
from restorebox.restorers.image_pool import ImagePool
from tests.factories import SMALL_RESTORERS, random_inputs, restorer_names, small_restorer

FACES = [name for name in restorer_names() if name.startswith('CycleRestorer')]


def wrappers(restorer, kind=torch.optim.Adam):
    return OptimWrapperDict(
        **{
            step: OptimWrapper(kind([p for r in roles for p in restorer.role(r).parameters()], lr=1e-3))
            for step, roles in restorer.steps.items()
        }
    )


def step(restorer, seed=0, size=16, wrapper=None):
    dtype = next(restorer.parameters()).dtype
    inputs = {role: x.to(dtype) for role, x in random_inputs(restorer, 2, size, seed).items()}
    return restorer.train_step(dict(inputs=inputs, data_samples=[]), wrapper or wrappers(restorer))


def paper_model(name):
    return load_config(configs_dir() / name).model.to_dict()


def changed(before, after):
    return {key.split('.')[0] for key in before if not torch.equal(before[key], after[key])}


class TestNetworksOfThePaper:
    @pytest.fixture(scope='class')
    def restorer(self):
        with torch.device('meta'):
            return RESTORERS.build(paper_model('cclgan/cclgan_spa.py'))

    def test_parameter_counts(self, restorer):
        for role, count in dict(
            generator=11_378_179, rain_generator=11_378_179, discriminator=2_764_737, rain_discriminator=2_764_737
        ).items():
            assert sum(p.numel() for p in restorer.role(role).parameters()) == count

    def test_shapes(self, restorer):
        with torch.device('meta'), torch.no_grad():
            out = restorer.generator(torch.zeros(1, 3, 256, 256), taps=restorer.taps)
            logits = restorer.discriminator(torch.zeros(1, 3, 256, 256))['realness']
            assert restorer.generator(torch.zeros(1, 3, 252, 260))['picture'].shape == (1, 3, 252, 260)
        assert out['picture'].shape == (1, 3, 256, 256)
        assert [out[tap].shape[1:] for tap in restorer.taps] == [(128, 256, 256), (256, 128, 128), (256, 64, 64)]
        assert logits.shape == (1, 1, 30, 30)

    def test_the_networks_of_each_configuration(self):
        with torch.device('meta'):
            roles = {
                name: set(dict(RESTORERS.build(paper_model(name)).named_children()))
                for name in ('cclgan/cclgan_spa.py', 'cyclegan/cyclegan_spa.py', 'cut/cut_spa.py')
            }
        projectors = {'projector', 'rain_projector', 'inter_projector', 'rain_inter_projector'}
        assert projectors <= roles['cclgan/cclgan_spa.py']
        assert not projectors & roles['cyclegan/cyclegan_spa.py']
        assert 'rain_generator' in roles['cyclegan/cyclegan_spa.py']
        assert {r for r in roles['cut/cut_spa.py'] if r.startswith('rain_') or 'projector' in r} == {'projector'}


def test_one_step_of_each_trains_its_own_roles_alone():
    restorer = small_restorer('CycleRestorer').train()
    inputs = random_inputs(restorer, 2, 16)
    made, steps = wrappers(restorer), restorer.steps
    for name, roles in steps.items():
        restorer.steps = {name: roles}
        before = copy.deepcopy(restorer.state_dict())
        restorer.train_step(dict(inputs=inputs, data_samples=[]), OptimWrapperDict(**{name: made[name]}))
        assert changed(before, restorer.state_dict()) == set(roles)
    encoder = restorer.encoder.network._net
    assert all(p.grad is None for p in encoder.parameters())


def test_the_intra_loss_alone_reaches_the_generators():
    restorer = RESTORERS.build(
        dict(SMALL_RESTORERS['CycleRestorer'], type='CycleRestorer', lambda_lcl=0.0, lambda_inter=0.0, lambda_idt=0.0)
    ).train()
    prepared = restorer.prepare(random_inputs(restorer, 1, 16))
    restorer._intra(prepared['pictures']).backward()
    for role in ('generator', 'rain_generator'):
        assert sum(p.grad.abs().sum() for p in restorer.role(role).parameters()) > 0


def test_swapping_the_domains_swaps_the_losses():
    restorer = small_restorer('CycleRestorer').train()
    roles = [r for group in restorer.steps.values() for r in group]
    twin = small_restorer('CycleRestorer').train()
    for role in roles:
        other = role.removeprefix('rain_') if role.startswith('rain_') else f'rain_{role}'
        twin.role(other).load_state_dict(restorer.role(role).state_dict())
    twin.load_training_state(restorer.training_state())
    inputs = random_inputs(restorer, 2, 16)
    swapped = dict(lq=inputs['hq'], hq=inputs['lq'])
    one = restorer.losses('discriminator', inputs, restorer.prepare(inputs))
    two = twin.losses('discriminator', swapped, twin.prepare(swapped))
    torch.testing.assert_close(one['loss_d_clean'], two['loss_d_rainy'])
    torch.testing.assert_close(one['loss_d_rainy'], two['loss_d_clean'])
    prepared = [r.prepare(x) for r, x in ((restorer, inputs), (twin, swapped))]
    torch.testing.assert_close(restorer._intra(prepared[0]['pictures']), twin._intra(prepared[1]['pictures']))
    for domain, other in (('clean', 'rainy'), ('rainy', 'clean')):
        twin.load_training_state(restorer.training_state())  # the same positions for both
        torch.testing.assert_close(restorer._inter(prepared[0], domain), twin._inter(prepared[1], other))


def test_without_the_three_contrastive_losses_it_is_a_two_way_gan_with_identity():
    cfg = dict(SMALL_RESTORERS['CycleRestorer'], lambda_lcl=0.0, lambda_intra=0.0, lambda_inter=0.0)
    restorer = RESTORERS.build(dict(cfg, type='CycleRestorer')).train()
    inputs = random_inputs(restorer, 1, 16)
    terms = restorer.losses('generator', inputs, restorer.prepare(inputs))
    rainy, clean = (restorer.to_range(inputs[role]) for role in ('lq', 'hq'))

    def picture(role, x):
        return restorer.role(role)(x)['picture']

    def fooled(role, x):
        return torch.relu(1 - restorer.role(role)(x)['realness']).mean()

    adv = fooled('discriminator', picture('generator', rainy)) + fooled(
        'rain_discriminator', picture('rain_generator', clean)
    )
    idt = (picture('generator', clean) - clean).abs().mean() + (picture('rain_generator', rainy) - rainy).abs().mean()
    assert {name for name in terms if name.startswith('loss')} == {'loss_adv', 'loss_idt'}
    torch.testing.assert_close(terms['loss_adv'] + terms['loss_idt'], (adv + idt) / 2)
    assert terms['colour_clean_r'].item() == pytest.approx((picture('generator', rainy)[0, 0].mean().item() + 1) / 2)


@pytest.mark.parametrize(
    'name', ['cclgan/cclgan_spa.py', 'cclgan/cclgan_rain_cityscapes.py', 'cyclegan/cyclegan_spa.py']
)
def test_learning_rate_is_constant_for_half_of_the_epochs_then_linear_to_zero(name):
    from mmengine.optim import LinearLR

    from restorebox.engine.loops import scale_schedule

    cfg = load_config(configs_dir() / name)
    epochs = 200 if 'cyclegan' in name else 400
    epoch = cfg.train_cfg.max_samples // epochs
    assert epoch == (1_400 if 'cityscapes' in name else 2_000)
    shrink = epoch // 10  # ten steps an epoch
    weights = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.Adam([weights], lr=cfg.optim_wrapper.generator.optimizer.lr)
    schedule = scale_schedule(cfg.param_scheduler.generator.to_dict(), shrink)
    assert schedule.pop('type') == 'LinearLR'
    scheduler, rates = LinearLR(optimiser, **schedule), []
    for _ in range(10 * epochs):
        rates.append(optimiser.param_groups[0]['lr'])
        optimiser.step()
        scheduler.step()
    half = 10 * epochs // 2
    assert set(rates[:half]) == {2e-4}
    assert rates[half + half // 2] == pytest.approx(1e-4, rel=0.01)
    assert optimiser.param_groups[0]['lr'] < 1e-8


@pytest.mark.parametrize('name', FACES)
def test_shared_passes_give_the_losses_of_the_plain_step(name):
    torch.manual_seed(0)
    shared = small_restorer(name).train().double()  # equal but for rounding, which ratios amplify
    plain = PlainCycleRestorer(**SMALL_RESTORERS[name]).train().double()
    plain.load_state_dict(shared.state_dict())
    plain.load_training_state(shared.training_state())
    # not Adam, which makes a whole step of a gradient that is rounding alone (a bias before a norm)
    made = [wrappers(shared, torch.optim.SGD), wrappers(plain, torch.optim.SGD)]
    for seed in range(3):  # the later ones with networks that have moved
        one, two = (step(r, seed, 24, w) for r, w in zip((shared, plain), made, strict=True))
        assert one.keys() == two.keys()
        for term in one:
            torch.testing.assert_close(one[term], two[term], rtol=1e-6, atol=1e-6, msg=term)


def test_number_of_passes_per_step():
    restorer = small_restorer('CycleRestorer').train()
    seen = dict(whole=0, encoder=0, pictures=0)
    for role in ('generator', 'rain_generator'):

        def count(_module, args, kwargs, _out):
            seen['encoder' if kwargs.get('only_taps') else 'whole'] += args[0].shape[0]

        restorer.role(role).register_forward_hook(count, with_kwargs=True)
    encode = restorer.encoder.network.__class__.__call__

    class Counted(type(restorer.encoder.network)):
        def __call__(self, x):
            seen['pictures'] += x.shape[0]
            return encode(self, x)

    restorer.encoder.network.__class__ = Counted
    inputs = random_inputs(restorer, 1, 16)
    restorer.train_step(dict(inputs=inputs, data_samples=[]), wrappers(restorer))
    # four translations and two for the identity; the reconstructions' encoders; six different pictures for the encoder
    assert seen == dict(whole=6, encoder=2, pictures=6)


def test_the_settings_of_the_paper():
    """The plain step shares these with the shared one, so that comparing the two would not tell."""
    with torch.device('meta'):
        built = {name: RESTORERS.build(paper_model(f'{name}/{name}_spa.py')) for name in ('cclgan', 'cyclegan', 'cut')}
    cclgan, cyclegan, cut = built.values()
    assert cclgan.weights == dict(lcl=2.0, intra=1.0, inter=0.005, idt=1.0, cycle=0.0)
    assert cyclegan.weights == dict(lcl=0.0, intra=0.0, inter=0.0, idt=5.0, cycle=10.0)
    assert cut.weights == dict(lcl=2.0, intra=0.0, inter=0.0, idt=0.0, cycle=0.0)
    assert [r.adversarial.mode for r in built.values()] == ['hinge', 'lsgan', 'lsgan']
    assert cclgan.lcl_pairs == (
        ('fake_clean', 'rainy'),
        ('fake_rainy', 'clean'),
        ('rec_rainy', 'fake_clean'),
        ('rec_clean', 'fake_rainy'),
    )
    assert cut.lcl_pairs == (('fake_clean', 'rainy'), ('same_clean', 'clean'))
    assert cclgan.taps == ('down1', 'down2', 'res1')
    assert cclgan.inter_taps == ('input', 'conv2', 'conv3')
    assert cclgan.counts == dict(lcl=256, inter=64)
    assert cclgan.nce.temperature == cut.nce.temperature == 0.07
    assert (cclgan.intra.real, cclgan.intra.fake) == (1.0, 0.1)
    assert (cclgan.inter.real, cclgan.inter.fake) == (1.0, 0.2)
    assert [r.pools['clean'].size for r in built.values()] == [0, 50, 0]
    assert [r.generator.backbone.antialias for r in built.values()] == [True, False, True]
    for restorer in built.values():
        assert list(restorer.steps) == ['discriminator', 'generator']
        assert len(restorer.generator.backbone.blocks) == 9
    for name in built:
        cfg = load_config(configs_dir() / name / f'{name}_spa.py')
        for wrapper in (cfg.optim_wrapper.discriminator, cfg.optim_wrapper.generator):
            assert wrapper.optimizer.to_dict() == dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
        clipped = cfg.optim_wrapper.generator.clip_grad.max_norm
        assert clipped == (10 if name == 'cclgan' else 1e30)
        assert cfg.train_dataloader.batch_size == 1


def test_every_weight_multiplies_its_loss_and_the_sum_is_theirs():
    def terms(**given):
        torch.manual_seed(0)
        restorer = CycleRestorer(**{**SMALL_RESTORERS['CycleRestorer'], 'lambda_cycle': 1.0, **given}).train()
        return step(restorer, wrapper=wrappers(restorer, torch.optim.SGD))

    ones = terms(lambda_lcl=1.0, lambda_intra=1.0, lambda_inter=1.0, lambda_idt=1.0)
    weights = dict(lcl=3.0, intra=0.5, inter=7.0, idt=2.0, cycle=4.0)
    given = terms(**{f'lambda_{name}': value for name, value in weights.items()})
    for name, value in weights.items():
        torch.testing.assert_close(given[f'loss_{name}'], value * ones[f'loss_{name}'])
    torch.testing.assert_close(given['loss_adv'], ones['loss_adv'])
    summed = sum(value for name, value in given.items() if name.startswith('loss_') and not name.startswith('loss_d'))
    torch.testing.assert_close(given['total_generator'], summed)


def test_positions_are_drawn_anew_each_step():
    restorer = small_restorer('CycleRestorer').train()
    features = {'down1': torch.zeros(1, 1, 16, 16)}
    first, second = (restorer._positions(features, 12)['down1'] for _ in range(2))
    assert len(set(first.tolist())) == 12
    assert not torch.equal(first, second)


@pytest.mark.parametrize('name', FACES)
@pytest.mark.parametrize('accumulate', [1, 2])
def test_trains_in_bfloat16_and_accumulating(name, accumulate):
    from restorebox.engine.optim import AutocastOptimWrapper

    restorer = small_restorer(name).train()
    made = {
        key: AutocastOptimWrapper(
            torch.optim.Adam([p for r in roles for p in restorer.role(r).parameters()], lr=1e-3),
            accumulative_counts=accumulate,
        )
        for key, roles in restorer.steps.items()
    }
    before = copy.deepcopy(restorer.state_dict())
    for seed in range(2):
        log = step(restorer, seed, wrapper=OptimWrapperDict(**made))
        assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in log.values())
    assert changed(before, restorer.state_dict()) == {r for roles in restorer.steps.values() for r in roles}


def test_ranks_that_join_at_a_resume_draw_what_the_others_draw():
    first, joined = (small_restorer('CycleRestorer: CycleGAN').train() for _ in range(2))
    step(first)
    joined.load_training_state(first.training_state())
    features = {'down1': torch.zeros(1, 1, 16, 16)}
    assert torch.equal(first._positions(features, 9)['down1'], joined._positions(features, 9)['down1'])


class TestSwitches:
    @pytest.mark.parametrize(
        ('given', 'expected'),
        [
            (dict(directions=3), 'directions is 3; it must be 1 or 2'),
            (dict(directions=1), 'lambda_intra needs a cycle'),
            (dict(lambda_lcl=-1.0), 'lambda_lcl is -1.0'),
            (dict(semantic_encoder=None), 'lambda_intra needs a semantic_encoder'),
            (dict(inter_updates_d=True, lambda_inter=0.0), 'inter_updates_d needs a lambda_inter'),
            (dict(lcl_pairs=(('fake_claen', 'rainy'),)), "no picture 'fake_claen'; did you mean 'fake_clean'"),
            (dict(lcl_pairs=()), 'lcl_pairs is empty'),
            (dict(gan_mode='hing'), "did you mean 'hinge'"),
            (dict(intra_negatives='none'), "negatives is 'none'"),
            (dict(lcl_taps=('down9',)), "no tap 'down9'"),
            (dict(image_pool=-1), 'image_pool is -1'),
            (dict(lcl_positions=1), 'lcl_positions is 1; it must be a whole number from 2'),
            (dict(inter_positions=256.0), 'inter_positions is 256.0'),
            (dict(lcl_taps=()), 'lcl_taps is empty'),
            (dict(lambda_idt='two'), "lambda_idt is 'two'"),
            (dict(lambda_intra=float('nan')), 'lambda_intra is nan'),
            (dict(lcl_pairs=('fake_clean', 'rainy')), 'pairs of names'),
            (dict(semantic_encoder=dict(type='CLIPVisuals')), "did you mean 'CLIPVisual'"),
        ],
    )
    def test_contradicting_arguments_are_an_error(self, given, expected):
        with pytest.raises(ConfigError, match=expected.replace('(', r'\(')):
            CycleRestorer(**{**SMALL_RESTORERS['CycleRestorer'], **given})

    @pytest.mark.parametrize(
        ('given', 'gone'),
        [
            (dict(lambda_lcl=0.0), 'loss_lcl'),
            (dict(lambda_intra=0.0), 'loss_intra'),
            (dict(lambda_inter=0.0), 'loss_inter'),
            (dict(lambda_idt=0.0), 'loss_idt'),
        ],
    )
    def test_a_weight_of_nothing_takes_its_loss_away(self, given, gone):
        whole = step(small_restorer('CycleRestorer').train())
        without = step(CycleRestorer(**{**SMALL_RESTORERS['CycleRestorer'], **given}).train())
        assert whole.keys() - without.keys() == {gone}

    def test_the_training_settings_are_recorded(self):
        assert recorded(small_restorer('CycleRestorer')) == {'semantic_encoder': 'RandomConv (width 4, seed 0)'}
        assert recorded(small_restorer('CycleRestorer: CUT')) == {}


class TestImagePool:
    def pool(self, size=4, seed=0):
        return ImagePool(size, torch.Generator().manual_seed(seed))

    def test_it_fills_and_then_exchanges_half(self):
        pool = self.pool()
        first = torch.arange(4.0).view(4, 1, 1, 1)
        assert torch.equal(pool.query(first), first)
        shown = torch.cat([pool.query(torch.full((1, 1, 1, 1), float(10 + i))) for i in range(200)]).flatten()
        old = sum(float(value) != 10 + i for i, value in enumerate(shown))
        assert 70 < old < 130
        assert len(pool.pictures) == 4

    def test_none_is_kept_at_size_zero_and_no_gradient_passes(self):
        x = torch.rand(2, 3, 4, 4, requires_grad=True)
        assert not self.pool(0).query(x).requires_grad
        assert not self.pool(3).query(x).requires_grad
        assert self.pool(0).pictures == []

    def test_a_restored_state_goes_on_the_same(self):
        name = 'CycleRestorer: CycleGAN'
        torch.manual_seed(0)
        restorer = RESTORERS.build(dict(SMALL_RESTORERS[name], type='CycleRestorer', image_pool=2)).train()
        for seed in range(3):
            step(restorer, seed)
        state, weights = copy.deepcopy(restorer.training_state()), copy.deepcopy(restorer.state_dict())
        on = step(restorer, 3)
        torch.manual_seed(99)
        twin = RESTORERS.build(dict(SMALL_RESTORERS[name], type='CycleRestorer', image_pool=2)).train()
        twin.load_state_dict(weights)
        twin.load_training_state(state)
        again = step(twin, 3)
        assert all(torch.equal(on[term], again[term]) for term in on)
