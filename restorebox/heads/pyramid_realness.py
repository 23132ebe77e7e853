"""Head of a multi-scale discriminator: one logit per patch, from features pooled at several scales."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import normal_init
from restorebox.registry import HEADS
from restorebox.values import Count, Counts, Width


@HEADS.register_module()
class PyramidRealnessHead(BaseHead):
    """Average pooling to several grids, a 1x1 convolution of each, and a 4x4 convolution of all to one logit per patch.

    After the multi-scale discriminator of Zhang, Sindagi and Patel, "Image de-raining using a conditional generative
    adversarial network" (ID-CGAN, TCSVT 2020), in whose place :class:`RealnessHead` sees one scale. The grids are ours.

    Args:
        in_channels: channels of the backbone's last feature.
        scale: unused; the network passes it to every head.
        grids: sides of the pooled maps; a grid larger than the feature map is the feature map.
        width: channels of each pooled map.
    """

    output = 'realness'

    def __init__(self, in_channels: Width, scale: Count = 1, grids: Counts = (1, 2, 4, 8), width: Width = 16) -> None:
        super().__init__()
        self.grids = tuple(grids)
        self.levels = nn.ModuleList(nn.Conv2d(in_channels, width, 1) for _ in self.grids)
        self.conv = nn.Conv2d(in_channels + width * len(self.grids), 1, 4, 1, 1)
        normal_init(self)

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return logits ``(N, 1, h - 1, w - 1)`` of the ``(N, C, h, w)`` feature ``'out'``."""
        y = features['out']
        height, width = y.shape[-2:]
        parts = [y]
        for grid, level in zip(self.grids, self.levels, strict=True):
            pooled = F.adaptive_avg_pool2d(y, (min(grid, height), min(grid, width)))
            parts.append(F.interpolate(F.leaky_relu(level(pooled), 0.2), (height, width)))
        return self.conv(torch.cat(parts, 1))
