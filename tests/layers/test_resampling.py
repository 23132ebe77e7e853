"""Anti-aliased halving and doubling."""

import pytest
import torch
from torch.nn import functional as F

from restorebox.layers.position_sampling import draw_positions, gather_positions
from restorebox.layers.resampling import BlurDouble, BlurHalve


@pytest.mark.parametrize('size', [(2, 2), (7, 10), (16, 9)])
def test_halving_is_a_binomial_blur_of_every_second_pixel(size):
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    padded = F.pad(x, (1, 1, 1, 1), mode='reflect').numpy()
    y = BlurHalve()(x).numpy()
    assert y.shape[2:] == tuple((side + 1) // 2 for side in size)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            line = [0.25, 0.5, 0.25]
            wanted = sum(line[a] * line[b] * window[:, :, a, b] for a in range(3) for b in range(3))
            assert abs(y[:, :, i, j] - wanted).max() < 1e-12


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (8, 8)])
def test_doubling_is_bilinear_interpolation(size):
    x = torch.rand(2, 3, *size)
    wanted = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
    torch.testing.assert_close(BlurDouble()(x), wanted)


def test_constants_stay_and_nothing_is_learnt():
    for layer in (BlurHalve(), BlurDouble()):
        torch.testing.assert_close(layer(torch.full((1, 2, 6, 6), 0.7)).unique().mean(), torch.tensor(0.7))
        assert not layer.state_dict()
        assert not list(layer.parameters())


def test_halving_suppresses_what_half_the_pixels_cannot_show():
    stripes = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 1, 16, 16)
    assert BlurHalve()(stripes)[..., 1:-1].abs().max() < 1e-6
    assert stripes[..., ::2].abs().min() == 1


def test_positions_do_not_repeat_and_are_the_generators():
    first = draw_positions(5, 6, 12, torch.Generator().manual_seed(1))
    assert len(set(first.tolist())) == 12
    assert torch.equal(first, draw_positions(5, 6, 12, torch.Generator().manual_seed(1)))
    assert sorted(draw_positions(2, 3, 256, torch.Generator()).tolist()) == list(range(6))


def test_gathering_takes_whole_vectors():
    x = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(2, 3, 4, 5)
    out = gather_positions(x, torch.tensor([7, 0]))
    assert out.shape == (2, 2, 3)
    assert torch.equal(out[1, 0], x[1, :, 1, 2])
    assert torch.equal(out[0, 1], x[0, :, 0, 0])
