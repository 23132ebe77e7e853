"""Blocks of FDR-Net: feature disentanglement, aggregation, and what stands between them.

Li et al., "Learning Disentangled Feature Representation for Hybrid-distorted Image Restoration" (ECCV 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.layers.gain_control import GainControl, check_inverse
from restorebox.layers.statistics import LocalStatistics


class ResidualBlock(nn.Module):
    """x + conv(ReLU(conv(x))), 3x3, without normalisation.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return x + self.conv2(torch.relu(self.conv1(x)))


class ChannelAttention(LocalStatistics):
    """Multiply each channel by a gate in (0, 1) that is read off the means of all channels.

    Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks" (ECCV 2018). At test the
    means are those of a local window where one is set, so that tiles and whole pictures agree.

    Args:
        channels: C.
        stride: see :class:`LocalStatistics <restorebox.layers.statistics.LocalStatistics>`.
        reduction: the hidden layer has ``channels // reduction`` units, at least 2.
    """

    def __init__(self, channels: int, stride: int = 1, reduction: int = 16) -> None:
        super().__init__(stride)
        hidden = max(channels // reduction, 2)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def gate(self, x: Tensor) -> Tensor:
        """``(N, C, 1, 1)``, or ``(N, C, H, W)`` with a local window; in (0, 1)."""
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(self.mean(x)))))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return x * self.gate(x)


class DisentangleLayer(nn.Module):
    """FD layer: a 3x3 convolution, then gain control (equations 3 and 4).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)
        self.gain = GainControl(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, H, W)`` -> (D, S): what the gain control gave and what it was given, of the same shape."""
        s = self.conv(x)
        return self.gain(s), s


class AggregateLayer(nn.Module):
    """FA layer: channel attention, the inverse gain, a 3x3 convolution (equations 6 and 7).

    The inverse gain belongs to an FD layer, see ``inverse``:

    - ``'paper'``: equation 7 to the letter. It pools what it is given, so it does not undo equation 4;
    - ``'stored'``: multiply by the normaliser that the FD layer divided by;
    - ``'solve'``: the exact inverse, from what it is given alone.

    Args:
        channels: C.
        inverse: one of the three.
        skip: how D of the FD layer enters: ``'add'``, or ``'concat'`` with a 1x1 convolution back to C channels.
        stride: see :class:`ChannelAttention`.

    Raises:
        ConfigError: an unknown ``inverse`` or ``skip``.
    """

    def __init__(self, channels: int, inverse: str = 'paper', skip: str = 'add', stride: int = 1) -> None:
        super().__init__()
        check_inverse(inverse, 'AggregateLayer')
        if skip not in ('add', 'concat'):
            raise ConfigError(f"AggregateLayer: skip is '{skip}'; it must be 'add' or 'concat'")
        self.inverse = inverse
        self.join = nn.Conv2d(2 * channels, channels, 1) if skip == 'concat' else None
        self.attention = ChannelAttention(channels, stride)
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor, d: Tensor, s: Tensor, gain: GainControl) -> Tensor:
        """Aggregate.

        Args:
            x: ``(N, C, H, W)``, from the layer before.
            d: D of the FD layer of the same depth.
            s: S of that layer; only ``'stored'`` reads it.
            gain: the gain control whose inverse is taken, of that layer or one of this layer's own.
        """
        x = x + d if self.join is None else self.join(torch.cat((x, d), 1))
        return self.conv(self.invert(self.attention(x), s, gain))

    def invert(self, p: Tensor, s: Tensor, gain: GainControl) -> Tensor:
        """The inverse gain of ``p``."""
        if self.inverse == 'paper':
            return gain.multiply(p)
        if self.inverse == 'solve':
            return gain.solve(p)
        return gain.restore(p, s)
