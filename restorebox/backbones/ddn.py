"""DDN, the deep detail network: a baseline of deraining papers."""

from __future__ import annotations

from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.guided_filter import guided_filters
from restorebox.layers.statistics import make_norm
from restorebox.registry import BACKBONES
from restorebox.values import Depth, Width

RADIUS, EPS = 15, 1.0  # of the guided filter, in the authors' code


@BACKBONES.register_module()
class DDN(BaseBackbone):
    """DDN without its last convolution, which is in the head.

    Fu et al., "Removing rain from single images via a deep detail network" (CVPR 2017)::

        x - guided filter(x) -> 3x3, norm, ReLU -> (layers - 2) / 2 residual blocks of two times 3x3, norm, ReLU

    A ``PictureHead(residual=True, activation=False)`` is the last layer and adds the picture itself. The paper has 26
    layers of 16 channels; it has a norm behind the last convolution too, here there is none.

    Args:
        layers: number of convolutions including the head's: an even number of at least 4.
        width: channels of the hidden layers.
        norm: ``'batch'`` as in the paper, ``'instance'`` or None.

    Taps: ``block1`` .. ``blockN``, N being ``(layers - 2) / 2``.

    Raises:
        ConfigError: an odd number of layers or fewer than 4, or an unknown norm.
    """

    def __init__(self, layers: Depth = 26, width: Width = 16, norm: str | None = 'batch') -> None:
        super().__init__()
        if not isinstance(layers, int) or layers < 4 or layers % 2:
            raise ConfigError(f'DDN: layers is {layers!r}; it must be an even number from 4')

        def convolution(channels: int) -> nn.Sequential:
            conv = nn.Conv2d(channels, width, 3, 1, 1, bias=norm is None)
            return nn.Sequential(conv, make_norm(norm, width, 1), nn.ReLU())

        self.first = convolution(3)
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(width), convolution(width)) for _ in range((layers - 2) // 2)
        )
        self.tap_channels = {f'block{i + 1}': width for i in range(len(self.blocks))}
        self.out_channels = width
        self.out_stride = 1
        field = 2 * (layers - 1) + 1 + 4 * RADIUS  # two means over windows in the guided filter
        self.needs = Needs(stride=1, min_size=1, in_channels=3, value_range=(0.0, 1.0), receptive_field=field)

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        detail = x - guided_filters(x, x, (RADIUS,), (EPS,)).to(x.dtype)
        x = self.first(detail)
        for i, block in enumerate(self.blocks):
            x = x + block(x)
            if kept.last(f'block{i + 1}', x):
                return kept.features
        return kept.end(x)
