"""Modules of other deraining papers as alternatives to the information-accumulation module (Kang et al., Fig 14).

The figure names them without layers. Each is the core of its paper, at a width of similar cost. All concatenate the
input with their output, as the information-accumulation module does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.layers.information_accumulation import BaseStem
from restorebox.layers.statistics import LocalStatistics, local_mean
from restorebox.registry import STEMS
from restorebox.values import Count, Width


class ContextGate(LocalStatistics):
    """Squeeze and excitation (Hu et al., CVPR 2018) over a local window at test.

    Args:
        channels: C.
        stride: see :class:`LocalStatistics`.
        reduction: channels of the hidden layer are C / reduction.
    """

    def __init__(self, channels: int, stride: int, reduction: int = 4) -> None:
        super().__init__(stride)
        inner = max(channels // reduction, 1)
        self.gate = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.ReLU(), nn.Conv2d(inner, channels, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Multiply ``(N, C, H, W)`` by a gate in (0, 1) per channel."""
        window = self.local_window(x)
        mean = x.mean((-2, -1), keepdim=True)
        if window is not None:
            mean = mean + local_mean(x - mean, window)
        return x * self.gate(mean)


@STEMS.register_module()
class ContextualDilated(BaseStem):
    """Parallel paths of two 3x3 convolutions with dilation 1, 2 and 3, summed as a residual, several times.

    Yang et al., "Deep joint rain detection and removal from a single image" (JORDER, CVPR 2017).

    Args:
        in_channels: see :class:`BaseStem`.
        stride: see :class:`BaseStem`.
        steps: number of repetitions, each with its own weights.
        width: channels of the hidden layers.
    """

    def __init__(self, in_channels: Width, stride: Count = 1, steps: Count = 3, width: Width = 24) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, width, 3, 1, 1)
        self.steps = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(nn.Conv2d(width, width, 3, 1, d, d), nn.ReLU(), nn.Conv2d(width, width, 3, 1, d, d))
                for d in (1, 2, 3)
            )
            for _ in range(steps)
        )
        self.out_channels = in_channels + width
        self.reach = 3 + 12 * steps

    def forward(self, x: Tensor) -> Tensor:
        """See :class:`BaseStem`."""
        y = torch.relu(self.first(x))
        for paths in self.steps:
            assert isinstance(paths, nn.ModuleList)
            y = torch.relu(y + sum(path(y) for path in paths))
        return torch.cat((x, y), 1)


@STEMS.register_module()
class ContextAggregation(BaseStem):
    """SCAN: 3x3 convolutions of dilation 1, 2, 4, 8, each with squeeze and excitation.

    Li et al., "Recurrent squeeze-and-excitation context aggregation net for single image deraining" (ECCV 2018).

    Args:
        in_channels: see :class:`BaseStem`.
        stride: see :class:`BaseStem`.
        width: channels of the hidden layers.
    """

    def __init__(self, in_channels: Width, stride: Count = 1, width: Width = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, dilation in enumerate((1, 2, 4, 8)):
            layers += [nn.Conv2d(in_channels if i == 0 else width, width, 3, 1, dilation, dilation), nn.LeakyReLU(0.2)]
            layers.append(ContextGate(width, stride))
        self.body = nn.Sequential(*layers)
        self.out_channels = in_channels + width
        self.reach = 1 + 2 * (1 + 2 + 4 + 8)

    def forward(self, x: Tensor) -> Tensor:
        """See :class:`BaseStem`."""
        return torch.cat((x, self.body(x)), 1)


@STEMS.register_module()
class RecursiveStem(BaseStem):
    """One residual block, applied repeatedly with the same weights.

    Tai et al., "Image super-resolution via deep recursive residual network" (CVPR 2017).

    Args:
        in_channels: see :class:`BaseStem`.
        stride: see :class:`BaseStem`.
        times: number of repetitions.
        width: channels of the hidden layers.
    """

    def __init__(self, in_channels: Width, stride: Count = 1, times: Count = 6, width: Width = 32) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, width, 3, 1, 1)
        self.block = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1)
        )
        self.times = times
        self.out_channels = in_channels + width
        self.reach = 3 + 4 * times

    def forward(self, x: Tensor) -> Tensor:
        """See :class:`BaseStem`."""
        first = y = self.first(x)
        for _ in range(self.times):
            y = first + self.block(y)
        return torch.cat((x, y), 1)


@STEMS.register_module()
class AttentiveRecurrent(BaseStem):
    """A convolutional LSTM that estimates an attention map in several iterations on the same picture.

    Qian et al., "Attentive generative adversarial network for raindrop removal from a single image" (CVPR 2018).

    Args:
        in_channels: see :class:`BaseStem`.
        stride: see :class:`BaseStem`.
        times: number of iterations.
        width: channels of the hidden layers.
    """

    def __init__(self, in_channels: Width, stride: Count = 1, times: Count = 4, width: Width = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels + 1, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()
        )
        self.gates = nn.Conv2d(2 * width, 4 * width, 3, 1, 1)
        self.attention = nn.Sequential(nn.Conv2d(width, 1, 3, 1, 1), nn.Sigmoid())
        self.times = times
        self.width = width
        self.out_channels = in_channels + width + 1
        self.reach = 1 + 8 * times

    def forward(self, x: Tensor) -> Tensor:
        """See :class:`BaseStem`."""
        count, _, height, width = x.shape
        attention = x.new_full((count, 1, height, width), 0.5)
        state = cell = x.new_zeros((count, self.width, height, width))
        for _ in range(self.times):
            read = self.body(torch.cat((x, attention), 1))
            enter, forget, leave, new = self.gates(torch.cat((read, state), 1)).chunk(4, 1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
            state = torch.sigmoid(leave) * torch.tanh(cell)
            attention = self.attention(state)
        return torch.cat((x, state, attention), 1)
