"""FDR-Net: disentanglement, processing and aggregation of features for hybrid distortions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.disentangle import AggregateLayer, ChannelAttention, DisentangleLayer, ResidualBlock
from restorebox.layers.gain_control import GainControl
from restorebox.registry import BACKBONES
from restorebox.values import Count, Depth, Width

Pairs = list[tuple[Tensor, Tensor]]


def _residual_blocks(count: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


class _Fusion(nn.Module):
    """Fusion of two branches: concatenation, channel attention and a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = ChannelAttention(2 * channels)
        self.conv = nn.Conv2d(2 * channels, channels, 3, 1, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.conv(self.attention(torch.cat((a, b), 1)))


class _Phase(nn.Module):
    """One phase of :class:`FDRNet`, with the same arguments."""

    def __init__(
        self,
        channels: int,
        layers: int,
        process: int,
        aux: int,
        disentangle: bool,
        inverse: str,
        skip: str,
        share_gain: bool,
        gain_start: str,
    ) -> None:
        super().__init__()
        self.disentangle = nn.ModuleList(
            DisentangleLayer(channels, gain_start) if disentangle else ResidualBlock(channels) for _ in range(layers)
        )
        self.process = _residual_blocks(process, channels)
        count = layers if disentangle else 0
        self.aggregate = nn.ModuleList(AggregateLayer(channels, inverse, skip) for _ in range(count))
        self.gains = nn.ModuleList(GainControl(channels, gain_start) for _ in range(0 if share_gain else count))
        self.aux = _residual_blocks(aux, channels) if aux else None
        self.fuse = _Fusion(channels) if aux else None

    def separate(self, k: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (D, S) of layer k of the disentanglement."""
        layer = self.disentangle[k]
        if isinstance(layer, DisentangleLayer):
            return layer(x)
        y = layer(x)
        return y, y

    def finish(self, x: Tensor, state: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Return the result of processing, aggregation and fusion.

        Args:
            x: the phase's input.
            state: state of the previous phase; for the first phase its input.
            pairs: (D, S) of each layer.

        Returns:
            Input and state of the next phase.
        """
        state = self.process(pairs[-1][0]) + state
        y = state
        for k in reversed(range(len(self.aggregate))):
            gain = self.gains[k] if self.gains else self.disentangle[k].gain
            y = self.aggregate[k](y, *pairs[k], gain)
        if self.aux is not None and self.fuse is not None:
            y = self.fuse(y, self.aux(x))
        return y + x, state


@BACKBONES.register_module()
class FDRNet(BaseBackbone):
    """FDR-Net without its last convolution (in the head), at full resolution.

    Li et al., "Learning Disentangled Feature Representation for Hybrid-distorted Image Restoration" (ECCV 2020,
    equations 3, 4, 6 and 7). A 3x3 convolution is followed by phases, which map (x, state) to (x, state). The two
    residual connections are as in DuRN (Liu et al., CVPR 2019). The first state is the first x. ::

        D_1 .. D_n = FD layers(x)
        state      = process(D_n) + state
        a          = FA layers(state; D_n .. D_1), each adds its D
        x          = fuse(a, auxiliary blocks(x)) + x

    The paper gives neither the number of phases nor the sizes of the modules. With the defaults and a plain 3x3
    convolution as head there are 1.663 M parameters (paper: 1.66 M), without the auxiliary branch 1.215 M (1.21 M),
    with residual blocks instead of FD and FA layers 1.634 M (1.62 M).

    Args:
        channels: number C of channels of all features.
        phases: number of phases.
        layers: FD layers, and FA layers, per phase.
        process: residual blocks of the process module.
        aux: residual blocks of the auxiliary branch; 0: no auxiliary branch and no fusion.
        disentangle: False: ``layers`` residual blocks instead of the FD and FA layers of a phase.
        inverse: see :class:`AggregateLayer <restorebox.layers.disentangle.AggregateLayer>`.
        skip: see ``AggregateLayer``.
        share_gain: an FA layer inverts the gain control of its FD layer; False: it has a separate gain control.
        gain_start: initial gain control, see :class:`GainControl <restorebox.layers.gain_control.GainControl>`.

    Taps, for phase p: ``phasep_in`` (input of the FD layers), ``phasep_d1`` .. ``phasep_dn`` (outputs of the FD
    layers, or of the residual blocks that replace them).

    Raises:
        ConfigError: a number below its minimum, or ``share_gain=False`` with another ``inverse`` than ``'paper'``.
    """

    phases: Any  # a ModuleList of _Phase

    def __init__(
        self,
        channels: Width = 32,
        phases: Count = 8,
        layers: Depth = 3,
        process: Depth = 5,
        aux: Depth = 2,
        disentangle: bool = True,
        inverse: str = 'paper',
        skip: str = 'add',
        share_gain: bool = True,
        gain_start: str = 'own',
    ) -> None:
        super().__init__()
        for name, value, least in (
            ('channels', channels, 1),
            ('phases', phases, 1),
            ('layers', layers, 1),
            ('process', process, 0),
            ('aux', aux, 0),
        ):
            if not isinstance(value, int) or value < least:
                raise ConfigError(f'FDRNet: {name} is {value!r}; it must be a whole number from {least}')
        if not share_gain and inverse != 'paper':
            raise ConfigError(
                f"FDRNet: inverse='{inverse}' inverts the FD layer's gain control; it needs share_gain=True"
            )
        self.enter = nn.Conv2d(3, channels, 3, 1, 1)
        self.phases = nn.ModuleList(
            _Phase(channels, layers, process, aux, disentangle, inverse, skip, share_gain, gain_start)
            for _ in range(phases)
        )
        names = ('in', *(f'd{k + 1}' for k in range(layers)))
        self.tap_channels = {f'phase{i + 1}_{name}': channels for i in range(phases) for name in names}
        self.out_channels = channels
        self.out_stride = 1
        # number of 3x3 convolutions along the longest path of a phase
        self._depth = max(2 * layers + 2 * process, 2 * aux) + bool(aux)
        self.needs = Needs(stride=1, min_size=1, in_channels=3, value_range=(0.0, 1.0), receptive_field=self.field(1))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        return run + 2 * (1 + len(self.phases) * self._depth)

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = state = self.enter(x)
        for i, phase in enumerate(self.phases):
            if kept.last(f'phase{i + 1}_in', x):
                return kept.features
            d, pairs = x, []
            for k in range(len(phase.disentangle)):
                d, s = phase.separate(k, d)
                pairs.append((d, s))
                if kept.last(f'phase{i + 1}_d{k + 1}', d):
                    return kept.features
            x, state = phase.finish(x, state, pairs)
        return kept.end(x)
