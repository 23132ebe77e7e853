"""Low and high frequencies of a rainy picture by guided filters of several sizes.

He, Sun, Tang, "Guided image filtering" (ECCV 2010). The residue channel as guide: Li, Cheong, Tan, "Heavy Rain Image
Restoration: Integrating Physics Model and Conditional Adversarial Learning" (CVPR 2019). Streaks are colourless, so
the range of a pixel's channels hardly contains them, while it contains the edges of the scene.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.errors import ConfigError
from restorebox.layers.precision import at_least_float32
from restorebox.registry import nearest

RADII = (2, 4, 8, 16, 32)
EPSILONS = (1e-3, 1e-4)
GUIDES = ('residue', 'input', 'none')


def residue(x: Tensor) -> Tensor:
    """Return the largest minus the smallest channel of each pixel: ``(N, C, H, W)`` -> ``(N, 1, H, W)``.

    It is 0 for grey pixels, and unchanged by adding the same value to all channels.
    """
    return x.amax(1, keepdim=True) - x.amin(1, keepdim=True)


def _window_sums(x: Tensor, radii: Sequence[int], axis: int) -> dict[int, Tensor]:
    """Return sums over ``2 r + 1`` neighbours along axis -1 or -2 for several r, with zero padding.

    Sums of 1, 2, 4, ... neighbours are computed by doubling and combined to windows. There is no subtraction, so no
    precision is lost as in a running sum.
    """
    length, edge = x.shape[axis], max(radii)
    power = F.pad(x, (edge, edge) if axis == -1 else (0, 0, edge, edge))  # entry i: the sum of i .. i + width - 1
    sums: dict[int, Tensor] = {}
    covered = dict.fromkeys(radii, 0)
    width = 1
    while True:
        for r in radii:
            if (2 * r + 1) & width:
                part = power.narrow(axis, edge - r + covered[r], length)
                sums[r] = sums[r] + part if r in sums else part
                covered[r] += width
        if width > edge:
            return sums
        left = power.shape[axis] - width
        power = power.narrow(axis, 0, left) + power.narrow(axis, width, left)
        width *= 2


def box_means(x: Tensor, radii: Sequence[int]) -> Iterator[Tensor]:
    """Yield means over windows of ``(2 r + 1)^2`` pixels, cropped to the picture, for each r in turn.

    Args:
        x: ``(N, C, H, W)`` float, of any size from 1x1.
        radii: integers from 1; a window may be larger than the picture.

    Yields:
        ``(N, C, H, W)`` per radius, in the given order.
    """
    height, width = x.shape[-2:]
    rows = _window_sums(x, radii, -1)
    for r in radii:
        counts = [
            (torch.arange(size) + r).clamp(max=size - 1) - (torch.arange(size) - r).clamp(min=0) + 1
            for size in (height, width)
        ]
        area = (counts[0][:, None] * counts[1]).to(x.device, x.dtype)
        yield _window_sums(rows[r], (r,), -2)[r] / area


def guided_filters(
    x: Tensor, guide: Tensor, radii: Sequence[int] = RADII, epsilons: Sequence[float] = EPSILONS
) -> Tensor:
    """Apply guided filters of every radius with every eps.

    In each window the picture is fitted as ``a guide + b``, with ``a = cov / (var + eps)``; a pixel is the mean of all
    fits whose window covers it. Windows are cropped to the picture. Statistics that depend on the radius only are
    shared by all eps, and the sums by all radii.

    Args:
        x: ``(N, C, H, W)`` in [0, 1].
        guide: ``(N, 1, H, W)`` for all channels, or ``(N, C, H, W)``.
        radii: radii of the windows in pixels.
        epsilons: values added to the guide's variance: edges below their square root are smoothed.

    Returns:
        ``(N, len(radii) len(epsilons) C, H, W)``: the radius varies slowest, then eps, then the channel.
    """
    x, guide = at_least_float32(x), at_least_float32(guide)
    centre = x.mean((-2, -1), keepdim=True)  # centring preserves the precision of the variance
    y, g = x - centre, guide - guide.mean((-2, -1), keepdim=True)
    sizes = (g.shape[1], y.shape[1], g.shape[1], y.shape[1])
    filtered = []
    for r, means in zip(radii, box_means(torch.cat((g, y, g * g, g * y), 1), radii), strict=True):
        mean_g, mean_y, mean_gg, mean_gy = means.split(sizes, 1)
        variance, covariance = mean_gg - mean_g * mean_g, mean_gy - mean_g * mean_y
        fits = []
        for eps in epsilons:
            a = covariance / (variance + eps)
            fits += [a, mean_y - a * mean_g]
        slopes_and_offsets = next(box_means(torch.cat(fits, 1), (r,))).split(y.shape[1], 1)
        for a, b in zip(slopes_and_offsets[::2], slopes_and_offsets[1::2], strict=True):
            filtered.append(a * g + b + centre)
    return torch.cat(filtered, 1)


class Decomposition(nn.Module):
    """Split a picture into the inputs of the streak network and of the veil networks; no parameters.

    Args:
        guide: guide of the ten filters: ``'residue'``, ``'input'`` (the picture itself) or ``'none'`` for no filters.

    Attributes:
        channels: channels of each of the two results: 33, or 3 without filters.
        reach: distance in pixels up to which a result depends on the input.

    Raises:
        ConfigError: another guide.
    """

    def __init__(self, guide: str = 'residue') -> None:
        super().__init__()
        if guide not in GUIDES:
            raise ConfigError(f"Decomposition has no guide '{guide}'; {nearest(str(guide), GUIDES)}")
        self.guide = guide
        self.channels = 3 if guide == 'none' else 3 + 3 * len(RADII) * len(EPSILONS)
        self.reach = 0 if guide == 'none' else 2 * max(RADII)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Decompose.

        Args:
            x: ``(N, 3, H, W)`` in [0, 1].

        Returns:
            The picture with its ten low-frequency parts, and the picture with the ten high-frequency parts (picture
            minus low): ``(N, 33, H, W)`` each. Without filters the picture twice.
        """
        if self.guide == 'none':
            return x, x
        low = guided_filters(x, residue(x) if self.guide == 'residue' else x)
        high = x.repeat(1, low.shape[1] // x.shape[1], 1, 1) - low
        return torch.cat((x, low), 1), torch.cat((x, high), 1)
