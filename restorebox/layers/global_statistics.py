"""Global statistics of a picture on a fixed grid, for networks that process tiles.

A network that averages its own features computes different results in each tile. A network that reads these
statistics instead depends on the local pixels and on one small array, which is equal for all tiles.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRID = 32  # cells along each axis
STATISTICS = 7  # numbers per cell
TEXTURE = [3, 4, 5]  # of them: standard deviation, differences along rows and columns


def scene_statistics(x: Tensor) -> Tensor:
    """Return seven statistics for each of 32x32 cells of a picture of any size.

    The means of red, green and blue; the standard deviation of grey; its mean absolute differences along rows and
    columns (times ten, since they are small); the minimum over all channels. Cells are computed row by row, which
    reduces the memory to a 32nd.

    Args:
        x: ``(N, 3, H, W)`` in [0, 1], or integers (uint8, uint16).

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
    """Map ``(N, 3, height or height + 1, W)`` to ``(N, 7, 1, 32)``; a row after ``height`` is for differences only."""
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
    """Scene encoder: three convolutions on the statistics, then the mean and the maximum over the grid.

    Args:
        width: channels of the last convolution, a multiple of 4.
        out: length of the vector.
        ordered: 3x3 convolutions of stride 2, so that the result depends on the arrangement of the cells. False: 1x1
            convolutions; every permutation of the cells has the same result. A few hundred training scenes can be
            recognised by their arrangement, and a network that does so restores other scenes worse (docs/weather.md).
    """

    def __init__(self, width: int = 96, out: int = 64, ordered: bool = True) -> None:
        super().__init__()
        widths = (STATISTICS, width // 4, width // 2, width)
        shape = (3, 2, 1) if ordered else (1, 1, 0)  # kernel, stride, padding
        self.convs = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], *shape) for i in range(3))
        self.last = nn.Conv2d(2 * width, out, 1)

    def forward(self, statistics: Tensor) -> Tensor:
        """Map ``(N, 7, 32, 32)`` to ``(N, out, 1, 1)``."""
        y = statistics
        for conv in self.convs:
            y = torch.relu(conv(y))
        return torch.relu(self.last(torch.cat((y.mean((-2, -1), keepdim=True), y.amax((-2, -1), keepdim=True)), 1)))
