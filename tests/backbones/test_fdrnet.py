"""FDR-Net: published sizes, connections between phases, taps."""

import pytest
import torch

from restorebox.backbones.fdrnet import FDRNet
from restorebox.errors import ConfigError
from restorebox.layers.disentangle import ChannelAttention
from restorebox.layers.gain_control import GainControl
from restorebox.restorers import Network

SMALL = dict(channels=4, phases=2, layers=2, process=1, aux=1)


def network(**given):
    return Network(dict(type='FDRNet', **given), dict(type='PictureHead', residual=True, activation=False))


def count(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(('given', 'millions'), [({}, 1.663), (dict(aux=0), 1.215), (dict(disentangle=False), 1.634)])
def test_parameter_counts(given, millions):
    with torch.device('meta'):
        assert round(count(network(**given)) / 1e6, 3) == millions


def test_the_auxiliary_branch_takes_the_fusion_with_it():
    names = {name.split('.')[3] for name, _ in network(aux=0).named_parameters() if '.phases.' in name}
    assert names == {'disentangle', 'process', 'aggregate'}


def test_a_gain_is_shared_unless_it_is_the_layers_own():
    shared, own = network(**SMALL), network(**SMALL, share_gain=False)
    gains = [sum(isinstance(m, GainControl) for m in net.modules()) for net in (shared, own)]
    assert gains == [4, 8]
    with pytest.raises(ConfigError, match="inverse='stored' inverts the FD layer's gain control"):
        FDRNet(inverse='stored', share_gain=False)


@pytest.mark.parametrize('shape', [(1, 3, 63, 63), (1, 3, 64, 37), (2, 3, 128, 128), (1, 3, 1, 1)])
@pytest.mark.parametrize(
    'given', [{}, dict(aux=0), dict(disentangle=False), dict(inverse='stored', skip='concat'), dict(share_gain=False)]
)
def test_any_size_and_the_identity_at_the_start(shape, given):
    net = network(**{**SMALL, **given})
    x = torch.rand(shape)
    assert torch.equal(net(x)['picture'], x)
    torch.nn.init.normal_(net.head.conv.weight)
    y = net(x)['picture']
    assert y.shape == x.shape
    assert not torch.equal(y, x)


@pytest.mark.parametrize('inverse', ['paper', 'stored', 'solve'])
def test_one_phase_equals_the_formulas(inverse):
    """The equations of a phase, written out again."""
    net = FDRNet(**{**SMALL, 'phases': 2}, inverse=inverse)
    for m in net.modules():
        if isinstance(m, GainControl):
            torch.nn.init.uniform_(m.pool.root, 0.1, 0.6)
    x = torch.rand(2, 3, 9, 8)
    out = net(x, taps=net.tap_names)
    y = r = net.enter(x)
    for i, phase in enumerate(net.phases):
        torch.testing.assert_close(out[f'phase{i + 1}_in'], y)
        first, second = phase.disentangle
        s1 = first.conv(y)
        d1 = s1 / first.gain.normaliser(s1)
        s2 = second.conv(d1)
        d2 = s2 / second.gain.normaliser(s2)
        torch.testing.assert_close((out[f'phase{i + 1}_d1'], out[f'phase{i + 1}_d2']), (d1, d2))
        q = phase.process(d2) + r
        r = q
        a = q
        for d, s, layer, up in ((d2, s2, second, phase.aggregate[1]), (d1, s1, first, phase.aggregate[0])):
            p = up.attention(a + d)
            if inverse == 'paper':
                p = p * layer.gain.normaliser(p)
            elif inverse == 'stored':
                p = p * layer.gain.normaliser(s)
            else:
                p = layer.gain.solve(p)
            a = up.conv(p)
        y = phase.fuse.conv(phase.fuse.attention(torch.cat((a, phase.aux(y)), 1))) + y
    torch.testing.assert_close(out['out'], y)


def test_taps_are_the_features_around_the_disentanglement():
    net = FDRNet(**SMALL)
    assert net.tap_names == ('phase1_in', 'phase1_d1', 'phase1_d2', 'phase2_in', 'phase2_d1', 'phase2_d2')
    assert net.taps_like(('phase*_d*',)) == ('phase1_d1', 'phase1_d2', 'phase2_d1', 'phase2_d2')
    blocks = FDRNet(**SMALL, disentangle=False)
    assert blocks.tap_names == net.tap_names  # so that both are measured at the same places
    x = torch.rand(1, 3, 8, 8)
    out = blocks(x, taps=('phase1_in', 'phase1_d1'))
    torch.testing.assert_close(out['phase1_d1'], blocks.phases[0].disentangle[0](out['phase1_in']))


@pytest.mark.parametrize('given', [{}, dict(aux=0), dict(disentangle=False), dict(aux=4, process=0, layers=1)])
def test_receptive_field_equals_the_reach_of_a_perturbation(given, monkeypatch):
    # gates read the mean of the whole map, which is not counted
    monkeypatch.setattr(ChannelAttention, 'gate', lambda self, x, scene=None: torch.full_like(x[..., :1, :1], 0.7))
    net = network(**{**SMALL, 'phases': 2, **given}).double()
    for p in net.parameters():  # all positive, so that nothing cancels and no ReLU closes
        torch.nn.init.uniform_(p, 0.05, 0.2, generator=torch.Generator().manual_seed(0))
    for m in net.modules():
        if isinstance(m, GainControl):  # gains alone, no pool: sums over channels of both signs could cancel
            torch.nn.init.zeros_(m.pool.root)
            torch.nn.init.constant_(m.offset.root, 1)
    field = net.needs.receptive_field
    at, side = field + 2, 2 * field + 5
    x = torch.rand(1, 3, side, side, dtype=torch.float64)
    worse = x.clone()
    worse[..., at, at] += 1
    with torch.no_grad():
        changed = (net(worse)['picture'] - net(x)['picture']).abs().sum((0, 1)) > 0
    rows, columns = (changed.any(axis).nonzero().flatten() for axis in (1, 0))
    for seen in (rows, columns):
        assert int(seen.max() - seen.min()) + 1 == field
        assert int(seen.min()) == at - field // 2


def test_the_full_network_sees_138_pixels_each_way():
    with torch.device('meta'):
        assert network().needs.receptive_field == 2 * 138 + 1


def test_tiles_agree_with_the_whole_where_statistics_are_local():
    from restorebox.layers import set_statistics_window

    net = network(**SMALL).eval()
    torch.nn.init.normal_(net.head.conv.weight)
    set_statistics_window(net, 8)
    x = torch.rand(1, 3, 150, 20)
    reach = net.needs.receptive_field // 2 + 2 * 8 * 8  # and a window for each of the gates in turn
    whole, part = net(x)['picture'], net(x[..., : 150 - 5, :])['picture']
    keep = max(150 - 5 - reach, 1)
    torch.testing.assert_close(whole[..., :keep, :], part[..., :keep, :], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (dict(phases=0), 'FDRNet: phases is 0; it must be a whole number from 1'),
        (dict(layers=0), 'layers is 0'),
        (dict(aux=-1), 'aux is -1; it must be a whole number from 0'),
        (dict(channels=1.5), 'channels is 1.5'),
        (dict(skip='cat'), "skip is 'cat'"),
        (dict(inverse='exact'), "inverse is 'exact'"),
    ],
)
def test_mistakes_are_named(given, expected):
    with pytest.raises(ConfigError, match=expected):
        FDRNet(**given)


def test_bf16_autocast_stays_near_fp32():
    net = network(**SMALL)
    torch.nn.init.normal_(net.head.conv.weight, std=0.1)
    x = torch.rand(1, 3, 32, 32)
    whole = net(x)['picture']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = net(x)['picture']
    assert torch.isfinite(half).all()
    assert (whole - half).abs().mean() < 0.02
