"""Initial weights."""

import torch
from torch import nn

from restorebox.layers import he_init, normal_init


def test_he_keeps_the_variance_through_a_deep_stack():
    torch.manual_seed(0)
    down = [m for _ in range(4) for m in (nn.Conv2d(64, 64, 4, 2, 1), nn.LeakyReLU(0.2))]
    up = [m for _ in range(4) for m in (nn.ConvTranspose2d(64, 64, 4, 2, 1), nn.LeakyReLU(0.2))]
    stack = nn.Sequential(*down, *up)
    he_init(stack, slope=0.2)
    x = torch.randn(4, 64, 64, 64)
    with torch.no_grad():
        assert 0.2 < stack(x).square().mean() / x.square().mean() < 5


def test_normal_is_the_pix2pix_start():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 3)
    normal_init(conv)
    assert abs(conv.weight.std().item() - 0.02) < 1e-3
    assert conv.bias.abs().sum() == 0
