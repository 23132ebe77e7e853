"""The U of NAFNet's blocks."""

import numpy as np
import pytest
import torch

from restorebox.backbones.naf_unet import NAFUNet
from restorebox.errors import ConfigError
from restorebox.inference.tiles import Tiler
from restorebox.layers.naf_block import MeanScale, NAFBlock, PixelNorm, SceneScale
from restorebox.restorers import Network
from restorebox.restorers.supervised import SupervisedRestorer
from tests.factories import gradient_reach

HEAD = dict(type='SubPixelHead', residual=True, activation=False)
SMALL = dict(widths=(4, 6), before=(1, 1), behind=(1,))


def randomised(module, seed=0):
    """Every weight away from its start, so that nothing is passed by."""
    rng = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        torch.nn.init.uniform_(p, -0.4, 0.4, generator=rng)
    return module.eval()


def restorer(**given):
    network = Network(dict(type='NAFUNet', **{**SMALL, **given}), HEAD)
    return randomised(SupervisedRestorer(network, losses=dict(l1=dict(type='L1Loss'))))


@pytest.mark.parametrize(
    'given',
    [
        dict(widths=(3, 4), before=(1, 1), behind=(1,)),
        dict(widths=(3, 4), before=(2, 3), behind=(1,), kinds='residual'),
        dict(widths=(2, 3, 4), before=(1, 2, 1), behind=(2, 1), kinds=('residual', 'naf', 'fdr')),
        dict(widths=(3, 4), before=(1, 1), behind=(1,), stem=4),
    ],
)
def test_receptive_field_equals_the_reach_of_a_perturbation(given, monkeypatch):
    # what is normal in one pixel, and what is a mean of all, would hide or widen the field
    monkeypatch.setattr(PixelNorm, 'forward', lambda self, x: x)
    monkeypatch.setattr(MeanScale, 'forward', lambda self, x, scene: 0.7 * x)
    monkeypatch.setattr(
        'restorebox.layers.disentangle.ChannelAttention.gate',
        lambda self, x, scene=None: torch.full_like(x[..., :1, :1], 0.7),
    )
    net = Network(dict(type='NAFUNet', **given), HEAD).double().eval()
    for p in net.parameters():
        torch.nn.init.uniform_(p, 0.05, 0.2, generator=torch.Generator().manual_seed(0))
    stride, field = net.needs.stride, net.needs.receptive_field
    side = stride * (2 * field // stride + 4)
    x = torch.rand(1, 3, side, side, dtype=torch.float64)
    assert gradient_reach(net, x) == field


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(widths=(32,), before=(1,), behind=()), 'it must name two levels or more'),
        (dict(before=(1, 1, 1)), 'before has 3 entries; 2 widths need 2'),
        (dict(behind=(1, 1)), 'behind has 2 entries; 2 widths need 1'),
        (dict(kinds=('naf',)), 'kinds has 1 entries; 2 widths need 2'),
        (dict(kinds='nafs'), "unknown kind 'nafs'; did you mean 'naf'"),
        (dict(stem=3), 'stem is 3; it must be 1, 2 or 4'),
        (dict(scene=8, in_channels=4), 'scene needs in_channels=3'),
    ],
)
def test_incompatible_arguments_are_an_error(given, message):
    with pytest.raises(ConfigError, match=message):
        NAFUNet(**{**SMALL, **given})


@pytest.mark.parametrize('kinds', ['naf', 'residual', 'fdr'])
def test_an_untrained_block_passes_its_input_on(kinds):
    net = NAFUNet(**SMALL, kinds=kinds, scene=8)
    x, told = torch.rand(1, 6, 8, 8), torch.rand(1, 8, 1, 1)
    assert torch.equal(net.process[0](x, told), x)


def test_the_block_is_that_of_the_paper():
    """beta and gamma in the weights of the convolutions are beta and gamma in front of the maps."""
    block = randomised(NAFBlock(4, 2))
    x = torch.rand(1, 4, 6, 7)

    def half(y):
        return y[:, : y.shape[1] // 2] * y[:, y.shape[1] // 2 :]

    def plain(conv, y):
        return torch.nn.functional.conv2d(y, conv.weight, conv.bias)

    y = half(block.depthwise(block.enter(block.norm1(x))))
    y = y * block.attention.conv(y.mean((-2, -1), keepdim=True))
    y = x + block.leave.scale[:, None, None] * plain(block.leave, y)
    z = half(block.expand(block.norm2(y)))
    torch.testing.assert_close(block(x), y + block.reduce.scale[:, None, None] * plain(block.reduce, z))
    normal = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    expected = normal * block.norm1.weight[:, None, None] + block.norm1.bias[:, None, None]
    torch.testing.assert_close(block.norm1(x), expected)


def test_a_scene_is_read_by_each_block_that_can():
    net = randomised(NAFUNet(**SMALL, kinds=('residual', 'naf'), scene=8))
    x = torch.rand(1, 3, 16, 16)
    first, second = (net(x, scene=torch.full((1, 7, 32, 32), value))['out'] for value in (0.1, 0.9))
    assert not torch.allclose(first, second)
    assert sum(isinstance(m, SceneScale) for m in net.modules()) == 3
    torch.testing.assert_close(net(x)['out'], net(x, **net.global_statistics(x))['out'])


def test_needs_include_global_statistics():
    assert restorer(scene=8).needs.global_statistics
    assert not restorer().needs.global_statistics
    assert restorer().estimate_shared(torch.rand(1, 3, 8, 8)) is None


def test_training_reads_the_scene_that_a_crop_was_cut_from():
    model = restorer(scene=8).train()
    inputs = dict(lq=torch.rand(1, 3, 16, 16), gt=torch.rand(1, 3, 16, 16))
    alone = model.losses('generator', inputs, {})['loss_l1']
    told = model.losses('generator', {**inputs, 'scene': torch.zeros(1, 7, 32, 32)}, {})['loss_l1']
    assert alone != told


def test_tiles_agree_with_the_whole_picture():
    """Whatever the tiles: statistics are of the whole, and the rest of the network sees no farther than its field."""
    model = restorer(scene=32)
    rng = np.random.default_rng(0)
    picture = (rng.random((300, 420, 3)) * np.linspace(20, 255, 420)[:, None]).astype(np.uint8)
    whole = Tiler(model, memory=1e6)(picture)
    tiler = Tiler(model, memory=1)
    tiler._pixel = 2**20 / (160 * 160)
    rows, columns, margin = tiler.plan(300, 420)
    assert len(rows) * len(columns) > 1
    assert margin >= model.needs.receptive_field // 2 - 1
    tiled = tiler(picture)
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    other = model.restore(torch.from_numpy(picture[:160, :160]).permute(2, 0, 1)[None] / 255)['pred']
    assert (other[0].permute(1, 2, 0).numpy() * 255 - whole[:160, :160])[:100, :100].__abs__().max() > 2
