"""Transmission estimator of heavy rain: the U-Net of Li, Cheong and Tan (CVPR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.double_unet import STRIDE, DoubleUNet
from restorebox.registry import BACKBONES
from restorebox.values import Width


@BACKBONES.register_module()
class TransUNet(BaseBackbone):
    """U-Net from low frequencies to transmission T.

    ::

        x -> mix (1x1) -> DoubleUNet -> 1x1, ReLU, at most 1

    Args:
        in_channels: input channels, see :class:`Decomposition <restorebox.layers.guided_filter.Decomposition>`.
        base_width: channels of the first level, 64 in the paper.
        clamp: limit T to 1, with the gradient of the unclamped value; False as in the authors' code.

    Taps: ``down1`` .. ``down5``, ``up4`` .. ``up1``. ``'out'`` is T, one channel.
    """

    def __init__(self, in_channels: Width = 33, base_width: Width = 64, clamp: bool = True) -> None:
        super().__init__()
        self.mix = nn.Conv2d(in_channels, in_channels, 1)
        self.body = DoubleUNet(in_channels, base_width)
        self.leave = nn.Conv2d(base_width, 1, 1)
        assert self.leave.bias is not None
        nn.init.constant_(self.leave.bias, 0.5)  # a ReLU with only negative inputs gets no gradient
        self.clamp = clamp
        self.tap_channels = self.body.tap_channels
        self.out_channels = 1
        self.out_stride = 1
        self.needs = Needs(STRIDE, STRIDE, in_channels, (0.0, 1.0), self.field(1))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        return self.body.field(run)

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = self.body(self.mix(x), kept)
        if x is None:
            return kept.features
        t = torch.relu(self.leave(x))
        # values above 1 keep their gradient
        return kept.end(t - (t - 1).clamp(min=0).detach() if self.clamp else t)
