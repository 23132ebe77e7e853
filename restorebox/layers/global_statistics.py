"""Statistics of a whole picture on a fixed grid, for networks that must judge all of it and see a part.

A network that takes means of its features judges another picture in each tile. One that reads these statistics instead
is a function of the pixels around it and of one small array, the same for every tile.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRID = 32  # cells along each axis
STATISTICS = 7  # numbers per cell


def scene_statistics(x: Tensor) -> Tensor:
    """Seven numbers for each of 32x32 cells of a picture, whatever its size.

    The means of red, green and blue; the standard deviation of their mean; its mean absolute slopes along rows and
    columns (times ten: they are small); the least value of any channel. Worked out for one row of cells after the
    other, so that the memory is a 32nd of what the picture's size would take.

    Args:
        x: ``(N, 3, H, W)`` in [0, 1], or of whole numbers (uint8, uint16).

    Returns:
        ``(N, 7, 32, 32)`` float32.
    """
    height = x.shape[-2]
    scale = 1.0 if x.is_floating_point() else 1 / torch.iinfo(x.dtype).max
    rows = []
    for i in range(GRID):
        first, end = i * height // GRID, -(-(i + 1) * height // GRID)
        rows.append(_row_of_cells(x[..., first : min(end + 1, height), :].float() * scale, end - first))
    return torch.cat(rows, -2)


def _row_of_cells(band: Tensor, height: int) -> Tensor:
    """``(N, 3, height or height + 1, W)`` -> ``(N, 7, 1, 32)``; the row past ``height`` is read for slopes alone."""
    grey = band.mean(1, keepdim=True)
    below = F.pad(grey.diff(dim=-2), (0, 0, 0, 1))[..., :height, :] if grey.shape[-2] == height else grey.diff(dim=-2)
    band, grey = band[..., :height, :], grey[..., :height, :]
    beside = F.pad(grey.diff(dim=-1), (0, 1))
    layers = torch.cat((band, grey, grey.square(), beside.abs() * 10, below.abs() * 10), 1)
    mean = F.adaptive_avg_pool2d(layers, (1, GRID))
    deviation = (mean[:, 4:5] - mean[:, 3:4].square()).clamp_min(0).sqrt()
    least = -F.adaptive_max_pool2d(-band.amin(1, keepdim=True), (1, GRID))
    return torch.cat((mean[:, :3], deviation, mean[:, 5:], least), 1)


class SceneEncoder(nn.Module):
    """Scene statistics -> one vector: three convolutions that halve, then the mean and the maximum over the grid.

    Args:
        width: channels of the last convolution, a multiple of 4.
        out: length of the vector.
    """

    def __init__(self, width: int = 96, out: int = 64) -> None:
        super().__init__()
        widths = (STATISTICS, width // 4, width // 2, width)
        self.convs = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 3, 2, 1) for i in range(3))
        self.last = nn.Conv2d(2 * width, out, 1)

    def forward(self, statistics: Tensor) -> Tensor:
        """``(N, 7, 32, 32)`` -> ``(N, out, 1, 1)``."""
        y = statistics
        for conv in self.convs:
            y = torch.relu(conv(y))
        return torch.relu(self.last(torch.cat((y.mean((-2, -1), keepdim=True), y.amax((-2, -1), keepdim=True)), 1)))
