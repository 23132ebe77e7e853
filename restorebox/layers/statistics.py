"""Normalisation with statistics over a fixed local window at test.

The statistics of instance norm differ between a training crop, a tile and a whole picture. Chu et al., "Improving
Image Restoration by Revisiting Global Information Aggregation" (ECCV 2022, TLC) compute them at test over a window of
the training crop's size around each pixel. We do the same for whole pictures and for tiles, so that both agree;
:func:`set_statistics_window` sets the window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.layers.precision import traced


def _box_mean_1d(x: Tensor, size: int, dim: int) -> Tensor:
    """Return the mean over every full window of ``size`` along ``dim``, which shrinks by ``size - 1``."""
    length = x.shape[dim]
    total = x.cumsum(dim)
    upper = total.narrow(dim, size - 1, length - size + 1)
    zero = torch.zeros_like(total.narrow(dim, 0, 1))
    lower = torch.cat((zero, total.narrow(dim, 0, length - size)), dim)
    return (upper - lower) / size


def _traced_mean_1d(x: Tensor, window: int, dim: int) -> Tensor:
    """Compute :func:`local_mean` along one axis with its length as a tensor: the same values, one more operation."""
    number = x.shape[dim]
    position = torch.arange(number, device=x.device)
    length = torch.arange(number, number + 1, device=x.device)
    size = length.clamp_max(window)
    first = torch.minimum((position - size // 2).clamp_min(0), length - size)
    before = (1, 0) if dim == x.dim() - 1 else (0, 0, 1, 0)
    total = nn.functional.pad(x.cumsum(dim), before)
    return (total.index_select(dim, first + size) - total.index_select(dim, first)) / size.to(x.dtype)


def local_mean(x: Tensor, window: int) -> Tensor:
    """Return the mean over a window around each pixel, in O(1) per pixel.

    At the border the nearest window inside the picture is used, so that no padding enters the statistics.

    Args:
        x: ``(N, C, H, W)``. Centre it first (subtract a constant per channel) if it is far from zero: running sums
            lose precision otherwise.
        window: side of the window in pixels of ``x``; a shorter axis is averaged completely.

    Returns:
        ``(N, C, H, W)``.
    """
    for dim in (-2, -1):
        if traced():
            x = _traced_mean_1d(x, window, x.dim() + dim)
            continue
        length = x.shape[dim]
        size = min(window, length)
        means = _box_mean_1d(x, size, dim)
        # window i covers [i, i + size); pixel p uses the window centred on it, clamped to the valid ones
        index = (torch.arange(length, device=x.device) - size // 2).clamp_(0, length - size)
        x = means.index_select(x.dim() + dim, index)
    return x


class LocalStatistics(nn.Module):
    """Base of all layers that compute statistics over the picture.

    Args:
        stride: side of one of the layer's pixels in pixels of the network's input; a window of ``w`` input pixels is
            ``w // stride`` here.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.window: int | None = None

    def local_window(self, x: Tensor) -> int | None:
        """Return the window in pixels of ``x``; None if statistics are those of the whole map."""
        if self.training or self.window is None:
            return None
        window = max(self.window // self.stride, 2)
        # a tracer records the general case: there, a window larger than the map gives the mean of the map
        return window if traced() or max(x.shape[-2:]) > window else None

    def mean(self, x: Tensor) -> Tensor:
        """Return the means per channel of ``(N, C, H, W)``: ``(N, C, 1, 1)``, or ``(N, C, H, W)`` for local windows."""
        window = self.local_window(x)
        if window is None:
            return x.mean((-2, -1), keepdim=True)
        centre = x.float().mean((-2, -1), keepdim=True)
        return (local_mean(x.float() - centre, window) + centre).to(x.dtype)


class InstanceNorm(LocalStatistics):
    """Instance normalisation with affine parameters, over a local window at test if one is set.

    The arithmetic equals batch norm with the statistics of a batch of one (pix2pix at test).

    Args:
        channels: C of the ``(N, C, H, W)`` maps.
        stride: see :class:`LocalStatistics`.
        eps: added to the variance.
        affine: learn a scale and a shift per channel.
    """

    def __init__(self, channels: int, stride: int = 1, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(stride)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(N, C, H, W)`` to zero mean and unit variance per picture and channel."""
        window = self.local_window(x)
        if window is None:
            # torch refuses a single pixel in training, since its variance is undefined; the result is the shift
            if not traced() and x.shape[-1] * x.shape[-2] == 1:
                zero = torch.zeros_like(x)
                return zero if self.bias is None else zero + self.bias[:, None, None].to(x.dtype)
            return nn.functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        y = x.float()
        y = y - y.mean((-2, -1), keepdim=True)
        if traced():  # one pass over both halves the number of operations in an exported file
            mean, square = local_mean(torch.cat((y, y * y), 1), window).chunk(2, 1)
        else:
            mean, square = local_mean(y, window), local_mean(y * y, window)
        variance = (square - mean * mean).clamp_min_(0)
        y = (y - mean) * torch.rsqrt(variance + self.eps)
        if self.weight is not None and self.bias is not None:
            y = y * self.weight[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)


def statistics_layers(module: nn.Module) -> list[LocalStatistics]:
    """Return all layers of a module that compute statistics over the picture."""
    return [m for m in module.modules() if isinstance(m, LocalStatistics)]


def set_statistics_window(module: nn.Module, window: int | None) -> None:
    """Set the window of all layers with statistics, in pixels of the network's input; None is the whole picture."""
    for layer in statistics_layers(module):
        layer.window = window


def make_norm(kind: str | None, channels: int, stride: int, affine: bool = True) -> nn.Module:
    """Build a normalisation layer by name.

    Args:
        kind: ``'instance'``, ``'batch'`` (``SyncBatchNorm`` under ``sync_bn='torch'`` in the config) or None.
        channels: C of the maps.
        stride: see :class:`LocalStatistics`.
        affine: whether instance norm learns a scale and a shift; batch norm always does.

    Raises:
        ConfigError: an unknown name.
    """
    if kind is None:
        return nn.Identity()
    if kind == 'instance':
        return InstanceNorm(channels, stride, affine=affine)
    if kind == 'batch':
        return nn.BatchNorm2d(channels)
    raise ConfigError(f"norm is '{kind}'; it must be 'instance', 'batch' or None")
