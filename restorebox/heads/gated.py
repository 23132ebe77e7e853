"""Head that applies a restoration in part, with gates that the backbone estimates."""

from __future__ import annotations

from typing import cast

from torch import Tensor
from torch.nn import functional as F

from restorebox.backbones.scene_gated import CELL
from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.registry import HEADS
from restorebox.values import Count, Width


@HEADS.register_module()
class GatedHead(BaseHead):
    """Scale low and high frequencies of the change that another head makes.

    ::

        change = inner(features, x) - x
        low    = means of cells of 16x16 pixels, interpolated bilinearly
        result = x + g_low low + g_high (change - low)

    g_low and g_high are the tap ``gates`` of :class:`SceneGated <restorebox.backbones.scene_gated.SceneGated>`. A veil
    changes low frequencies, streaks, noise and blur high ones.

    Args:
        inner: config of the head; its output is a picture of the input's shape.
        in_channels: channels of the backbone's last feature.
        scale: input pixels per pixel of that feature.

    Raises:
        ConfigError: the inner head's output is not ``'picture'``.
    """

    output = 'picture'

    def __init__(self, inner: dict, in_channels: Width, scale: Count) -> None:
        super().__init__()
        self.inner = cast(BaseHead, HEADS.build({'in_channels': in_channels, 'scale': scale, **inner}))
        if self.inner.output != 'picture':
            raise ConfigError(f"GatedHead: the inner head's output is '{self.inner.output}'; it must be 'picture'")
        self.taps = ('gates', *self.inner.taps)
        self.residual_channels = self.inner.residual_channels
        # a pixel depends on two cells along each axis
        self.reach = self.inner.reach + -(-2 * CELL // scale)

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return ``(N, 3, H, W)``; H and W must be multiples of 16."""
        change = self.inner(features, x) - x
        low = F.interpolate(F.avg_pool2d(change, CELL), scale_factor=CELL, mode='bilinear', align_corners=False)
        gates = features['gates']
        if gates.shape[-1] > 1:  # local ones
            gates = F.interpolate(gates, size=x.shape[-2:], mode='bilinear', align_corners=False)
        of_low, of_high = gates.chunk(2, 1)
        return x + of_low * low + of_high * (change - low)
