"""Attention in windows."""

import pytest
import torch

from restorebox.backbones.window_unet import WINDOW, WindowUNet, _WindowAttention
from restorebox.errors import ConfigError


def test_a_window_sees_itself_and_nothing_else():
    attention = _WindowAttention(32, 2)
    x = torch.rand(2, 32, 16, 24, requires_grad=True)
    attention(x)[1, :, 9, 10].sum().backward()
    assert x.grad[0].abs().sum() == 0
    seen = x.grad[1].abs().sum(0) > 0
    expected = torch.zeros_like(seen)
    expected[8:16, 8:16] = True
    assert torch.equal(seen, expected)


def test_it_is_attention_with_a_bias_for_offsets():
    """Pixel by pixel, of one window and head."""
    torch.manual_seed(0)
    attention = _WindowAttention(16, 1)
    torch.nn.init.normal_(attention.bias)
    x = torch.rand(1, 16, WINDOW, WINDOW)
    q, k, v = attention.qkv(x)[0].flatten(1).T.split(16, 1)
    weights = q @ k.T / 4
    for a in range(WINDOW**2):
        for b in range(WINDOW**2):
            down, right = a // WINDOW - b // WINDOW + WINDOW - 1, a % WINDOW - b % WINDOW + WINDOW - 1
            weights[a, b] = weights[a, b] + attention.bias[0, down * (2 * WINDOW - 1) + right]
    out = (weights.softmax(1) @ v).T.reshape(1, 16, WINDOW, WINDOW)
    torch.testing.assert_close(attention(x), attention.leave(out))


def test_the_airlight_is_read():
    net, x = WindowUNet(16, 1, 1), torch.rand(1, 4, 16, 32)
    one, other = (net(x, airlight=torch.full((1, 3, 1, 1), a))['out'] for a in (0.2, 0.8))
    assert not torch.allclose(one, other)
    with pytest.raises(ConfigError, match='needs the airlight'):
        net(x)
    with pytest.raises(ConfigError, match='base_width is 20'):
        WindowUNet(20)


def test_pixels_outside_the_receptive_field_have_no_effect():
    net = WindowUNet(16, 1, 1)
    found = 0
    for row in range(90, 106):
        x = torch.rand(1, 4, 192, 16, requires_grad=True)
        net(x, airlight=torch.rand(1, 3, 1, 1))['out'][0, :, row].sum().backward()
        rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        found = max(found, int(rows[-1] - rows[0] + 1))
    assert 0.4 * net.needs.receptive_field < found <= net.needs.receptive_field
