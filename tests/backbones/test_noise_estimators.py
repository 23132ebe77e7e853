"""Noise estimators: published sizes, levels of attention, masks over scales."""

import pytest
import torch

from restorebox.backbones.ddpm_unet import DDPMUNet
from restorebox.backbones.multi_scale_noise import MultiScaleNoise, enlarge, shrink
from restorebox.backbones.ntb_generator import NTBGenerator
from restorebox.backbones.resnet_estimator import ResNetEstimator
from restorebox.backbones.vgg_estimator import VGGEstimator
from restorebox.errors import ConfigError
from restorebox.layers.diffusion_blocks import ConvHalve, SelfAttention, StepEmbedding
from restorebox.restorers import Network

INNER = dict(type='DDPMUNet', base_width=4, multipliers=(1, 2), blocks=1, attention=(2,))
STEPS = torch.tensor([3, 900])


def weights(backbone, head='NoiseHead'):
    with torch.device('meta'):
        return sum(p.numel() for p in Network(dict(backbone), dict(type=head)).parameters())


def test_the_published_network_has_the_published_size():
    assert weights(dict(type='DDPMUNet')) == 85_606_147


def test_the_light_network_has_a_size_for_a_laptop():
    assert weights(dict(type='DDPMUNet', base_width=32, multipliers=(1, 2, 2, 4), blocks=1)) == 3_148_419


def test_the_scales_share_one_estimator():
    one, three = (weights(dict(type='MultiScaleNoise', inner=INNER, scales=s), 'IdentityHead') for s in ((1,), (1, 2)))
    assert three - one == 2 * 4 * 128 * 9 + 128 + 128 * 2 + 2  # the masks


def test_attention_belongs_to_levels_whatever_the_size_of_the_picture():
    net = DDPMUNet(base_width=4, multipliers=(1, 1, 2), blocks=1, attention=(2,))
    seen = []
    for module in net.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_hook(lambda _m, x, _o: seen.append(x[0].shape[-1]))
    for size in (32, 64):
        seen.clear()
        net(torch.rand(1, 6, size, size), timestep=STEPS[:1])
        assert set(seen) == {size // 2, size // 4}  # level 2, and the middle


def test_every_estimator_reads_the_step():
    for net in (
        DDPMUNet(base_width=4, multipliers=(1, 2), blocks=1, attention=()),
        MultiScaleNoise(INNER, mask_width=4),
        ResNetEstimator(base_width=4, depths=(1, 1), out_width=4),
        VGGEstimator(base_width=4, depths=(1, 1), out_width=4),
    ):
        x = torch.rand(1, 6, 16, 16).expand(2, -1, -1, -1)
        first, second = net(x, timestep=STEPS)['out']
        assert not torch.allclose(first, second)
        same, again = net(x, timestep=STEPS[[0, 0]])['out']
        torch.testing.assert_close(same, again)


def test_the_step_becomes_sines_then_cosines():
    embed = StepEmbedding(8, 4)
    embed.layers = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False))
    torch.nn.init.eye_(embed.layers[0].weight)
    out = embed(torch.tensor([7]))[0]
    angle = 7 * 10000 ** (-torch.arange(4) / 3)
    torch.testing.assert_close(out, torch.cat((angle.sin(), angle.cos())), atol=1e-5, rtol=0)


def test_halving_pads_at_the_right_and_the_bottom():
    halve = ConvHalve(1)
    torch.nn.init.zeros_(halve.conv.weight)
    torch.nn.init.zeros_(halve.conv.bias)
    halve.conv.weight.data[0, 0, 0, 0] = 1  # picks the window's first pixel
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.equal(halve(x), x[..., ::2, ::2])


@pytest.mark.parametrize('mode', ['area', 'bilinear', 'stride'])
def test_ways_to_shrink(mode):
    noise = torch.randn(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    std = {scale: float(shrink(noise, scale, mode).std()) for scale in (1, 2, 4)}
    expected = {'area': (1, 0.5, 0.25), 'bilinear': (1, 0.5, 0.5), 'stride': (1, 1, 1)}[mode]
    assert list(std.values()) == pytest.approx(expected, abs=0.02)


def test_area_and_bilinear_are_one_at_half_size_only():
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(shrink(x, 2, 'area'), shrink(x, 2, 'bilinear'))
    assert not torch.allclose(shrink(x, 4, 'area'), shrink(x, 4, 'bilinear'))


@pytest.mark.parametrize(('scale', 'missed'), [(2, 0.815), (4, 0.956)])
def test_coarse_scales_miss_most_of_white_noise(scale, missed):
    noise = torch.randn(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    seen = enlarge(shrink(noise, scale, 'area'), scale)
    assert float((noise - seen).square().mean()) == pytest.approx(missed, abs=0.01)


def test_masks_are_positive_and_sum_to_one():
    net = MultiScaleNoise(INNER, scales=(1, 2, 4), mask_width=8)
    x = torch.rand(2, 6, 64, 128)
    masks = net(x, taps=('masks',), timestep=STEPS)['masks']
    assert masks.shape == (2, 3, 64, 128)
    assert (masks > 0).all()
    torch.testing.assert_close(masks.sum(1), torch.ones(2, 64, 128))


def test_a_single_scale_is_the_inner_network():
    net = MultiScaleNoise(INNER, scales=(1,))
    x = torch.rand(2, 6, 16, 24)
    out = net(x, taps=('masks',), timestep=STEPS)
    assert torch.equal(out['masks'], torch.ones(2, 1, 16, 24))
    assert torch.equal(out['out'], net.readout(net.inner(x, timestep=STEPS)['out']))


def test_the_estimate_is_the_masked_sum_of_the_scales():
    """With masks that believe one scale alone, what comes out is that scale's."""
    net = MultiScaleNoise(INNER, scales=(1, 2), mask_width=4)
    x = torch.rand(1, 6, 16, 16)
    last = net.masks[-1]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([-100.0, 100.0])
    coarse = net.readout(net.inner(shrink(x, 2, 'area'), timestep=STEPS[:1])['out'])
    torch.testing.assert_close(net(x, timestep=STEPS[:1])['out'], enlarge(coarse, 2))


def test_output_has_the_size_of_the_input_at_multiples_of_64():
    net = MultiScaleNoise(dict(INNER, multipliers=(1, 1, 1, 1, 1)), mask_width=4)
    assert net.needs.stride == 64
    assert net(torch.rand(1, 6, 64, 192), timestep=STEPS[:1])['out'].shape == (1, 3, 64, 192)


def test_the_smallest_picture_leaves_no_norm_with_a_single_value():
    for inner in (dict(INNER, base_width=32, multipliers=(1, 1, 1)), dict(type='VGGEstimator', base_width=4)):
        net = MultiScaleNoise(inner, scales=(1, 2), mask_width=4).train()
        side = net.needs.min_size
        assert net(torch.rand(1, 6, side, side), timestep=STEPS[:1])['out'].isfinite().all()


def test_generators_of_the_translation_branch_add_no_input():
    net = NTBGenerator(levels=2, base_width=4)
    assert set(net.tap_names) == {'down1', 'down2', 'middle', 'up2'}
    field = net.needs.receptive_field
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    net.train(False)
    for module in net.modules():  # norms see everything; only convolutions are counted
        if type(module).__name__ == 'InstanceNorm':
            module.forward = lambda y: y
    net(x)['out'][..., 32, 32].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()
    assert 1 < int(rows.max() - rows.min()) + 1 <= field


@pytest.mark.parametrize(
    ('make', 'expected'),
    [
        (lambda: DDPMUNet(multipliers=()), 'at least one level'),
        (lambda: DDPMUNet(base_width=4, attention=(7,)), 'attention names level 7; there are levels 1 to 5'),
        (lambda: MultiScaleNoise(INNER, scales=(2, 4)), 'including 1'),
        (lambda: MultiScaleNoise(INNER, scales=(1, 0.5)), 'whole numbers'),
        (lambda: MultiScaleNoise(INNER, down_mode='aera'), "did you mean 'area'"),
        (lambda: MultiScaleNoise(dict(type='UNet', levels=2, base_width=4)), 'UNet is not a noise estimator'),
        (lambda: NTBGenerator(levels=0), 'levels is 0'),
    ],
)
def test_mistakes_are_named(make, expected):
    with pytest.raises(ConfigError, match=expected):
        make()
