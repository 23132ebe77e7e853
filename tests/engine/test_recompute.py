"""Activation checkpointing: equal gradients, less memory, by MMEngine's key, on one rank and several."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from restorebox.engine.recompute import matching_modules, recompute
from restorebox.errors import ConfigError
from restorebox.files import find_checkpoints
from restorebox.registry import RESTORERS
from tests.processes import call, run_ranks, succeed, write_config

SMALL = dict(
    type='CycleRestorer',
    generator=dict(
        backbone=dict(type='ResNetGenerator', blocks=2, base_width=4),
        head=dict(type='PictureHead', kernel=7, padding='reflect'),
    ),
    discriminator=dict(
        backbone=dict(type='PatchDiscriminator', halvings=2, base_width=4), head=dict(type='RealnessHead')
    ),
    lambda_lcl=1.0,
    lcl_positions=16,
    lambda_intra=0.0,
    lambda_inter=0.1,
    inter_taps=('input', 'conv2'),
    inter_positions=8,
    lambda_cycle=1.0,
)
PATTERNS = [f'*generator.backbone.{part}' for part in ('stem', 'halve.*', 'blocks.*', 'up.*')]


def passes(patterns):
    """Gradients of both steps, and bytes that the generators' passes store for the backward pass."""
    torch.manual_seed(0)
    model = RESTORERS.build(dict(SMALL)).train()
    recompute(model, patterns)
    rng = torch.Generator().manual_seed(1)
    inputs = {role: torch.rand(1, 3, 64, 64, generator=rng) for role in ('lq', 'hq')}
    stored: dict[int, int] = {}

    def count(x):
        stored[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        prepared = model.prepare(inputs)
    for step, roles in model.steps.items():
        with model.updating(roles):
            terms = model.losses(step, inputs, prepared)
            sum(value for name, value in terms.items() if name.startswith('loss')).backward()
    return {name: p.grad for name, p in model.named_parameters()}, sum(stored.values())


def test_gradients_are_equal_and_less_is_stored():
    plain, much = passes([])
    saved, little = passes(PATTERNS)
    assert plain.keys() == saved.keys()
    for name, gradient in plain.items():
        assert torch.equal(gradient, saved[name]), name
    assert little < 0.6 * much


def test_running_statistics_are_updated_once():
    def statistics(recomputed):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Conv2d(4, 1, 1)).train()
        if recomputed:
            recompute(net, ['0'])
        net(torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))).sum().backward()
        return {**dict(net.named_buffers()), **{name: p.grad for name, p in net.named_parameters()}}

    plain, saved = statistics(False), statistics(True)
    assert plain['0.1.num_batches_tracked'] == 1
    for name, value in plain.items():
        assert torch.equal(value, saved[name]), name


def test_only_outermost_modules_match_and_no_containers():
    model = RESTORERS.build(dict(SMALL))
    net = model.generator.backbone
    assert matching_modules(model, 'generator.backbone.blocks.*') == [*net.blocks]
    assert matching_modules(model, ['generator.backbone.blocks.1*', 'generator.backbone.blocks.0']) == [*net.blocks]
    with pytest.raises(ConfigError, match=r"no module matches 'generator\.backbone\.blocks'"):  # a ModuleList
        matching_modules(model, 'generator.backbone.blocks')


def test_evaluation_is_not_wrapped():
    model = RESTORERS.build(dict(SMALL)).eval()
    x = torch.rand(1, 3, 32, 32)
    before = model.restore(x)['pred']
    recompute(model, PATTERNS)
    assert torch.equal(model.restore(x)['pred'], before)


@pytest.mark.parametrize(
    ('patterns', 'message'),
    [
        (['generator.backbone.blocs.*'], "no module matches 'generator.backbone.blocs"),
        ([3], 'it must be a list of names of modules'),
        (dict(a=1), 'it must be a list of names of modules'),
    ],
)
def test_a_pattern_without_match_is_an_error(patterns, message):
    with pytest.raises(ConfigError, match=message):
        recompute(RESTORERS.build(dict(SMALL)), patterns)


@pytest.mark.slow
@pytest.mark.parametrize('ranks', [1, 2])
def test_a_training_has_the_same_weights(ranks, tmp_path):
    for split in ('train', 'test'):
        for role in ('lq', 'gt'):
            (tmp_path / 'data' / split / role).mkdir(parents=True)
            for i in range(4):
                rng = np.random.default_rng([split == 'train', i])
                picture = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
                picture.save(tmp_path / 'data' / split / role / f'{i}.png')
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=8)
    states = []
    for name, options in (('plain', []), ('saved', ["activation_checkpointing=['generator.backbone.*']"])):
        given = (config, '--work-dir', name, '--cfg-options', 'train_cfg.max_samples=8', *options)
        if ranks == 1:
            succeed(call('train.py', *given, cwd=tmp_path))
        else:
            for result in run_ranks('train.py', *given, ranks=ranks, cwd=tmp_path):
                succeed(result)
        states.append(torch.load(find_checkpoints(tmp_path / name)[-1], weights_only=False)['state_dict'])
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
