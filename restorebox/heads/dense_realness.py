"""Head of a discriminator with one logit per picture."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.heads.base import BaseHead
from restorebox.registry import HEADS
from restorebox.values import Count, Pixels, Width


@HEADS.register_module()
class DenseRealnessHead(BaseHead):
    """Two fully connected layers without activation between them, to one logit per picture; no sigmoid.

    Li, Cheong and Tan (CVPR 2019), after Qian et al. (CVPR 2018). Features of another size are reduced
    to ``side`` by adaptive average pooling, so that crops of other sizes than 256x256 can be used.

    Args:
        in_channels: channels of the backbone's last feature.
        scale: unused; the network passes it to every head.
        side: height and width of the pooled feature map, 16 in the paper.
        width: units of the hidden layer, 1024 in the paper.
    """

    output = 'realness'

    def __init__(self, in_channels: Width, scale: Count = 1, side: Pixels = 16, width: Width = 1024) -> None:
        super().__init__()
        self.side = side
        self.hidden = nn.Linear(in_channels * side**2, width)
        self.logit = nn.Linear(width, 1)

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return logits ``(N, 1)`` of the ``(N, C, h, w)`` feature ``'out'``."""
        y = F.adaptive_avg_pool2d(features['out'], self.side)
        return self.logit(self.hidden(y.flatten(1)))
