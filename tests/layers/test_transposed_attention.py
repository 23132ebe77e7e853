"""Attention between channels, whole and in local windows."""

import pytest
import torch

from restorebox.layers import set_statistics_window
from restorebox.layers.transposed_attention import CELLS, TransposedAttention


def layer(channels=8, heads=2, stride=1, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TransposedAttention(channels, heads, False, stride).eval()


def picture(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def naive(module, x, cell):
    """The output at the centre of each cell (odd side): attention over the five nearest cells inside the map."""
    n, c, height, width = x.shape
    q, k, v = module.depthwise(module.enter(x)).reshape(n, 3, module.heads, -1, height, width).unbind(1)
    cells = [-(-size // cell) for size in (height, width)]
    out = torch.zeros(n, c, *cells)
    for i in range(cells[0]):
        for j in range(cells[1]):
            # first and end of the window, in cells
            spans = []
            for at, count in zip((i, j), cells, strict=True):
                number = min(CELLS, count)
                first = min(max(at - number // 2, 0), count - number)
                spans.append(slice(first * cell, (first + number) * cell))
            a, b = (y[..., spans[0], spans[1]].flatten(-2) for y in (q, k))
            cosines = torch.nn.functional.normalize(a, dim=-1) @ torch.nn.functional.normalize(b, dim=-1).mT
            centre = v[..., i * cell + cell // 2, j * cell + cell // 2][..., None]
            out[..., i, j] = ((cosines * module.temperature).softmax(-1) @ centre).reshape(n, c)
    return torch.nn.functional.conv2d(out, module.leave.weight)


@pytest.mark.parametrize('size', [(27, 45), (9, 33), (21, 15)])
def test_local_attention_at_the_centres_is_that_of_the_window(size):
    module = layer()
    set_statistics_window(module, 3 * CELLS)
    x = picture(2, 8, *size)
    with torch.no_grad():
        seen = module(x)[..., 1::3, 1::3]
        torch.testing.assert_close(seen, naive(module, x, 3), atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize('window', [10, 15, 16])
def test_between_the_centres_it_is_interpolated(window):
    """Constant values, so that only the attention varies: no jumps, and the shares of the cells sum to one."""
    module = layer(channels=4, heads=1)
    set_statistics_window(module, window)
    cell = window // CELLS
    q, k = picture(1, 1, 4, 40, 50, seed=2), picture(1, 1, 4, 40, 50, seed=3)
    v = torch.ones(1, 1, 4, 40, 50) * torch.tensor([1.0, -2, 3, 0.5])[:, None, None]
    out = module.local(q, k, v, cell)[0, 0]
    steps = max(out.diff(dim=-1).abs().max(), out.diff(dim=-2).abs().max())
    assert steps < 2.01 * (out.amax() - out.amin()) / cell
    # rows of the attention sum to 1, so equal values pass through
    torch.testing.assert_close(module.local(q, k, torch.ones_like(v), cell), torch.ones_like(v))


def test_a_map_within_the_window_is_attended_as_a_whole_and_so_it_is_in_training():
    module = layer()
    x = picture(1, 8, 20, 24)
    whole = module(x)
    set_statistics_window(module, 24)
    assert torch.equal(module(x), whole)
    set_statistics_window(module, 10)
    assert not torch.allclose(module(x), whole, atol=1e-3)
    assert torch.equal(module.train()(x), whole)


def test_a_tile_agrees_with_the_whole_up_to_the_interpolation():
    module = layer(seed=3)
    set_statistics_window(module, 20)
    x = torch.nn.functional.avg_pool2d(picture(1, 8, 140, 140), 5, 1)  # correlated, as features are
    tile = module(x[..., 24:120, 24:120])  # 24 is a multiple of the cell
    torch.testing.assert_close(tile[..., 20:-20, 20:-20], module(x)[..., 44:100, 44:100], atol=1e-5, rtol=1e-4)


def test_cells_of_another_alignment_change_little():
    module = layer(seed=3)
    set_statistics_window(module, 100)
    x = torch.nn.functional.avg_pool2d(picture(1, 8, 304, 304), 5, 1)
    with torch.no_grad():
        whole, tile = module(x), module(x[..., 10:, 10:])  # half a cell of 20
    difference = (tile - whole[..., 10:, 10:])[..., 60:-60, 60:-60]
    assert difference.std() < 0.03 * whole.std()


def test_attention_needs_float32_sums():
    """In bfloat16 the cosines stay those of float32 sums."""
    module = layer()
    x = picture(1, 8, 32, 32)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        reduced = module(x)
    with torch.no_grad():
        full = module(x)
    assert reduced.dtype == torch.bfloat16
    assert (reduced - full).abs().max() < 0.03 * full.abs().max()
