"""Statistics over a local window at test."""

import pytest
import torch
from torch import nn

from restorebox.errors import ConfigError
from restorebox.layers import InstanceNorm, local_mean, make_norm, set_statistics_window


def naive_local_mean(x, window):
    height, width = x.shape[-2:]
    kh, kw = min(window, height), min(window, width)
    out = torch.empty_like(x)
    for i in range(height):
        for j in range(width):
            top = min(max(i - kh // 2, 0), height - kh)
            left = min(max(j - kw // 2, 0), width - kw)
            out[..., i, j] = x[..., top : top + kh, left : left + kw].mean((-2, -1))
    return out


@pytest.mark.parametrize(('size', 'window'), [((9, 13), 4), ((9, 13), 5), ((3, 20), 8), ((6, 6), 6)])
def test_local_mean_is_the_mean_of_the_window(size, window):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(local_mean(x, window), naive_local_mean(x, window), atol=1e-5, rtol=1e-5)


def test_whole_picture_equals_torch_and_training_ignores_the_window():
    x = torch.randn(2, 4, 20, 24) + 3
    layer, reference = InstanceNorm(4), nn.InstanceNorm2d(4, affine=True)
    torch.testing.assert_close(layer(x), reference(x))
    set_statistics_window(layer, 8)
    torch.testing.assert_close(layer(x), reference(x))
    layer.eval()
    assert (layer(x) - reference(x)).abs().max() > 0.01
    set_statistics_window(layer, None)
    torch.testing.assert_close(layer(x), reference(x))


def test_a_map_within_the_window_uses_whole_statistics():
    layer = InstanceNorm(4, stride=2).eval()
    x = torch.randn(1, 4, 16, 16)
    whole = layer(x)
    set_statistics_window(layer, 32)  # input pixels: 16 here
    assert torch.equal(layer(x), whole)


def test_local_statistics_of_a_tile_and_of_the_whole_agree_inside():
    """The point of it all: away from the tile's border its pixels come out as in the whole picture."""
    layer = InstanceNorm(3).eval()
    set_statistics_window(layer, 8)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    tile = layer(x[..., 16:48, 16:48])
    torch.testing.assert_close(tile[..., 4:-4, 4:-4], layer(x)[..., 20:44, 20:44], atol=1e-4, rtol=1e-4)


def test_large_mean_does_not_cost_digits():
    layer = InstanceNorm(1).eval()
    set_statistics_window(layer, 16)
    x = torch.randn(1, 1, 300, 300, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(layer(x + 1000), layer(x), atol=5e-3, rtol=0)


def test_one_pixel_gives_the_shift():
    layer = InstanceNorm(3)
    nn.init.constant_(layer.bias, 0.5)
    x = torch.rand(1, 3, 1, 1, requires_grad=True)
    assert torch.allclose(layer(x), torch.full((1, 3, 1, 1), 0.5))


def test_make_norm_refuses_a_typo():
    with pytest.raises(ConfigError, match="'instance', 'batch' or None"):
        make_norm('instnace', 3, 1)
