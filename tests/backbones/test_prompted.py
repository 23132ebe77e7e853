"""Prompts in any backbone."""

import copy

import numpy as np
import pytest
import torch

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.prompted import Prompted
from restorebox.errors import ConfigError
from restorebox.inference.tiles import Tiler
from restorebox.registry import BACKBONES
from restorebox.restorers import Network
from restorebox.restorers.supervised import SupervisedRestorer
from tests.factories import SMALL_BACKBONES, backbone_names, gradient_reach, small_backbone

NAF = dict(type='NAFUNet', widths=(4, 6), before=(1, 1), behind=(1,))


def prompted(**given):
    return Prompted(**{'inner': NAF, 'taps': ('down1', 'process'), 'prompts': 3, 'width': 4, **given})


def with_weights(module, seed=0):
    rng = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        torch.nn.init.uniform_(p, -0.4, 0.4, generator=rng)
    return module.eval()


TAKES = [
    name
    for name in backbone_names()
    if name != 'Prompted' and small_backbone(name).tap_names and not small_backbone(name).given
]


# their deepest taps are sums or activations, computed outside of a module
NOT_MODULES = {'DDN', 'PReNet', 'PhysicsEstimator', 'RainNet', 'SpandrelNetwork'}


@pytest.mark.parametrize('name', TAKES)
def test_every_backbone_takes_prompts_or_says_why_not(name):
    inner = dict(type=name, **SMALL_BACKBONES.get(name, {}))
    tap = small_backbone(name).tap_names[-1]
    if name in NOT_MODULES:
        with pytest.raises(ConfigError, match='is not the output of a module'):
            prompted(inner=inner, taps=(tap,))
        return
    net = prompted(inner=inner, taps=(tap,)).eval()
    plain = BACKBONES.build(inner).eval()
    net.inner.load_state_dict(plain.state_dict())
    side = 2 * max(plain.needs.stride, plain.needs.min_size)
    x = torch.rand(1, plain.needs.in_channels, side, side)
    assert torch.equal(net(x)['out'], plain(x)['out']), 'an untrained wrapper changes nothing'
    before = net(x, taps=(tap,))[tap]
    torch.nn.init.ones_(net.blocks[tap].leave.weight)
    assert not torch.equal(net(x, taps=(tap,))[tap], before)


def test_prompts_learn_and_reach_the_output():
    net = with_weights(prompted())
    x = torch.rand(2, 3, 16, 16)
    net(x)['out'].square().mean().backward()
    for block in net.blocks.values():
        assert block.generate.prompts.grad.abs().sum() > 0
        assert block.generate.choose.weight.grad.abs().sum() > 0


def test_a_copy_has_its_own_prompts():
    """As the moving average makes one: a hook of the original would leave the copy without its weights."""
    net = with_weights(prompted())
    twin = copy.deepcopy(net)
    x = torch.rand(1, 3, 16, 16)
    expected = net(x)['out']
    with torch.no_grad():
        for p in net.blocks.parameters():
            p.zero_()
    assert torch.equal(twin(x)['out'], expected)
    assert not torch.equal(net(x)['out'], expected)


def test_the_field_is_an_upper_bound_of_the_reach(monkeypatch):
    monkeypatch.setattr('restorebox.layers.naf_block.PixelNorm.forward', lambda self, x: x)
    monkeypatch.setattr('restorebox.layers.naf_block.MeanScale.forward', lambda self, x, scene: 0.7 * x)
    monkeypatch.setattr(
        'restorebox.layers.transposed_attention.TransposedAttention.weights',
        lambda self, products, q, k: torch.full_like(products, 0.5),
    )
    monkeypatch.setattr(
        'restorebox.layers.prompts.PromptGenerator.mean', lambda self, x: torch.full_like(x[..., :1, :1], 0.5)
    )
    monkeypatch.setattr(torch.nn.functional, 'gelu', lambda x: x)
    net = Network(prompted(), dict(type='SubPixelHead', residual=True)).double().eval()
    for p in net.parameters():
        torch.nn.init.uniform_(p, 0.05, 0.2, generator=torch.Generator().manual_seed(0))
    stride, field = net.needs.stride, net.needs.receptive_field
    side = stride * (2 * field // stride + 4)
    x = torch.rand(1, 3, side, side, dtype=torch.float64)
    assert field - stride <= gradient_reach(net, x) <= field


def test_tiles_agree_with_the_whole_picture():
    network = Network(prompted(), dict(type='SubPixelHead', residual=True, activation=False))
    model = with_weights(SupervisedRestorer(network, dict(l1=dict(type='L1Loss')), statistics_window=64))
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(0.5)
    rng = np.random.default_rng(0)
    picture = (rng.random((300, 420, 3)) * np.linspace(20, 255, 420)[:, None]).astype(np.uint8)
    whole = Tiler(model, memory=1e6)(picture)
    tiler = Tiler(model, memory=1)
    tiler._pixel_bytes = 2**20 / (160 * 160)
    assert len(tiler.plan(300, 420)[0]) > 1
    assert np.abs(whole.astype(int) - tiler(picture)).max() <= 1


def test_stretched_prompts_see_the_whole_picture():
    assert prompted(size=4).needs.receptive_field is None


class Functional(BaseBackbone):
    """A tap that no module gives."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 1)
        self.tap_channels, self.out_channels, self.out_stride = {'half': 4}, 4, 1
        self.needs = Needs(1, 1)

    def forward(self, x, taps=(), only_taps=False):
        kept = self.collect(taps, only_taps)
        x = torch.relu(self.conv(x))
        return kept.features if kept.last('half', x) else kept.end(x)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(taps=('dwn1',)), "no tap like 'dwn1'; did you mean 'down1'"),
        (dict(heads=3), '4 channels of down1 . 4 cannot be divided among 3 heads'),
        (dict(inner=dict(type='DDPMUNet', base_width=4), taps=('*',)), "DDPMUNet cannot take prompts: it reads 't"),
    ],
)
def test_a_wrong_argument_is_an_error(given, message):
    with pytest.raises(ConfigError, match=message):
        prompted(**given)


def test_a_tap_of_no_module_is_an_error(monkeypatch):
    monkeypatch.setattr(BACKBONES, 'build', lambda cfg: Functional())
    with pytest.raises(ConfigError, match="the tap 'half' of Functional is not the output of a module"):
        prompted(taps=('half',))
