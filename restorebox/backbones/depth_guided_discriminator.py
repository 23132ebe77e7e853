"""Depth-guided discriminator of heavy rain: Li, Cheong and Tan (CVPR 2019).

After Qian, Tan, Yang, Su, Liu, "Attentive generative adversarial network for raindrop removal" (CVPR 2018), whose
discriminator learns an attention map in the same way.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.registry import BACKBONES
from restorebox.values import Width


@BACKBONES.register_module()
class DepthGuidedDiscriminator(BaseBackbone):
    """Degraded picture and candidate -> features for a realness head, weighted by an estimated depth map.

    ::

        x -> six 5x5 convolutions at full size -> F ---------------> F * depth -> two 5x5 of stride 4 -> 'out'
             8, 16, 64, 128, 128, 128             \\-> 5x5 = depth --^            64, 32

    The head computes the logit. The map is trained to be 0 for a real pair and the veil for a generated one.

    Args:
        in_channels: channels of the input; 6 for a picture and its condition.
        base_width: channels of the first convolution, 8 in the paper; the others scale with it.

    Taps: ``depth``, one channel at full size without activation.
    """

    def __init__(self, in_channels: Width = 6, base_width: Width = 8) -> None:
        super().__init__()
        w = base_width
        widths = (in_channels, w, 2 * w, 8 * w, 16 * w, 16 * w, 16 * w)
        self.look = nn.Sequential()
        for before, after in pairwise(widths):
            self.look.extend([nn.Conv2d(before, after, 5, 1, 2), nn.ReLU()])
        self.depth = nn.Conv2d(16 * w, 1, 5, 1, 2)
        self.judge = nn.Sequential(
            nn.Conv2d(16 * w, 8 * w, 5, 4, 1), nn.ReLU(), nn.Conv2d(8 * w, 4 * w, 5, 4, 1), nn.ReLU()
        )
        self.tap_channels = {'depth': 1}
        self.out_channels = 4 * w
        self.out_stride = 16
        self.needs = Needs(1, 16, in_channels, (0.0, 1.0), self.field(1))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        for _ in range(2):
            run = 4 * run + 1
        return run + 7 * 4

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = self.look(x)
        depth = self.depth(x)
        if kept.last('depth', depth):
            return kept.features
        return kept.end(self.judge(x * depth))
