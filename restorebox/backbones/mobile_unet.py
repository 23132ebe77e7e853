"""Light U-Net of inverted residual blocks that refines the output of the physics inversion.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (CVPR 2018). It
replaces :class:`RefUNet`, as proposed in the replication report of heavy rain, and can be distilled from it.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import Needs
from restorebox.backbones.conditioned_unet import ConditionedUNet
from restorebox.errors import ConfigError
from restorebox.layers.initialise import he_init
from restorebox.registry import BACKBONES
from restorebox.values import Count, Widths

EXPANSION = 3


class InvertedResidual(nn.Module):
    """Inverted residual block without norm: x + 1x1(3x3 depthwise(1x1(x))).

    Args:
        channels: C; the depthwise convolution has ``EXPANSION`` times as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = EXPANSION * channels
        self.enter = nn.Conv2d(channels, wide, 1)
        self.look = nn.Conv2d(wide, wide, 3, 1, 1, groups=wide)
        self.leave = nn.Conv2d(wide, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return x + self.leave(F.relu6(self.look(F.relu6(self.enter(x)))))


@BACKBONES.register_module()
class MobileUNet(ConditionedUNet):
    """U-Net from J0, depth and airlight to features of a clean picture, with 1/40 of :class:`RefUNet`'s operations.

    ::

        x, A as planes -> 3x3 -> blocks -> halve -> blocks -> ... -> double, plus the skip -> blocks -> 'out'

    Args:
        widths: channels per level, the first at full resolution.
        blocks: inverted residual blocks per level, in the encoder and again in the decoder.

    Given: ``airlight`` ``(N, 3, 1, 1)`` in [0, 1].

    Taps: ``down1`` .. (levels of the encoder, the last is the deepest).

    Raises:
        ConfigError: fewer than two levels.
    """

    def __init__(self, widths: Widths = (16, 32, 64, 96), blocks: Count = 2) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ConfigError(f'MobileUNet: widths is {widths!r}; it must name two levels or more')
        levels = len(widths) - 1
        row = lambda width: nn.Sequential(*(InvertedResidual(width) for _ in range(blocks)))  # noqa: E731
        self.enter = nn.Conv2d(4 + 3, widths[0], 3, 1, 1)
        self.down = nn.ModuleList(row(width) for width in widths)
        self.halve = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, 2) for i in range(levels))
        self.enlarge = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in range(levels))
        self.up = nn.ModuleList(row(widths[i]) for i in range(levels))
        he_init(self)
        for block in self.modules():
            if isinstance(block, InvertedResidual):  # an untrained block is the identity
                nn.init.zeros_(block.leave.weight)
        self.levels, self.blocks = levels, blocks
        self.tap_channels = {f'down{i + 1}': width for i, width in enumerate(widths)}
        self.out_channels = widths[0]
        self.out_stride = 1
        self.needs = Needs(2**levels, 2**levels, 4, (0.0, 1.0), self.field(1))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`: the longest path goes through the deepest level."""
        row = 2 * self.blocks
        for _ in range(self.levels):
            run = -(-(run + row + 1) // 2)  # pixels at half the size, worst-case alignment
        run += 2 * row
        for _ in range(self.levels - 1):
            run = 2 * run + row
        return 2 * run + row + 2

    def join(self, i: int, x: Tensor, skip: Tensor) -> Tensor:
        """Upsample by 2 and add the skip connection."""
        return F.pixel_shuffle(self.enlarge[i](x), 2) + skip
