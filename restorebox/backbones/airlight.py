"""Estimation of the airlight (the colour of haze): by a network, or from the brightest pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.layers.initialise import he_init
from restorebox.layers.padding import pad_to_multiple

WINDOW = 256  # pixels; size of the training crops
SMALLEST = 96  # pixels; gives the last norm 2x2 values per channel
DARK_WINDOW = 15  # pixels
BRIGHTEST = 1e-3  # fraction of the pixels


class AirlightNet(nn.Module):
    """Network from low frequencies of a window to airlight A (Li, Cheong and Tan, CVPR 2019).

    ::

        x -> mix (1x1) -> five 4x4 convolutions of stride 2, one of stride 1 -> mean -> 1x1 -> 1x1, sigmoid
                          w, 2w, 4w, 8w, 8w, 8w, batch norm except in the first         16w    3

    Args:
        in_channels: of the decomposition.
        base_width: w, 64 in the paper.
    """

    def __init__(self, in_channels: int = 33, base_width: int = 64) -> None:
        super().__init__()
        w = base_width
        self.mix = nn.Conv2d(in_channels, in_channels, 1)
        parts: list[nn.Module] = [nn.Conv2d(in_channels, w, 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 2), (8, 8, 2), (8, 8, 1)):
            conv = nn.Conv2d(before * w, after * w, 4, stride, 1, bias=False)
            parts += [conv, nn.BatchNorm2d(after * w), nn.LeakyReLU(0.2)]
        parts += [nn.AdaptiveAvgPool2d(1), nn.Conv2d(8 * w, 16 * w, 1), nn.LeakyReLU(0.2), nn.Conv2d(16 * w, 3, 1)]
        self.net = nn.Sequential(*parts)
        he_init(self, slope=0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, h, w)`` of any size to ``(N, 3, 1, 1)`` in (0, 1)."""
        return torch.sigmoid(self.net(self.mix(pad_to_multiple(x, 1, SMALLEST))))


def mean_over_windows(net: nn.Module, x: Tensor, first_only: bool = False) -> Tensor:
    """Return the area-weighted mean of a network's outputs for windows of 256x256, for pictures of any size.

    Windows are adjacent, starting at the top left. The last of a row or column is shifted into the picture and weighted
    by the pixels that no other window covers. (The authors' code weights inner windows by 1 and border windows by
    pixels, so border windows dominate its mean.)

    Args:
        net: ``(N, C, h, w)`` -> ``(N, 3, 1, 1)``.
        x: ``(N, C, H, W)``.
        first_only: use only the top left window, as the authors' generator does.

    Returns:
        ``(N, 3, 1, 1)``.
    """
    if first_only:
        return net(x[..., :WINDOW, :WINDOW])
    height, width = x.shape[-2:]
    windows, areas = [], []
    for top, rows in _windows(height):
        for left, columns in _windows(width):
            windows.append(x[..., top : top + WINDOW, left : left + WINDOW])
            areas.append(rows * columns)
    if len(windows) == 1:
        return net(x)
    total = height * width
    return sum(net(window) * (area / total) for window, area in zip(windows, areas, strict=True))


def _windows(length: int) -> list[tuple[int, int]]:
    """Return (start, number of newly covered pixels) of the windows along an axis."""
    starts = range(0, length, WINDOW)
    return [(max(min(start, length - WINDOW), 0), min(WINDOW, length - start)) for start in starts]


def brightest_colour(x: Tensor) -> Tensor:
    """Return the mean colour of the pixels that are brightest in the dark channel: an airlight without a network.

    He, Sun, Tang, "Single image haze removal using dark channel prior" (CVPR 2009): the dark channel is the minimum
    over all channels and 15x15 pixels; its brightest 0.1% are averaged.

    Args:
        x: ``(N, 3, H, W)`` in [0, 1].

    Returns:
        ``(N, 3, 1, 1)``.
    """
    dark = -F.max_pool2d(-x.amin(1, keepdim=True), DARK_WINDOW, 1, DARK_WINDOW // 2)
    pixels = x.flatten(2)
    count = max(1, int(BRIGHTEST * pixels.shape[-1]))
    chosen = dark.flatten(2).topk(count, dim=-1).indices
    return pixels.gather(2, chosen.expand(-1, 3, -1)).mean(-1)[..., None, None]
