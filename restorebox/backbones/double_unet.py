"""U-Net with two 3x3 convolutions per level and without normalisation.

Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image segmentation" (MICCAI 2015), as used
by Li, Cheong and Tan (CVPR 2019) for transmission and refinement.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import Collector
from restorebox.layers.initialise import he_init
from restorebox.layers.row_bands import in_bands

STRIDE = 16  # four times downsampling by 2


def _double(in_channels: int, width: int) -> nn.Sequential:
    relu = nn.ReLU(inplace=True)
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, 1, 1), relu, nn.Conv2d(width, width, 3, 1, 1), relu)


class DoubleUNet(nn.Module):
    """Four levels of max pooling and four of bilinear upsampling; the body of TransUNet and RefUNet.

    ::

        x -> down1 -> down2 -> down3 -> down4 -> down5     widths w, 2w, 4w, 8w, 8w
              |        |        |        |         |
              |        |        |        +- up4 <--+-- extra channels
              +- up1 <-+- up2 <-+- up3             widths 4w, 2w, w, w

    Args:
        in_channels: channels of the input.
        base_width: channels w of the first level.
        extra: channels concatenated to the innermost feature.
    """

    def __init__(self, in_channels: int, base_width: int, extra: int = 0) -> None:
        super().__init__()
        w = base_width
        down, up = (in_channels, w, 2 * w, 4 * w, 8 * w, 8 * w), (4 * w, 2 * w, w, w)
        self.down = nn.ModuleList(_double(down[i], down[i + 1]) for i in range(5))
        inner = (16 * w + extra, 8 * w, 4 * w, 2 * w)
        self.up = nn.ModuleList(_double(inner[i], up[i]) for i in range(4))
        self.tap_channels = {f'down{i}': down[i] for i in range(1, 6)}
        self.tap_channels.update({f'up{4 - i}': up[i] for i in range(4)})
        self.out_channels = w
        he_init(self)

    @staticmethod
    def field(run: int) -> int:
        """Return the side of the receptive field of ``run`` x ``run`` pixels of the last feature."""
        for _ in range(4):  # n upsampled pixels depend on at most n // 2 + 2
            run = (run + 4) // 2 + 2
        for _ in range(4):
            run = 2 * (run + 4)
        return run + 4

    def forward(self, x: Tensor, kept: Collector, extra: Tensor | None = None) -> Tensor | None:
        """Compute the last feature.

        Args:
            x: ``(N, in_channels, H, W)``, H and W multiples of 16.
            kept: collector of the taps.
            extra: ``(N, extra, H / 16, W / 16)``.

        Returns:
            ``(N, w, H, W)``, or None if the pass stopped at a tap.
        """
        skips = []
        for i, block in enumerate(self.down):
            x = in_bands(block, (F.max_pool2d(x, 2) if i else x,), reach=2)
            if kept.last(f'down{i + 1}', x):
                return None
            skips.append(x)
        skips.pop()
        if extra is not None:
            x = torch.cat((x, extra), 1)
        for i, block in enumerate(self.up):
            x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)
            x = in_bands(lambda a, b, block=block: block(torch.cat((a, b), 1)), (skips.pop(), x), reach=2)
            if kept.last(f'up{4 - i}', x):
                return None
        return x
