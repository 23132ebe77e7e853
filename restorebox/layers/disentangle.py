"""Blocks of FDR-Net: feature disentanglement, feature aggregation, residual blocks and channel attention.

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
        """Map ``(N, C, H, W)`` to the same shape."""
        return x + self.conv2(torch.relu(self.conv1(x)))


class ChannelAttention(LocalStatistics):
    """Multiply each channel by a gate in (0, 1) computed from the means of all channels.

    Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks" (ECCV 2018). At test the
    means are taken over a local window if one is set, so that tiles and whole pictures agree.

    Args:
        channels: C.
        stride: see :class:`LocalStatistics <restorebox.layers.statistics.LocalStatistics>`.
        reduction: the hidden layer has ``channels // reduction`` units, at least 2.
        scene: length of an embedding of the whole picture, see :mod:`restorebox.layers.global_statistics`. A linear
            function of it replaces the means, so that tiles need no statistics of their features; 0: the means.
    """

    def __init__(self, channels: int, stride: int = 1, reduction: int = 16, scene: int = 0) -> None:
        super().__init__(stride)
        hidden = max(channels // reduction, 2)
        self.estimated = nn.Conv2d(scene, channels, 1) if scene else None
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def gate(self, x: Tensor, scene: Tensor | None = None) -> Tensor:
        """Return the gate in (0, 1): ``(N, C, 1, 1)``, or ``(N, C, H, W)`` with a local window."""
        mean = self.mean(x) if self.estimated is None else self.estimated(scene)
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))

    def forward(self, x: Tensor, scene: Tensor | None = None) -> Tensor:
        """Map ``(N, C, H, W)`` and, if used, ``(N, scene, 1, 1)`` to the shape of ``x``."""
        return x * self.gate(x, scene)


class DisentangleLayer(nn.Module):
    """FD layer: a 3x3 convolution, then gain control (equations 3 and 4).

    Args:
        channels: C.
        gain_start: see :class:`GainControl <restorebox.layers.gain_control.GainControl>`.
    """

    def __init__(self, channels: int, gain_start: str = 'own') -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)
        self.gain = GainControl(channels, gain_start)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(N, C, H, W)`` to (D, S), output and input of the gain control, both of the same shape."""
        s = self.conv(x)
        return self.gain(s), s


class AggregateLayer(nn.Module):
    """FA layer: channel attention, the inverse gain, a 3x3 convolution (equations 6 and 7).

    The inverse gain uses the parameters of an FD layer, see ``inverse``:

    - ``'paper'``: equation 7 as printed. It pools its own input, so it is not the inverse of equation 4;
    - ``'stored'``: multiply by the normaliser by which the FD layer divided;
    - ``'solve'``: the exact inverse, computed from its input only.

    Args:
        channels: C.
        inverse: one of the three.
        skip: combination with D of the FD layer: ``'add'``, or ``'concat'`` and a 1x1 convolution to C channels.
        stride: see :class:`ChannelAttention`, as for ``scene``.

    Raises:
        ConfigError: an unknown ``inverse`` or ``skip``.
    """

    def __init__(
        self, channels: int, inverse: str = 'paper', skip: str = 'add', stride: int = 1, scene: int = 0
    ) -> None:
        super().__init__()
        check_inverse(inverse, 'AggregateLayer')
        if skip not in ('add', 'concat'):
            raise ConfigError(f"AggregateLayer: skip is '{skip}'; it must be 'add' or 'concat'")
        self.inverse = inverse
        self.join = nn.Conv2d(2 * channels, channels, 1) if skip == 'concat' else None
        self.attention = ChannelAttention(channels, stride, scene=scene)
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor, d: Tensor, s: Tensor, gain: GainControl, scene: Tensor | None = None) -> Tensor:
        """Aggregate features.

        Args:
            x: ``(N, C, H, W)``, output of the previous layer.
            d: D of the FD layer of the same depth.
            s: S of that layer; read by ``'stored'`` only.
            gain: the gain control to invert, of that layer or of this layer.
            scene: ``(N, scene, 1, 1)``, for the channel attention.
        """
        x = x + d if self.join is None else self.join(torch.cat((x, d), 1))
        return self.conv(self.invert(self.attention(x, scene), s, gain))

    def invert(self, p: Tensor, s: Tensor, gain: GainControl) -> Tensor:
        """Apply the inverse gain to ``p``."""
        if self.inverse == 'paper':
            return gain.multiply(p)
        if self.inverse == 'solve':
            return gain.solve(p)
        return gain.restore(p, s)
