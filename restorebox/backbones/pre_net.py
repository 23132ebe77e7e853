"""PReNet: Ren et al., "Progressive Image Deraining Networks: A Better and Simpler Baseline" (CVPR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.layers.initialise import he_init
from restorebox.registry import BACKBONES
from restorebox.values import Count, Depth, ValueRange, Width


@BACKBONES.register_module()
class PReNet(BaseBackbone):
    """One small network applied repeatedly to the picture and its own last result, with an LSTM between the stages.

    ::

        (picture, result) -> conv, ReLU -> LSTM -> residual blocks -> conv -> + picture -> result
                   ^                       |  ^                                              |
                   |                       +--+ (next stage)                                 |
                   +---------------------------------------------------------------- ... ----+

    The output is the result of the last stage, a picture; its head is ``dict(type='IdentityHead', output='picture')``.
    With the defaults it has 168,963 parameters as the authors' code, whose layers these are. The paper trains it with
    the negative SSIM of the last stage.

    Args:
        width: channels of all features.
        stages: number of passes.
        blocks: residual blocks of a pass.
        in_channels: channels of the picture.
        value_range: (lowest, highest) value of the picture.

    Taps: ``stage1`` .. (the results).
    """

    def __init__(
        self,
        width: Width = 32,
        stages: Count = 6,
        blocks: Depth = 5,
        in_channels: Width = 3,
        value_range: ValueRange = (0.0, 1.0),
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(2 * in_channels, width, 3, 1, 1)
        self.gates = nn.Conv2d(2 * width, 4 * width, 3, 1, 1)  # input, forget, output, candidate
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU())
            for _ in range(blocks)
        )
        self.leave = nn.Conv2d(width, in_channels, 3, 1, 1)
        he_init(self)
        self.tap_channels = {f'stage{i + 1}': in_channels for i in range(stages)}
        self.out_channels = in_channels
        self.out_stride = 1
        self.needs = Needs(
            stride=1,
            min_size=1,
            in_channels=in_channels,
            value_range=(value_range[0], value_range[1]),
            # each pass has 3 + 2 * blocks convolutions, and reads the result of the one before it
            receptive_field=1 + stages * 2 * (3 + 2 * blocks),
        )

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        result, hidden, cell = x, None, None
        for name in self.tap_names:
            y = torch.relu(self.enter(torch.cat((x, result), 1)))
            hidden, cell = self._lstm(y, hidden, cell)
            y = hidden
            for block in self.blocks:
                y = torch.relu(block(y) + y)
            result = self.leave(y) + x
            if kept.last(name, result):
                return kept.features
        return kept.end(result)

    def _lstm(self, x: Tensor, hidden: Tensor | None, cell: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map features and the state, ``(N, width, H, W)`` each (None: zeros), to the new hidden and cell state."""
        read = torch.cat((x, torch.zeros_like(x) if hidden is None else hidden), 1)
        gates, candidate = self.gates(read).tensor_split((3 * x.shape[1],), 1)
        enter, forget, leave = torch.sigmoid(gates).chunk(3, 1)
        new = enter * torch.tanh(candidate)
        cell = new if cell is None else forget * cell + new
        return leave * torch.tanh(cell), cell
