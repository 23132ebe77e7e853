"""Heads of diffusion models: features -> estimate of noise or clean picture."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.layers.diffusion_blocks import NoiseReadout
from restorebox.registry import HEADS
from restorebox.values import Count, Width


def _check_scale(scale: int, owner: str) -> None:
    if scale != 1:
        raise ConfigError(f'{owner}: scale is {scale}; it must be 1 (features at full resolution)')


@HEADS.register_module()
class NoiseHead(BaseHead):
    """GroupNorm, SiLU and 3x3 convolution: the last layers of the U-Net of Ho et al. (NeurIPS 2020).

    Args:
        in_channels: channels of the backbone's last feature.
        scale: input pixels per pixel of that feature: 1.
        out_channels: channels of the estimate.

    Raises:
        ConfigError: ``scale`` is not 1.
    """

    output = 'estimate'
    reach = 3

    def __init__(self, in_channels: Width, scale: Count, out_channels: Width = 3) -> None:
        super().__init__()
        _check_scale(scale, 'NoiseHead')
        self.readout = NoiseReadout(in_channels, out_channels)

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)``, unbounded."""
        return self.readout(features['out'])


@HEADS.register_module()
class IdentityHead(BaseHead):
    """Returns the backbone's last feature, which is already the estimate (:class:`MultiScaleNoise`) or the picture.

    Args:
        in_channels: channels of the backbone's last feature, and of the output.
        scale: input pixels per pixel of that feature: 1.
        output: name of the output: ``'estimate'`` (of noise, for diffusion models) or ``'picture'``.

    Raises:
        ConfigError: ``scale`` is not 1.
    """

    def __init__(self, in_channels: Width, scale: Count, output: Literal['estimate', 'picture'] = 'estimate') -> None:
        super().__init__()
        _check_scale(scale, 'IdentityHead')
        self.output = output

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return the feature ``'out'``, ``(N, in_channels, H, W)``, unchanged."""
        return features['out']
