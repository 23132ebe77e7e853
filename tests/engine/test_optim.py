"""Optimiser wrappers and the options of train."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmengine.registry import DefaultScope

from restorebox.cli.train import apply_options, parse
from restorebox.engine import RoleOptimWrapperConstructor, optim
from restorebox.engine.loops import scale_schedule
from restorebox.errors import CheckpointError, ConfigError
from tests.factories import random_inputs, small_restorer

pytestmark = pytest.mark.slow

ADAM = dict(optimizer=dict(type='Adam', lr=1e-3))


def build(model, **cfg):
    with DefaultScope.overwrite_default_scope('restorebox'):
        return build_optim_wrapper(model, dict(constructor='RoleOptimWrapperConstructor', **cfg))


def test_one_optimiser_per_step_over_its_roles():
    model = small_restorer('ToyGAN').train()
    wrapper = build(model, generator=ADAM, discriminator=dict(**ADAM, accumulative_counts=2))
    assert isinstance(wrapper, OptimWrapperDict)
    assert list(wrapper.keys()) == ['discriminator', 'generator']
    ids = {id(p) for p in wrapper['generator'].optimizer.param_groups[0]['params']}
    assert ids == {id(p) for p in model.generator.parameters()}
    log = model.train_step(dict(inputs=random_inputs(model, 2, 16), data_samples=[]), wrapper)
    assert {
        'loss_d',
        'loss_adv',
        'loss_idt',
        'loss_features',
        'd_real',
        'total_generator',
        'total_discriminator',
    } == set(log)


def test_a_step_leaves_the_other_roles_gradients_alone():
    model = small_restorer('ToyGAN').train()
    wrapper = build(model, generator=ADAM, discriminator=ADAM)
    wrapper['discriminator'].optimizer.zero_grad()
    model.train_step(dict(inputs=random_inputs(model, 2, 16), data_samples=[]), wrapper)
    assert all(p.grad is None for p in model.discriminator.parameters()), 'the generator step reached the discriminator'


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(genrator=ADAM, discriminator=ADAM), "no step 'genrator'; did you mean 'generator'"),
        (dict(generator=ADAM), "an optimiser for the step 'discriminator'"),
    ],
)
def test_steps_must_match(cfg, message):
    with pytest.raises(ConfigError, match=message):
        RoleOptimWrapperConstructor(cfg)(small_restorer('ToyGAN'))


@pytest.mark.parametrize(
    ('native', 'emulate', 'dtype', 'said'),
    [
        (True, True, torch.bfloat16, []),
        (True, False, torch.bfloat16, []),
        (False, True, torch.bfloat16, ['several times slower']),
        (False, False, torch.float32, ['training in float32']),
    ],
)
def test_where_bf16_is_emulated(monkeypatch, native, emulate, dtype, said):
    lines = []
    monkeypatch.setattr(optim, 'has_bf16', lambda _: native)
    monkeypatch.setattr(optim, 'print_log', lambda text, *_: lines.append(text))
    monkeypatch.setattr(optim.AutocastOptimWrapper, '_warned', False)
    model = torch.nn.Linear(2, 2)
    wrapper = optim.AutocastOptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3), emulate=emulate)
    for _ in range(2):  # it is said once
        with wrapper.optim_context(model):
            assert model(torch.zeros(1, 2)).dtype == dtype
    assert len(lines) == len(said)
    assert all(words in line for words, line in zip(said, lines, strict=True))


def options(cfg, *argv):
    cfg = Config(cfg)
    apply_options(cfg, parse(['c.py', *argv]))
    return cfg


def test_options_of_train():
    cfg = options(
        dict(optim_wrapper=dict(type='OptimWrapper', **ADAM)), '--amp', '--seed', '7', '--deterministic', '--resume'
    )
    assert cfg.optim_wrapper.type == 'AutocastOptimWrapper'
    assert cfg.randomness == dict(seed=7, deterministic=True)
    assert cfg.resume is True
    several = dict(constructor='RoleOptimWrapperConstructor', generator=dict(ADAM), discriminator=dict(ADAM))
    cfg = options(dict(optim_wrapper=several), '--amp')
    assert cfg.optim_wrapper.generator.type == cfg.optim_wrapper.discriminator.type == 'AutocastOptimWrapper'
    with pytest.raises(ConfigError, match='base_batch_size'):
        options(dict(optim_wrapper=dict(ADAM)), '--auto-scale-lr')
    assert options(
        dict(optim_wrapper=dict(ADAM), auto_scale_lr=dict(enable=False, base_batch_size=1)), '--auto-scale-lr'
    ).auto_scale_lr.enable


def test_learning_rate_is_scaled_only_when_asked_for(tmp_path):
    from restorebox.engine.config import load_config
    from restorebox.registry import RUNNERS
    from tests.factories import write_pairs
    from tests.processes import write_config

    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data', split, 2)
    for enable, expected in ((False, 1e-3), (True, 2e-3)):
        cfg = load_config(write_config(tmp_path / 'c.py', tmp_path / 'data', samples=2))
        cfg.auto_scale_lr = dict(enable=enable, base_batch_size=1)  # the batch is 2
        cfg.work_dir, cfg.launcher = str(tmp_path / f'w{enable}'), 'none'
        cfg.param_scheduler = None
        runner = RUNNERS.build(cfg)
        runner.train()
        assert runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        (dict(lq=torch.rand(1, 3, 16, 16)), "the pipeline gives lq, but SupervisedRestorer needs 'gt'"),
        (dict(lq=[torch.rand(3, 16, 16)] * 2, gt=[torch.rand(3, 16, 16)] * 2), 'differ in size; add RandomWindow'),
        (dict(lq=torch.rand(1, 3, 18, 16), gt=torch.rand(1, 3, 18, 16)), "'lq' is 18x16 .* multiples of 4"),
    ],
)
def test_a_batch_that_does_not_fit_is_explained(inputs, message):
    with pytest.raises(ConfigError, match=message):
        small_restorer('SupervisedRestorer').train().train_step(dict(inputs=inputs, data_samples=[]), None)


@pytest.mark.parametrize(
    ('terms', 'message'),
    [
        (lambda step: {'loss_x': torch.ones((), requires_grad=True)}, "two steps log 'loss_x'"),
        (lambda step: {}, 'no term'),
    ],
)
def test_loss_terms_of_steps_must_exist_and_have_unique_names(terms, message):
    model = small_restorer('ToyGAN').train()
    model.losses = lambda step, inputs, memory: terms(step)
    wrapper = build(model, generator=ADAM, discriminator=ADAM)
    with pytest.raises(ConfigError, match=message):
        model.train_step(dict(inputs=random_inputs(model, 2, 16), data_samples=[]), wrapper)


def test_a_step_without_a_schedule_keeps_its_rate():
    from restorebox.engine import RestorationRunner

    runner = RestorationRunner.__new__(RestorationRunner)
    runner.optim_wrapper = build(small_restorer('ToyGAN'), generator=ADAM, discriminator=ADAM)
    runner._train_loop = None
    seen = {}
    runner._build_param_scheduler = lambda cfg, wrapper: seen.setdefault(id(wrapper), cfg)
    built = runner.build_param_scheduler(dict(generator=[dict(type='LinearLR')]))
    assert built == dict(discriminator=[], generator=[dict(type='LinearLR')])


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        (dict(type='CosineRestartLR', periods=[8, 16]), dict(periods=[2, 4])),
        (dict(type='OneCycleLR', total_steps=40), dict(total_steps=10)),
        (dict(type='MultiStepLR', milestones=[10, 20]), dict(milestones=[3, 5])),
    ],
)
def test_schedules_in_samples_become_steps(cfg, expected):
    scaled = scale_schedule(cfg, 4)
    assert {key: scaled[key] for key in expected} == expected
    assert scaled['by_epoch'] is False


def test_a_schedule_that_counts_validations_is_refused():
    with pytest.raises(ConfigError, match='counts validations'):
        scale_schedule(dict(type='ReduceOnPlateauLR', patience=3), 4)


def test_a_first_stage_starts_the_roles_it_has():
    """A generator trained alone starts a GAN; a role that is there only in part does not."""
    alone, gan = small_restorer('SupervisedRestorer'), small_restorer('ToyGAN')
    state = alone.state_dict()
    assert gan.roles_in(state) == ('generator',)
    gan.load_weights(state, gan.roles_in(state))
    assert all(torch.equal(v, state[k]) for k, v in gan.state_dict().items() if k.startswith('generator'))
    with pytest.raises(CheckpointError, match='none of the roles'):
        gan.roles_in({'net.weight': torch.ones(1)})
