"""Head of a patch discriminator: one logit per patch."""

from __future__ import annotations

from torch import Tensor, nn

from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import normal_init
from restorebox.registry import HEADS
from restorebox.values import Count, Width


@HEADS.register_module()
class RealnessHead(BaseHead):
    """The last layer of a patch discriminator: a 4x4 convolution to one logit per patch, no sigmoid.

    Isola et al., "Image-to-image translation with conditional adversarial networks" (CVPR 2017).

    Args:
        in_channels: channels of the backbone's last feature.
        scale: unused; the network passes it to every head.
    """

    output = 'realness'
    reach = 4

    def __init__(self, in_channels: Width, scale: Count = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 1, 4, 1, 1)
        normal_init(self)

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return logits ``(N, 1, h - 1, w - 1)`` of the ``(N, C, h, w)`` feature ``'out'``."""
        return self.conv(features['out'])
