"""DnCNN, the denoising baseline of restoration papers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.statistics import make_norm
from restorebox.registry import BACKBONES
from restorebox.values import Depth, Width


@BACKBONES.register_module()
class DnCNN(BaseBackbone):
    """DnCNN without its last convolution and the ReLU before it; these are in the head.

    Zhang et al., "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising" (TIP 2017). The first
    layer is a 3x3 convolution; each of the ``layers - 2`` that follow is ReLU, 3x3 convolution, norm. A
    ``PictureHead(residual=True)`` is the last layer and adds the input. The paper uses 17 layers for grey pictures
    with a known noise level, and 20 for unknown levels and colour; the default is 20 for hybrid distortions.

    Args:
        layers: number of convolutions including the head's, at least 3.
        width: channels of the hidden layers.
        norm: ``'batch'`` as in the paper, ``'instance'`` or None.

    Taps: ``conv1`` .. ``convN``, N being ``layers - 1``.

    Raises:
        ConfigError: fewer than 3 layers, or an unknown norm.
    """

    def __init__(self, layers: Depth = 20, width: Width = 64, norm: str | None = 'batch') -> None:
        super().__init__()
        if not isinstance(layers, int) or layers < 3:
            raise ConfigError(f'DnCNN: layers is {layers!r}; it must be a whole number from 3')
        self.first = nn.Conv2d(3, width, 3, 1, 1)
        self.rest = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=norm is None), make_norm(norm, width, 1))
            for _ in range(layers - 2)
        )
        self.tap_channels = {f'conv{i + 1}': width for i in range(layers - 1)}
        self.out_channels = width
        self.out_stride = 1
        self.needs = Needs(
            stride=1, min_size=1, in_channels=3, value_range=(0.0, 1.0), receptive_field=2 * (layers - 1) + 1
        )

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = self.first(x)
        if kept.last('conv1', x):
            return kept.features
        for i, layer in enumerate(self.rest):
            x = layer(torch.relu(x))
            if kept.last(f'conv{i + 2}', x):
                return kept.features
        return kept.end(x)
