"""NAFNet, Restormer, PromptIR, PReNet and gUNet: sizes, outputs and receptive fields of the published networks."""

import pytest
import torch
from torch.nn import functional as F

from restorebox.backbones.restormer import Restormer
from restorebox.engine.conversion_networks import convert_by_rules
from restorebox.errors import ConfigError
from restorebox.layers.naf_block import MeanScale, PixelNorm
from restorebox.layers.transposed_attention import BiasFreeNorm, TransposedAttention
from restorebox.registry import BACKBONES
from restorebox.restorers import Network
from tests import twins
from tests.factories import gradient_reach

RESIDUAL = dict(type='PictureHead', residual=True, activation=False)
BIAS_FREE = dict(RESIDUAL, bias=False)
REFLECTED = dict(RESIDUAL, padding='reflect')
PICTURE = dict(type='IdentityHead', output='picture')
GUNET_S = (4, 4, 4, 8)


def network(backbone, head):
    return Network(dict(backbone), head).eval()


def meta(backbone, head):
    with torch.device('meta'):
        return network(backbone, head)


def size(net):
    return sum(p.numel() for p in net.parameters())


def picture(*shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ('backbone', 'head', 'weights'),
    [
        (dict(type='NAFNet'), RESIDUAL, 17_111_907),  # GoPro: published as 17.1 M
        (dict(type='NAFNet', before=(2, 2, 4, 8), middle=12, behind=(2, 2, 2, 2)), RESIDUAL, 29_159_715),  # 29.16 M
        (dict(type='NAFNet', width=64), RESIDUAL, 67_888_835),  # 67.9 M
        (dict(type='Restormer'), BIAS_FREE, 26_126_644),  # 26.13 M
        (dict(type='Restormer', centred=False), BIAS_FREE, 26_111_668),
        (dict(type='PReNet'), PICTURE, 168_963),
        (dict(type='GUNet'), REFLECTED, 844_899),
        (dict(type='GUNet', blocks=GUNET_S), REFLECTED, 1_477_059),
        (dict(type='PromptIR'), BIAS_FREE, 35_376_967),
    ],
)
def test_number_of_weights_is_the_published_one(backbone, head, weights):
    assert size(meta(backbone, head)) == weights


def test_number_of_weights_is_that_of_the_public_layers():
    def count(shapes):
        return sum(torch.Size(shape).numel() for name, shape in shapes.items() if 'running' not in name and shape)

    full = (5, (64, 128, 320), (64, 32, 16))
    assert size(meta(dict(type='Restormer'), BIAS_FREE)) == count(twins.restormer_shapes())
    assert size(meta(dict(type='PromptIR'), BIAS_FREE)) == count(twins.restormer_shapes(prompts=full))
    # published as 35.59 M, with the layers that are never called
    assert round((count(twins.restormer_shapes(prompts=full)) + count(twins.promptir_unused())) / 1e6, 2) == 35.59
    assert size(meta(dict(type='PReNet'), PICTURE)) == count(twins.prenet_shapes())
    assert size(meta(dict(type='GUNet'), REFLECTED)) == count(twins.gunet_shapes())


def twin_of(kind):
    """(our network with the twin's weights, the twin as a function of the picture)."""
    if kind == 'nafnet':
        spandrel = pytest.importorskip('spandrel.architectures.NAFNet')
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            twin = spandrel.NAFNet(width=8, enc_blk_nums=[1, 2], middle_blk_num=2, dec_blk_nums=[3, 1]).eval()
        state = twins.drawn({name: tuple(value.shape) for name, value in twin.state_dict().items()})
        twin.load_state_dict(state)
        cfg, head = dict(type='NAFNet', width=8, before=(1, 2), middle=2, behind=(1, 3)), RESIDUAL
    elif kind == 'prenet':
        state = twins.drawn(twins.prenet_shapes(8))
        cfg, head = dict(type='PReNet', width=8), PICTURE

        def twin(x):
            return twins.prenet(state, x)[-1]
    elif kind == 'gunet':
        state = twins.drawn(twins.gunet_shapes(8, (1, 2, 3, 2, 1), 3))
        cfg, head = dict(type='GUNet', width=8, blocks=(1, 2, 3), kernel=3), REFLECTED

        def twin(x):
            return twins.gunet(state, x)
    else:
        small = dict(blocks=(1, 2, 1, 2), refinement=1, heads=(1, 2, 2, 4))
        given = {'bias-free': dict(centred=False), 'promptir': dict(prompts=(3, (8, 4, 8), (9, 4, 2)))}.get(kind, {})
        state = twins.drawn(twins.restormer_shapes(8, **small, **given))
        ours = {'bias-free': given, 'promptir': dict(prompts=3, prompt_widths=(8, 4, 8), prompt_sizes=(9, 4, 2))}
        name = 'PromptIR' if kind == 'promptir' else 'Restormer'
        cfg, head = dict(type=name, width=8, **small, **ours.get(kind, {})), BIAS_FREE

        def twin(x):
            return twins.restormer(state, x)

    net = network(cfg, head)
    rules = 'restormer' if kind == 'bias-free' else kind
    net.load_state_dict(convert_by_rules(state, net, rules))
    return net, twin


KINDS = ['nafnet', 'restormer', 'bias-free', 'promptir', 'prenet', 'gunet']


@pytest.mark.parametrize('kind', KINDS)
def test_output_is_that_of_the_twin(kind):
    net, twin = twin_of(kind)
    x = picture(2, 3, 48, 64)
    with torch.no_grad():
        ours, theirs = net(x)['picture'], twin(x)
    assert (theirs - x).abs().max() > 0.1, 'the weights do something'
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_gradient_is_that_of_the_twin(kind):
    net, twin = twin_of(kind)
    grads = []
    for function in (lambda x: net(x)['picture'], twin):
        x = picture(1, 3, 32, 48).requires_grad_()
        grads.append(torch.autograd.grad(function(x).square().mean(), x)[0])
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-3)


def test_prenets_stages_are_its_taps():
    state = twins.drawn(twins.prenet_shapes(8))
    net = network(dict(type='PReNet', width=8), PICTURE)
    net.load_state_dict(convert_by_rules(state, net, 'prenet'))
    x = picture(1, 3, 20, 24)
    with torch.no_grad():
        stages = net(x, taps=net.backbone.tap_names)
        torch.testing.assert_close([stages[f'stage{i + 1}'] for i in range(6)], twins.prenet(state, x))


@pytest.mark.parametrize(
    ('given', 'head'),
    [
        (dict(type='NAFNet', width=2, before=(1, 1), middle=1, behind=(1, 1)), RESIDUAL),
        (dict(type='Restormer', width=2, blocks=(1, 1), refinement=1, heads=(1, 1)), BIAS_FREE),
        (dict(type='Restormer', width=2, blocks=(1, 2, 1), refinement=2, heads=(1, 1, 1)), BIAS_FREE),
        (dict(type='GUNet', width=2, blocks=(1, 1)), REFLECTED),
        (dict(type='GUNet', width=2, blocks=(2, 1, 1), kernel=3), REFLECTED),
        (dict(type='PReNet', width=2, stages=2, blocks=1), PICTURE),
    ],
)
def test_receptive_field_equals_the_reach_of_a_perturbation(given, head, monkeypatch):
    # what is normal in one pixel, and what is a mean of all, would hide or widen the field
    for norm in (PixelNorm, BiasFreeNorm):
        monkeypatch.setattr(norm, 'forward', lambda self, x: x)
    monkeypatch.setattr(MeanScale, 'forward', lambda self, x, scene: 0.7 * x)
    monkeypatch.setattr(
        TransposedAttention,
        'weights',
        lambda self, products, q, k: torch.full_like(products, 0.5),
    )
    monkeypatch.setattr(
        'restorebox.backbones.gunet.SelectiveFusion.mean', lambda self, x: torch.full_like(x[..., :1, :1], 0.5)
    )
    monkeypatch.setattr(F, 'gelu', lambda x: x)
    net = network(given, head).double()
    for p in net.parameters():
        low = 0.002 if given['type'] == 'PReNet' else 0.05  # an LSTM with large weights is constant
        torch.nn.init.uniform_(p, low, 4 * low, generator=torch.Generator().manual_seed(0))
    stride, field = net.needs.stride, net.needs.receptive_field
    side = stride * (2 * field // stride + 4)
    x = picture(1, 3, side, side).double()
    assert gradient_reach(net, x) == field


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(type='NAFNet', before=(1, 1), behind=(1,)), 'behind has 1 entries'),
        (dict(type='Restormer', blocks=(1,), heads=(1,)), 'it must name two levels or more'),
        (dict(type='Restormer', blocks=(1, 1), heads=(1,)), '1 numbers of heads for 2 levels'),
        (dict(type='Restormer', width=6, blocks=(1, 1), heads=(4, 1)), '6 channels cannot be divided among 4 heads'),
        (dict(type='Restormer', width=3, blocks=(1, 1), heads=(1, 1)), 'width is 3; it must be even'),
        (dict(type='PromptIR', width=4, blocks=(1, 1), heads=(1, 1)), 'it must name three levels or more'),
        (dict(type='PromptIR', prompt_widths=(64, 128)), '2 prompt_widths and 3 prompt_sizes; 4 levels need 3'),
        (dict(type='PromptIR', prompt_widths=(63, 128, 320)), '96 . 63 channels cannot be divided among 4 heads'),
        (dict(type='GUNet', blocks=(1,)), 'it must name two levels or more'),
        (dict(type='GUNet', kernel=4), 'kernel is 4; it must be odd'),
    ],
)
def test_incompatible_arguments_are_an_error(given, message):
    with pytest.raises(ConfigError, match=message):
        BACKBONES.build(given)


def test_an_untrained_restormer_returns_its_input():
    net = network(dict(type='Restormer', width=4, blocks=(1, 1), refinement=0, heads=(1, 1)), BIAS_FREE)
    x = picture(1, 3, 16, 16)
    assert torch.equal(net(x)['picture'], x)
    assert isinstance(net.backbone, Restormer)
