"""SceneGated backbone and GatedHead: gates of the whole picture scale the change of another network."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from restorebox.backbones.scene_gated import CELL, SceneGated
from restorebox.errors import ConfigError
from restorebox.heads.gated import GatedHead
from restorebox.inference.tiles import Tiler
from restorebox.layers.global_statistics import scene_statistics
from restorebox.registry import RESTORERS
from restorebox.restorers import Network

INNER = dict(type='FDRUNet', widths=(4, 6), blocks=(1, 1))
HEAD = dict(type='SubPixelHead', residual=True, activation=False)


def network(tap: str | None = None) -> Network:
    """With a change that is not zero."""
    torch.manual_seed(0)
    backbone = dict(type='SceneGated', inner=INNER, scene=8, tap=tap)
    net = Network(backbone, dict(type='GatedHead', inner=HEAD)).eval()
    torch.nn.init.normal_(net.head.inner.conv.weight, std=0.1)
    return net


def with_gates(net: Network, low: float, high: float) -> None:
    with torch.no_grad():
        net.backbone.gates.weight.zero_()
        net.backbone.gates.bias.copy_(torch.tensor([low, high]).logit())


@torch.no_grad()
@pytest.mark.parametrize('tap', [None, 'process'])
def test_gates_scale_low_and_high_frequencies(tap):
    net, x = network(tap), torch.rand(2, 3, 48, 64)
    plain = net.head.inner(net.backbone.inner(x), x)
    with_gates(net, 1.0, 1.0)
    assert torch.allclose(net(x)['picture'], plain, atol=1e-6)
    with_gates(net, 0.0, 0.0)
    assert torch.equal(net(x)['picture'], x)
    with_gates(net, 1.0, 0.0)
    low = net(x)['picture'] - x
    cells = F.avg_pool2d(plain - x, CELL)
    assert torch.allclose(low, F.interpolate(cells, scale_factor=CELL, mode='bilinear'), atol=1e-6)
    with_gates(net, 0.0, 1.0)
    assert torch.allclose(net(x)['picture'] - x + low, plain - x, atol=1e-6)


def test_the_gates_follow_the_scene_and_start_near_one():
    backbone = SceneGated(INNER, scene=8)
    x = torch.rand(2, 3, 32, 32)
    start = backbone(x, taps=('gates',), only_taps=True)['gates']
    assert start.shape == (2, 2, 1, 1)
    assert (start > 0.95).all()
    torch.nn.init.normal_(backbone.gates.weight)
    own = backbone(x, taps=('gates',))['gates']
    assert torch.equal(own, backbone(x, taps=('gates',), scene=scene_statistics(x))['gates'])
    assert not torch.allclose(own, backbone(x, taps=('gates',), scene=scene_statistics(x.square()))['gates'])


@torch.no_grad()
def test_gates_of_features_are_local_where_the_window_is_smaller_than_the_picture():
    backbone = network('process').backbone
    torch.nn.init.normal_(backbone.gates.weight)
    assert backbone.statistics.stride == 4
    x = torch.rand(1, 3, 64, 96)
    assert backbone(x, taps=('gates',))['gates'].shape == (1, 2, 1, 1)
    backbone.statistics.window = 32
    gates = backbone(x, taps=('gates',))['gates']
    assert gates.shape == (1, 2, 16, 24)
    assert gates.std() > 0
    assert backbone(x, taps=('gates',), only_taps=True).keys() == {'gates'}


@torch.no_grad()
@pytest.mark.parametrize('tap', [None, 'process'])
def test_tiles_agree_with_the_whole_picture(tap):
    cfg = dict(type='SupervisedRestorer', generator=network(tap), losses=dict(l1=dict(type='L1Loss')))
    restorer = RESTORERS.build(cfg).eval()
    torch.nn.init.normal_(restorer.generator.backbone.gates.weight)
    restorer.statistics_window = 32
    rng = np.random.default_rng(0)
    picture = (rng.integers(0, 90, (331, 417, 3)) + np.linspace(0, 160, 417)[None, :, None]).astype(np.uint8)
    whole = Tiler(restorer)(picture).astype(int)
    tiler = Tiler(restorer, memory=Tiler(restorer).pixel_bytes * 200 * 200 / 2**20)
    assert not tiler.fits(331, 417)
    assert np.abs(tiler(picture) - whole).max() <= 1
    assert np.abs(whole - picture).mean() > 1, 'nothing would be compared'


def test_refused():
    with pytest.raises(ConfigError, match=r'must be a picture \(3 channels\) in \(0, 1\)'):
        SceneGated(dict(type='UNet', levels=2, base_width=4))
    with pytest.raises(ConfigError, match="has a tap 'gates' already"):
        SceneGated(dict(type='SceneGated', inner=INNER))
    with pytest.raises(ConfigError, match="has no tap 'proces'"):
        SceneGated(INNER, tap='proces')
    with pytest.raises(ConfigError, match="must be 'picture'"):
        GatedHead(dict(type='RealnessHead'), in_channels=4, scale=8)
