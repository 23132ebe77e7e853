"""OWAN: parallel operations weighted by attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.statistics import LocalStatistics
from restorebox.registry import BACKBONES
from restorebox.values import Count, Depth, Width

SEPARABLE = (1, 3, 5, 7)  # sides of the kernels
DILATED = (3, 5, 7)  # those with a dilation of 2
REACH = 6  # radius of an operation layer in pixels: 7x7 twice, or 7x7 with dilation 2


def _separable(channels: int, side: int, dilation: int = 1) -> list[nn.Module]:
    """Return a depthwise and a pointwise convolution."""
    reach = dilation * (side // 2)
    return [
        nn.Conv2d(channels, channels, side, 1, reach, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
    ]


class _DepthwiseBlock(nn.Module):
    """ReLU(x + conv(ReLU(conv(x)))), 3x3 depthwise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.conv2(torch.relu(self.conv1(x))))


class _OperationLayer(nn.Module):
    """Eight weighted operations, concatenated, followed by a 1x1 convolution and a ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList()
        for side in SEPARABLE:
            first, second = _separable(channels, side), _separable(channels, side)
            self.operations.append(nn.Sequential(*first, nn.ReLU(), *second))
        for side in DILATED:
            self.operations.append(nn.Sequential(*_separable(channels, side, dilation=2)))
        self.operations.append(nn.AvgPool2d(3, 1, 1, count_include_pad=False))
        self.join = nn.Conv2d(len(self.operations) * channels, channels, 1, bias=False)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        each = [operation(x) * weights[:, i, None] for i, operation in enumerate(self.operations)]
        return torch.relu(self.join(torch.cat(each, 1)))


class _OperationAttention(LocalStatistics):
    """Attention over the operations of a group's layers: softmax of a function of the channel means."""

    def __init__(self, channels: int, layers: int, operations: int) -> None:
        super().__init__(stride=1)
        self.layers, self.operations = layers, operations
        count = layers * operations
        self.hidden = nn.Conv2d(channels, 2 * count, 1)
        self.out = nn.Conv2d(2 * count, count, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, layers, operations, 1, 1)``, or with one weight per pixel for a local window."""
        scores = self.out(torch.relu(self.hidden(self.mean(x))))
        return scores.unflatten(1, (self.layers, self.operations)).softmax(2)


class _Group(nn.Module):
    """Operation layers with a common attention."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1, bias=False)
        built = [_OperationLayer(channels) for _ in range(layers)]
        self.layers = nn.ModuleList(built)
        self.attention = _OperationAttention(channels, layers, len(built[0].operations))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.attention(x)
        x = torch.relu(self.enter(x))
        for i, layer in enumerate(self.layers):
            x = torch.relu(x + layer(x, weights[:, i]))
        return x


@BACKBONES.register_module()
class OWAN(BaseBackbone):
    """Operation-wise attention network without its last convolution, which is in the head.

    Suganuma, Liu, Okatani, "Attention-based Adaptive Selection of Operations for Image Restoration in the Presence of
    Unknown Combined Distortions" (CVPR 2019), with the layers of the authors' code. A layer computes in
    parallel separable convolutions of 1, 3, 5 and 7 pixels, dilated ones of 3, 5 and 7 pixels and 3x3 average pooling.
    A small network per group computes their weights from the channel means of the group's input. The head is
    ``PictureHead(activation=False)``, since the network predicts the picture, not a residual.

    Args:
        channels: channels of all features.
        groups: number of groups.
        layers: operation layers per group.
        blocks: residual blocks before the groups.

    Taps: ``enter`` (after the blocks), ``group1`` .. ``groupN``.

    Raises:
        ConfigError: a number below 1.
    """

    def __init__(self, channels: Width = 16, groups: Count = 10, layers: Depth = 4, blocks: Count = 4) -> None:
        super().__init__()
        for name, value in (('channels', channels), ('groups', groups), ('layers', layers), ('blocks', blocks)):
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f'OWAN: {name} is {value!r}; it must be a whole number from 1')
        self.first = nn.Conv2d(3, channels, 3, 1, 1, bias=False)
        self.blocks = nn.Sequential(*(_DepthwiseBlock(channels) for _ in range(blocks)))
        self.groups = nn.ModuleList(_Group(channels, layers) for _ in range(groups))
        self.tap_channels = {'enter': channels, **{f'group{i + 1}': channels for i in range(groups)}}
        self.out_channels = channels
        self.out_stride = 1
        reach = 1 + 2 * blocks + REACH * layers * groups
        self.needs = Needs(stride=1, min_size=1, in_channels=3, value_range=(0.0, 1.0), receptive_field=2 * reach + 1)

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = self.blocks(self.first(x))
        if kept.last('enter', x):
            return kept.features
        for i, group in enumerate(self.groups):
            x = group(x)
            if kept.last(f'group{i + 1}', x):
                return kept.features
        return kept.end(x)
