"""U-Net of window attention that refines the output of the physics inversion.

Wang, Cun, Bao, Zhou, Liu, Li, "Uformer: A General U-Shaped Transformer for Image Restoration" (CVPR 2022): windows are
not shifted; a depthwise convolution in each feed-forward network connects adjacent windows. It replaces
:class:`RefUNet`, as proposed in the replication report of heavy rain.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import Needs
from restorebox.backbones.conditioned_unet import ConditionedUNet
from restorebox.errors import ConfigError
from restorebox.registry import BACKBONES
from restorebox.values import Count, Levels, Width

WINDOW = 8  # side of a window in pixels of the current level


class _Norm(nn.Module):
    """Layer norm over the channels of a feature map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _WindowAttention(nn.Module):
    """Multi-head attention within each window, with a learnt relative position bias."""

    offset: Tensor

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.leave = nn.Conv2d(channels, channels, 1)
        side = 2 * WINDOW - 1
        self.bias = nn.Parameter(torch.zeros(heads, side * side))
        at = torch.cartesian_prod(torch.arange(WINDOW, device='cpu'), torch.arange(WINDOW, device='cpu'))
        offset = at[:, None] - at + WINDOW - 1
        self.register_buffer('offset', offset[..., 0] * side + offset[..., 1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        rows, columns = height // WINDOW, width // WINDOW
        parts = self.qkv(x).view(n, 3, self.heads, c // self.heads, rows, WINDOW, columns, WINDOW)
        # (3, n x windows, heads, pixels, channels of a head)
        q, k, v = parts.permute(1, 0, 4, 6, 2, 5, 7, 3).reshape(3, -1, self.heads, WINDOW**2, c // self.heads)
        bias = self.bias[:, self.offset.to(x.device)].to(q.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        y = y.view(n, rows, columns, self.heads, WINDOW, WINDOW, -1).permute(0, 3, 6, 1, 4, 2, 5)
        return self.leave(y.reshape(n, c, height, width))


class _Block(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attend = nn.Sequential(_Norm(channels), _WindowAttention(channels, heads))
        wide = 2 * channels
        self.feed = nn.Sequential(
            *(_Norm(channels), nn.Conv2d(channels, wide, 1), nn.GELU()),
            *(nn.Conv2d(wide, wide, 3, 1, 1, groups=wide), nn.GELU(), nn.Conv2d(wide, channels, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(x)
        return x + self.feed(x)


@BACKBONES.register_module()
class WindowUNet(ConditionedUNet):
    """U-Net from J0, depth and airlight to features of a clean picture.

    ::

        x, A as planes -> 3x3 -> blocks -> halve -> blocks -> ... -> double, 1x1 with the skip -> blocks -> 'out'

    Args:
        base_width: channels of the first level, doubled at each level; a multiple of 16 (channels per head).
        levels: number of downsamplings by 2.
        blocks: attention blocks per level, in the encoder and again in the decoder.

    Given: ``airlight`` ``(N, 3, 1, 1)`` in [0, 1].

    Taps: ``down1`` .. (levels of the encoder, the last is the deepest), ``upN`` .. ``up1``.

    Raises:
        ConfigError: ``base_width`` is not a multiple of 16, or no level.
    """

    def __init__(self, base_width: Width = 32, levels: Levels = 3, blocks: Count = 2) -> None:
        super().__init__()
        if base_width < 16 or base_width % 16 or levels < 1:
            raise ConfigError(
                f'WindowUNet: base_width is {base_width} and levels {levels}; they must be a multiple of 16, and from 1'
            )
        widths = [base_width * 2**i for i in range(levels + 1)]
        stage = lambda width: nn.Sequential(*(_Block(width, width // 16) for _ in range(blocks)))  # noqa: E731
        self.enter = nn.Conv2d(4 + 3, base_width, 3, 1, 1)
        self.down = nn.ModuleList(stage(width) for width in widths)
        self.halve = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, 2) for i in range(levels))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2) for i in range(levels))
        self.merge = nn.ModuleList(nn.Conv2d(2 * widths[i], widths[i], 1) for i in range(levels))
        self.up = nn.ModuleList(stage(widths[i]) for i in range(levels))
        self.levels, self.blocks = levels, blocks
        self.tap_channels = {f'down{i + 1}': width for i, width in enumerate(widths)}
        self.tap_channels.update({f'up{i + 1}': widths[i] for i in reversed(range(levels))})
        self.out_channels = base_width
        self.out_stride = 1
        stride = WINDOW * 2**levels
        self.needs = Needs(stride, stride, 4, (0.0, 1.0), self.field(1))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`: a block covers whole windows and one pixel more on each side."""
        stage = self.blocks * (2 * (WINDOW - 1) + 2)
        for _ in range(self.levels):
            run = (run + stage) // 2 + 1
        run += stage
        for _ in range(self.levels):
            run = 2 * run + stage
        return run + 2

    def join(self, i: int, x: Tensor, skip: Tensor) -> Tensor:
        """Upsample by 2 and merge with the skip connection by a 1x1 convolution."""
        return self.merge[i](torch.cat((skip, self.enlarge[i](x)), 1))
