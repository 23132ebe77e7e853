"""Prompts: learned maps, mixed according to the features, that tell a network which degradation it faces.

Potlapalli, Zamir, Khan and Khan, "PromptIR: Prompting for All-in-One Image Restoration" (NeurIPS 2023), section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.layers.statistics import LocalStatistics
from restorebox.layers.transposed_attention import TransformerBlock


class PromptGenerator(LocalStatistics):
    """PGM: prompts, weighted by the softmax of a linear function of the features' means, then a 3x3 convolution.

    A prompt with more than one pixel is stretched over the picture, so its result depends on the position in the
    picture or tile.

    Args:
        channels: of the features.
        width: channels of a prompt.
        count: number of prompts.
        size: height and width of a prompt in pixels.
        stride: see :class:`LocalStatistics <restorebox.layers.statistics.LocalStatistics>`.
    """

    def __init__(self, channels: int, width: int, count: int, size: int, stride: int) -> None:
        super().__init__(stride)
        self.prompts = nn.Parameter(torch.rand(count, width, size, size))
        self.choose = nn.Conv2d(channels, count, 1)
        self.conv = nn.Conv2d(width, width, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(N, channels, H, W)`` -> ``(N, width, H, W)``."""
        share = self.choose(self.mean(x)).softmax(1)
        prompts = self.prompts.to(share.dtype)
        size = x.shape[-2:]
        if share.shape[-1] * share.shape[-2] == 1:  # mixed before they are stretched, which costs less
            mixed = torch.einsum('nphw,pcij->ncij', share, prompts)
            return self.conv(F.interpolate(mixed, size, mode='bilinear'))
        stretched = F.interpolate(prompts, size, mode='bilinear') if prompts.shape[-1] > 1 else prompts
        if stretched.shape[-1] == 1:
            return self.conv(F.conv2d(share, stretched[..., 0, 0].t()[..., None, None]))
        return self.conv(torch.einsum('nphw,pchw->nchw', share, stretched))


class PromptBlock(nn.Module):
    """PIM: a prompt joined to the features, a block of Restormer on both, and a 1x1 convolution.

    Args:
        channels: C, of the features.
        out: channels of the result.
        width: channels of a prompt.
        count: number of prompts.
        size: height and width of a prompt in pixels.
        stride: see :class:`LocalStatistics <restorebox.layers.statistics.LocalStatistics>`.
        heads: attention heads of the block; ``channels + width`` must be a multiple.
        residual: add the result, zero at first, to the features; ``out`` is then C.
        expansion: see :class:`TransformerBlock <restorebox.layers.transposed_attention.TransformerBlock>`.
        bias: see there.
        centred: see there.
    """

    reach = TransformerBlock.reach

    def __init__(
        self,
        channels: int,
        out: int,
        width: int,
        count: int,
        size: int,
        stride: int,
        heads: int,
        residual: bool = False,
        expansion: float = 2.66,
        bias: bool = False,
        centred: bool = True,
    ) -> None:
        super().__init__()
        self.generate = PromptGenerator(channels, width, count, size, stride)
        self.block = TransformerBlock(channels + width, heads, stride, expansion, bias, centred)
        self.leave = nn.Conv2d(channels + width, out, 1, bias=bias)
        self.residual = residual
        if residual:
            nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` -> ``(N, out, H, W)``."""
        y = self.leave(self.block(torch.cat((x, self.generate(x)), 1)))
        return x + y if self.residual else y

    def after(self, module: nn.Module, args: object, x: Tensor) -> Tensor:
        """Forward hook: replaces the output ``x`` of ``module``."""
        return self(x)
