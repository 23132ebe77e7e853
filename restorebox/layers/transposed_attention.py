"""Transformer block of Restormer, shared by Restormer and PromptIR.

Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration" (CVPR 2022): attention between
channels, whose cost is linear in the number of pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.layers.naf_block import PixelNorm
from restorebox.layers.precision import at_least_float32, without_autocast
from restorebox.layers.statistics import LocalStatistics, local_mean

CELLS = 5  # a window of statistics is this many cells wide; odd, so that it is centred on a cell


class BiasFreeNorm(nn.Module):
    """Division by the standard deviation over the channels of each pixel, with a scale per channel; no centring.

    Args:
        channels: C.
        eps: added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        y = at_least_float32(x)
        scale = torch.rsqrt(y.var(1, unbiased=False, keepdim=True) + self.eps)
        return (y * scale).to(x.dtype) * self.weight.to(x.dtype)[:, None, None]


class TransposedAttention(LocalStatistics):
    """MDTA: attention between the channels of each head, after 1x1 and depthwise 3x3 convolutions.

    out = softmax(t cos(q_i, k_j)) v, where cos is the cosine of the angle between two channels as vectors of all
    pixels. At test with a statistics window the cosines are those of a window around each pixel: sums over square
    cells, five of which make a window, and results interpolated between the centres of the cells. A result per pixel
    would need a matrix per pixel.

    Args:
        channels: C, a multiple of ``heads``.
        heads: number of heads.
        bias: whether the convolutions have biases.
        stride: see :class:`LocalStatistics <restorebox.layers.statistics.LocalStatistics>`.
    """

    def __init__(self, channels: int, heads: int, bias: bool, stride: int) -> None:
        super().__init__(stride)
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.enter = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, 1, 1, groups=3 * channels, bias=bias)
        self.leave = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        height, width = x.shape[-2:]
        # (N, heads, C / heads, H, W) each
        q, k, v = (y.unflatten(1, (self.heads, -1)) for y in self.depthwise(self.enter(x)).chunk(3, 1))
        window = self.local_window(x)
        if window is None:
            q, k, v = (y.flatten(-2) for y in (q, k, v))
            y = (self.weights(*self.products(q, k)).to(v.dtype) @ v).unflatten(-1, (height, width))
        else:
            y = self.local(q, k, v, max(window // CELLS, 1))
        return self.leave(y.flatten(1, 2))

    @staticmethod
    def products(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map two ``(..., d, pixels)`` to their products ``(..., d, d)`` and their squared lengths ``(..., d)``.

        In float32: sums over all pixels are too large for fewer digits.
        """
        with without_autocast(q):
            q, k = at_least_float32(q), at_least_float32(k)
            return q @ k.transpose(-2, -1), q.square().sum(-1), k.square().sum(-1)

    def weights(self, products: Tensor, q: Tensor, k: Tensor) -> Tensor:
        """Map the result of :meth:`products`, heads on the axis before the matrix, to attention ``(..., d, d)``."""
        # the square root of a product would exceed the range of float32 sooner
        lengths = q.clamp_min(1e-24).rsqrt()[..., None] * k.clamp_min(1e-24).rsqrt()[..., None, :]
        return (products * lengths * self.temperature.to(products.dtype)).softmax(-1)

    def local(self, q: Tensor, k: Tensor, v: Tensor, cell: int) -> Tensor:
        """Attend with the statistics of a window around each pixel.

        Args:
            q: ``(N, heads, d, H, W)``, as are ``k`` and ``v``.
            k: see ``q``.
            v: see ``q``.
            cell: side of a cell in pixels.

        Returns:
            The shape of ``v``.
        """
        height, width = v.shape[-2:]
        bottom, right = -height % cell, -width % cell
        # zeros change no sum
        q, k = (_cells(F.pad(y.flatten(1, 2), (0, right, 0, bottom)), cell, self.heads) for y in (q, k))
        sums = self.products(q, k)  # (N, rows, columns, heads, d[, d])
        sizes = [y[0, 0, 0].numel() for y in sums]
        flat = torch.cat([y.flatten(3) for y in sums], -1).permute(0, 3, 1, 2)
        means = local_mean(flat, CELLS).permute(0, 2, 3, 1).split(sizes, -1)  # the area of a window cancels
        attention = self.weights(*(y.unflatten(-1, s.shape[3:]) for y, s in zip(means, sums, strict=True)))
        # squares between the centres of four cells; those of the border repeat the nearest cell
        near = cell // 2
        padded = F.pad(v.flatten(1, 2), (near, cell - near + right, near, cell - near + bottom))
        squares = _cells(padded, cell, self.heads)  # (N, rows + 1, columns + 1, heads, d, pixels)
        attention = attention.to(v.dtype)
        attention = torch.cat((attention[:, :1], attention, attention[:, -1:]), 1)
        attention = torch.cat((attention[:, :, :1], attention, attention[:, :, -1:]), 2)
        rows, columns = squares.shape[1:3]
        # shares of the later cell; with an odd side the centres of cells are those of pixels
        ramp = (torch.arange(cell, device=v.device, dtype=v.dtype) + (1 if cell % 2 else 0.5)) / cell
        out = torch.zeros_like(squares)
        for i, down in enumerate((1 - ramp, ramp)):
            for j, across in enumerate((1 - ramp, ramp)):
                share = (down[:, None] * across).flatten()
                out = out + (attention[:, i : i + rows, j : j + columns] @ squares) * share
        whole = _picture(out, cell)[..., near : near + height, near : near + width]
        return whole.unflatten(1, (self.heads, -1))


def _cells(x: Tensor, cell: int, heads: int) -> Tensor:
    """Map ``(N, heads * d, rows * cell, columns * cell)`` to ``(N, rows, columns, heads, d, cell * cell)``."""
    n, channels, height, width = x.shape
    x = x.reshape(n, heads, channels // heads, height // cell, cell, width // cell, cell)
    return x.permute(0, 3, 5, 1, 2, 4, 6).flatten(-2)


def _picture(x: Tensor, cell: int) -> Tensor:
    """Invert :func:`_cells`, with heads and channels on one axis."""
    n, rows, columns, heads, d, _ = x.shape
    x = x.unflatten(-1, (cell, cell)).permute(0, 3, 4, 1, 5, 2, 6)
    return x.reshape(n, heads * d, rows * cell, columns * cell)


class GatedFeedForward(nn.Module):
    """GDFN: 1x1 to twice ``hidden`` channels, depthwise 3x3, GELU of one half times the other, 1x1.

    Args:
        channels: C.
        hidden: channels between the 1x1 convolutions.
        bias: whether the convolutions have biases.
    """

    def __init__(self, channels: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, 1, 1, groups=2 * hidden, bias=bias)
        self.leave = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        a, b = self.depthwise(self.enter(x)).chunk(2, 1)
        return self.leave(F.gelu(a) * b)


class TransformerBlock(nn.Module):
    """Restormer's block: y = x + MDTA(norm(x)), then y + GDFN(norm(y)).

    Args:
        channels: C, a multiple of ``heads``.
        heads: number of heads.
        stride: of the attention, see :class:`TransposedAttention`.
        expansion: hidden channels of GDFN per channel; rounded down.
        bias: whether the convolutions have biases.
        centred: layer norm with centring and shift, instead of :class:`BiasFreeNorm`.
    """

    reach = 4  # increase of the receptive field in pixels

    def __init__(
        self, channels: int, heads: int, stride: int, expansion: float = 2.66, bias: bool = False, centred: bool = True
    ) -> None:
        super().__init__()
        self.norm1 = PixelNorm(channels, 1e-5) if centred else BiasFreeNorm(channels)
        self.attention = TransposedAttention(channels, heads, bias, stride)
        self.norm2 = PixelNorm(channels, 1e-5) if centred else BiasFreeNorm(channels)
        self.feed_forward = GatedFeedForward(channels, int(channels * expansion), bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))
