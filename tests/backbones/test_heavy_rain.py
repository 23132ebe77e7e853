"""Networks of heavy rain: published sizes, ranges of the layers, and the airlight of pictures of any size."""

import pytest
import torch

from restorebox.backbones.airlight import AirlightNet, brightest_colour, mean_over_windows
from restorebox.backbones.depth_guided_discriminator import DepthGuidedDiscriminator
from restorebox.backbones.physics_estimator import PhysicsEstimator
from restorebox.backbones.rain_net import RainNet
from restorebox.backbones.ref_unet import RefUNet
from restorebox.backbones.trans_unet import TransUNet
from restorebox.errors import ConfigError
from restorebox.restorers import Network

REFINED = dict(type='PictureHead', kernel=1, last='relu')


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_as_many_parameters_as_published():
    with torch.device('meta'):
        physics = PhysicsEstimator()
        refined = Network(dict(type='RefUNet', cond='atm'), REFINED)
        judge = Network(dict(type='DepthGuidedDiscriminator'), dict(type='DenseRealnessHead'))
        assert count(physics.streak) == count(RainNet()) == 2_049_379
        assert count(physics.airlight) == count(AirlightNet()) == 11_708_325
        assert count(physics.transmission) == count(TransUNet()) == 13_405_795
        assert count(refined) == 13_463_539
        assert count(judge) == 9_704_426


@pytest.mark.parametrize('size', [(64, 128), (16, 48)])
@torch.no_grad()
def test_layers_keep_the_size_and_stay_in_range(size):
    net = PhysicsEstimator(base_width=4).eval()
    seen = net(torch.rand(2, 3, *size), taps=('airlight', 'streak', 'transmission'))
    assert seen['streak'].shape == seen['transmission'].shape == (2, 1, *size)
    assert seen['airlight'].shape == (2, 3, 1, 1)
    assert seen['streak'].abs().max() < 1
    assert 0 < seen['airlight'].min() <= seen['airlight'].max() < 1
    assert 0 <= seen['transmission'].min() <= seen['transmission'].max() <= 1


def test_a_transmission_above_one_can_still_come_down():
    net = TransUNet(3, base_width=4)
    torch.nn.init.constant_(net.leave.bias, 5.0)
    out = net(torch.rand(1, 3, 16, 16))['out']
    assert out.max() <= 1
    out.sum().backward()
    assert net.leave.bias.grad.item() == 256
    free = TransUNet(3, base_width=4, clamp=False)
    free.load_state_dict(net.state_dict())
    assert free(torch.rand(1, 3, 16, 16))['out'].max() > 1


def test_a_guide_sets_what_the_networks_read():
    for guide, channels in (('residue', 33), ('input', 33), ('none', 3)):
        net = PhysicsEstimator(guide, base_width=4)
        assert {part.mix.in_channels for part in (net.streak, net.transmission, net.airlight)} == {channels}
    assert PhysicsEstimator('none', 4).needs.receptive_field + 128 == PhysicsEstimator('input', 4).needs.receptive_field


def touched(net, size, **given):
    """Rows of the input that the middle pixel of a result depends on."""
    x = torch.rand(1, net.needs.in_channels, size, 16, requires_grad=True)
    net(x, **given)['out'][0, :, size // 2].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    return int(rows[-1] - rows[0] + 1)


def test_receptive_fields_are_no_guess():
    rain = RainNet(3, 4)
    assert touched(rain, 80) == rain.needs.receptive_field == 31
    for net, given in ((TransUNet(3, 4), {}), (RefUNet('atm', 4), dict(airlight=torch.rand(1, 3, 1, 1)))):
        for part in net.modules():  # every path open
            if isinstance(part, torch.nn.Conv2d):
                part.weight.data.abs_()
        found = touched(net, 512, **given)
        assert 0.8 * net.needs.receptive_field < found <= net.needs.receptive_field
    judge = DepthGuidedDiscriminator(base_width=1)
    x = torch.rand(1, 6, 128, 16, requires_grad=True)
    for part in judge.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.weight.data.abs_()
    judge(x)['out'][0, :, 4].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert int(rows[-1] - rows[0] + 1) == judge.needs.receptive_field


class MeanColour(torch.nn.Module):
    """Replacement of an airlight network that records the window it was given."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(tuple(x.shape[-2:]))
        return x.mean((-2, -1), keepdim=True)


@pytest.mark.parametrize('size', [(256, 256), (512, 256), (100, 300), (480, 720), (1, 1)])
def test_windows_count_by_their_area(size):
    x = torch.rand(2, 3, *size)
    net = MeanColour()
    found = mean_over_windows(net, x)
    assert found.shape == (2, 3, 1, 1)
    assert all(shape == (min(256, size[0]), min(256, size[1])) for shape in net.seen)
    if all(side % 256 == 0 or side < 256 for side in size):  # no window was moved
        torch.testing.assert_close(found, x.mean((-2, -1), keepdim=True))
    constant = torch.tensor([0.2, 0.5, 0.9])[None, :, None, None].expand(1, 3, *size)
    torch.testing.assert_close(mean_over_windows(net, constant), constant[..., :1, :1])


def test_a_border_window_counts_for_what_is_new():
    x = torch.zeros(1, 3, 256, 320)
    x[..., 256:] = 1
    # the second window is columns 64 to 319, a quarter of it ones, and counts for the 64 that are new
    expected = 0 * 256 / 320 + 0.25 * 64 / 320
    assert mean_over_windows(MeanColour(), x).mean().item() == pytest.approx(expected)
    assert mean_over_windows(MeanColour(), x, first_only=True).max() == 0


def test_the_brightest_of_the_dark_channel_is_the_airlight():
    x = 0.3 * torch.rand(2, 3, 60, 80)
    x[0, :, :30, :30] = torch.tensor([0.9, 0.8, 0.7])[:, None, None]
    x[1, 0, 40:, 40:] = 1.0  # bright in one channel only: no veil
    x[1, :, :20, 60:] = 0.6
    found = brightest_colour(x)[..., 0, 0]
    torch.testing.assert_close(found[0], torch.tensor([0.9, 0.8, 0.7]))
    torch.testing.assert_close(found[1], torch.full((3,), 0.6))
    net = PhysicsEstimator(base_width=4, airlight='brightest').eval()
    assert net.airlight is None
    with torch.no_grad():
        torch.testing.assert_close(
            net(x[..., :48, :], taps=('airlight',), only_taps=True)['airlight'][0, :, 0, 0], found[0]
        )


@torch.no_grad()
def test_an_airlight_that_is_given_is_taken():
    net = PhysicsEstimator(base_width=4).eval()
    given = torch.rand(1, 3, 1, 1)
    assert torch.equal(net(torch.rand(1, 3, 32, 32), taps=('airlight',), airlight=given)['airlight'], given)
    with pytest.raises(ConfigError, match="no airlight 'brigthest'; did you mean 'brightest'"):
        PhysicsEstimator(airlight='brigthest')


@torch.no_grad()
def test_refinement_reads_what_its_condition_says():
    x, a = torch.rand(1, 4, 64, 128), torch.rand(2, 1, 3, 1, 1)
    both = Network(dict(type='RefUNet', base_width=4), REFINED)
    assert not torch.equal(both(x, airlight=a[0])['picture'], both(x, airlight=a[1])['picture'])
    assert both(x, airlight=a[0])['picture'].shape == (1, 3, 64, 128)
    changed = torch.cat((x[:, :3], 1 - x[:, 3:]), 1)
    assert not torch.equal(both(x, airlight=a[0])['picture'], both(changed, airlight=a[0])['picture'])
    atm = RefUNet('atm', 4)
    assert (atm.needs.in_channels, atm.given) == (3, ('airlight',))
    atm(x[:, :3], airlight=a[0])
    with pytest.raises(RuntimeError):
        both(x[:, :3], airlight=a[0])
    depth = RefUNet('depth', 4)
    assert (depth.needs.in_channels, depth.given) == (4, ())
    assert not hasattr(depth, 'inject')
    depth(x)
    with pytest.raises(ConfigError, match='needs the airlight'):
        atm(x[:, :3])
    with pytest.raises(ConfigError, match="no cond 'atmosphere'"):
        RefUNet('atmosphere')


@torch.no_grad()
def test_the_injected_airlight_is_the_same_at_sizes_that_64_does_not_divide():
    net, a = RefUNet('atm', 4), torch.rand(1, 3, 1, 1)
    tiles = []
    net.inject.register_forward_hook(lambda _m, _i, out: tiles.append(out))
    net(torch.rand(1, 3, 128, 128), airlight=a)
    net(torch.rand(1, 3, 80, 112), airlight=a)
    assert torch.equal(tiles[0], tiles[1])


@torch.no_grad()
def test_the_discriminator_gives_a_map_and_a_score():
    judge = Network(
        dict(type='DepthGuidedDiscriminator', base_width=2), dict(type='DenseRealnessHead', side=16, width=8)
    )
    for size in ((256, 256), (96, 96), (40, 200)):
        out = judge(torch.rand(2, 6, *size), taps=('depth',))
        assert out['depth'].shape == (2, 1, *size)
        assert out['realness'].shape == (2, 1)
        assert 0 < out['realness'].sigmoid().min() <= out['realness'].sigmoid().max() < 1
    x = torch.rand(1, 6, 64, 64)
    before = judge(x)['realness']
    torch.nn.init.zeros_(judge.backbone.depth.weight)
    torch.nn.init.zeros_(judge.backbone.depth.bias)
    silent, other = judge(x)['realness'], judge(torch.rand(1, 6, 64, 64))['realness']
    assert not torch.equal(before, silent)
    assert torch.equal(silent, other)  # where the map is 0 nothing is seen
