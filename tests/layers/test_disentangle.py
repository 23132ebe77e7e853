"""FD and FA layers, channel attention, residual blocks."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.layers import set_statistics_window
from restorebox.layers.disentangle import AggregateLayer, ChannelAttention, DisentangleLayer, ResidualBlock

C = 8


def identity(conv: torch.nn.Conv2d) -> None:
    torch.nn.init.dirac_(conv.weight)
    torch.nn.init.zeros_(conv.bias)


def pair(inverse: str, skip: str = 'add') -> tuple[DisentangleLayer, AggregateLayer]:
    """Layers whose convolutions pass their input on and whose attention lets everything through."""
    down, up = DisentangleLayer(C).double(), AggregateLayer(C, inverse, skip).double()
    identity(down.conv), identity(up.conv)
    torch.nn.init.zeros_(up.attention.excite.weight)
    torch.nn.init.constant_(up.attention.excite.bias, 50)  # a gate of 1
    rng = torch.Generator().manual_seed(0)
    down.gain.pool.root.data = (0.1 * torch.rand(C, C, dtype=torch.float64, generator=rng)).sqrt()
    return down, up


def x(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*(shape or (2, C, 7, 9)), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('inverse', ['stored', 'solve'])
def test_stored_and_solve_give_back_what_was_disentangled(inverse):
    down, up = pair(inverse)
    d, s = down(x())
    torch.testing.assert_close(s, x())
    back = up(torch.zeros_like(d), d, s, down.gain)  # the skip alone: d goes in once
    torch.testing.assert_close(back, x(), rtol=1e-5, atol=1e-5)


def test_equation_7_gives_it_back_only_without_a_pool():
    down, up = pair('paper')
    d, s = down(x())
    assert (up(torch.zeros_like(d), d, s, down.gain) - x()).norm() / x().norm() > 0.05
    down.gain.pool.root.data.zero_()
    d, s = down(x())
    torch.testing.assert_close(up(torch.zeros_like(d), d, s, down.gain), x())


def test_skips():
    down, up = pair('stored')
    d, s = down(x())
    torch.testing.assert_close(up(d, d, s, down.gain), 2 * x())
    _, joined = pair('stored', 'concat')
    joined.join.weight.data.zero_()
    joined.join.bias.data.zero_()
    joined.join.weight.data[:, C:, 0, 0] = torch.eye(C)  # D alone
    torch.testing.assert_close(joined(x(seed=1), d, s, down.gain), x())
    extra = sum(p.numel() for p in joined.parameters()) - sum(p.numel() for p in up.parameters())
    assert extra == 2 * C * C + C


@pytest.mark.parametrize('words', [dict(inverse='exact'), dict(skip='none')])
def test_unknown_words_are_refused(words):
    key, value = next(iter(words.items()))
    with pytest.raises(ConfigError, match=f"AggregateLayer: {key} is '{value}'"):
        AggregateLayer(C, **words)


@pytest.mark.parametrize('channels', [4, 32, 64])
def test_attention_is_bounded_by_its_input(channels):
    layer = ChannelAttention(channels)
    maps = 5 * torch.randn(3, channels, 6, 5)
    gate = layer.gate(maps)
    assert gate.shape == (3, channels, 1, 1)
    assert ((gate > 0) & (gate < 1)).all()
    assert (layer(maps).abs() <= maps.abs()).all()
    assert torch.equal(layer(maps), maps * gate)
    assert layer.squeeze.out_channels == max(channels // 16, 2)


def test_attention_with_a_local_window():
    layer = ChannelAttention(C).eval()
    layer.squeeze.bias.data.fill_(3)  # both hidden units may start dead otherwise
    left, right = torch.randn(1, C, 1, 1).expand(1, C, 20, 20), torch.randn(1, C, 1, 1).expand(1, C, 20, 20)
    both = torch.cat((left, right), 3)
    whole = layer(both)
    set_statistics_window(layer, 8)
    local = layer(both)
    torch.testing.assert_close(local[..., :12], layer(left)[..., :12])  # what is far off is not seen
    assert (whole[..., :12] - local[..., :12]).abs().max() > 1e-3
    layer.train()
    assert torch.equal(layer(both), whole)


def test_residual_block_adds_to_its_input():
    block = ResidualBlock(C)
    maps = torch.randn(2, C, 6, 6)
    assert not torch.equal(block(maps), maps)
    block.conv2.weight.data.zero_()
    block.conv2.bias.data.zero_()
    assert torch.equal(block(maps), maps)


def test_every_parameter_learns():
    down, up = DisentangleLayer(C), AggregateLayer(C, 'paper', 'concat')
    torch.nn.init.constant_(up.attention.squeeze.bias, 5)  # its two units could both be off
    d, s = down(torch.randn(2, C, 6, 6))
    up(d, d, s, down.gain).square().mean().backward()
    for layer in (down, up):
        missing = [name for name, p in layer.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not missing
