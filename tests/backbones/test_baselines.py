"""DnCNN, OWAN and DDN, with which papers compare."""

import pytest
import torch

from restorebox.backbones.ddn import DDN
from restorebox.backbones.dncnn import DnCNN
from restorebox.backbones.owan import OWAN
from restorebox.errors import ConfigError
from restorebox.layers import set_statistics_window
from restorebox.restorers import Network

DNCNN = (dict(type='DnCNN', layers=5, width=4, norm=None), dict(type='PictureHead', residual=True))
SMALL_OWAN = dict(type='OWAN', channels=3, groups=2, layers=1, blocks=1)
OWAN_HEAD = dict(type='PictureHead', activation=False)


def test_dncnn_has_the_papers_layers():
    """20 layers of 64 channels; biases only where no norm follows."""
    with torch.device('meta'):
        net = Network(dict(type='DnCNN'), dict(type='PictureHead', residual=True))
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 20
    assert sum(p.numel() for p in net.parameters()) == (27 * 64 + 64) + 18 * (9 * 64 * 64 + 2 * 64) + (27 * 64 + 3)
    assert net.needs.receptive_field == 41


def test_dncnn_adds_the_picture():
    net = Network(*DNCNN)
    x = torch.rand(2, 3, 9, 7)
    assert torch.equal(net(x)['picture'], x)


def test_ddn_has_the_papers_layers():
    """26 convolutions of 16 channels, 3 in and out."""
    head = dict(type='PictureHead', residual=True, activation=False)
    with torch.device('meta'):
        net = Network(dict(type='DDN'), head)
    assert sum(isinstance(m, torch.nn.Conv2d) for m in net.modules()) == 26
    assert sum(p.numel() for p in net.parameters()) == (27 * 16 + 32) + 24 * (9 * 16 * 16 + 32) + (9 * 16 * 3 + 3)


def test_ddn_reads_the_detail_alone():
    net = DDN(layers=4, width=4, norm=None)
    x = torch.rand(1, 3, 40, 44)
    assert torch.allclose(net(x)['out'], net(x + 0.25)['out'], atol=1e-5)
    assert not torch.allclose(net(x)['out'], net(0.5 * x)['out'], atol=1e-3)


@pytest.mark.parametrize(
    ('cls', 'given'), [(DDN, dict(layers=5)), (DnCNN, dict(layers=2)), (OWAN, dict(groups=0)), (OWAN, dict(blocks=0))]
)
def test_sizes_are_checked(cls, given):
    with pytest.raises(ConfigError, match=f'{cls.__name__}: {next(iter(given))} is'):
        cls(**given)


@pytest.mark.parametrize('parts', [DNCNN, (SMALL_OWAN, OWAN_HEAD)], ids=['DnCNN', 'OWAN'])
def test_receptive_field_equals_the_reach_of_a_perturbation(parts):
    net = Network(*parts).double()
    for name, p in net.named_parameters():
        # attention that reads nothing of the map's mean, which is not counted
        torch.nn.init.constant_(p, 0.0 if 'attention' in name else 0.1)
    field = net.needs.receptive_field
    at, side = field + 2, 2 * field + 5
    x = torch.rand(1, 3, side, side, dtype=torch.float64)
    worse = x.clone()
    worse[..., at, at] += 1
    with torch.no_grad():
        changed = (net(worse)['picture'] - net(x)['picture']).abs().sum((0, 1)) > 0
    for axis in (0, 1):
        seen = changed.any(axis).nonzero().flatten()
        assert int(seen.max() - seen.min()) + 1 == field
        assert int(seen.min()) == at - field // 2


def test_attention_weighs_the_operations_of_each_layer():
    group = OWAN(channels=4, groups=1, layers=3).groups[0]
    weights = group.attention(torch.rand(2, 4, 6, 6))
    assert weights.shape == (2, 3, 8, 1, 1)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 3, 1, 1))
    layer, x = group.layers[0], torch.rand(2, 4, 6, 6)
    only = torch.zeros(2, 8, 1, 1)
    only[:, 2] = 1  # the separable 5x5 alone
    maps = torch.zeros(2, 32, 6, 6)
    maps[:, 8:12] = layer.operations[2](x)
    torch.testing.assert_close(layer(x, only), torch.relu(layer.join(maps)))


def test_operations_are_the_tables():
    operations = OWAN(channels=4, groups=1, layers=1).groups[0].layers[0].operations
    kernels = [
        [(m.kernel_size[0], m.dilation[0], m.groups) for m in op.modules() if isinstance(m, torch.nn.Conv2d)]
        for op in operations
    ]
    separable = [[(k, 1, 4), (1, 1, 1)] * 2 for k in (1, 3, 5, 7)]
    # a 1x1 kernel within each channel is still one of its own
    dilated = [[(k, 2, 4), (1, 1, 1)] for k in (3, 5, 7)]
    assert kernels == [*separable, *dilated, []]
    x = torch.ones(1, 4, 5, 5)
    assert torch.equal(operations[-1](x), x)  # the border does not count zeros


def test_local_attention_gives_each_pixel_its_weights():
    net = OWAN(channels=4, groups=1, layers=1).eval()
    set_statistics_window(net, 8)
    assert net.groups[0].attention(torch.rand(1, 4, 20, 20)).shape == (1, 1, 8, 20, 20)
    assert net(torch.rand(1, 3, 20, 20))['out'].shape == (1, 4, 20, 20)
