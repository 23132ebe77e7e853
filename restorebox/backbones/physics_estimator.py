"""Joint estimator of streaks, transmission and airlight for the heavy-rain model.

Li, Cheong, Tan, "Heavy Rain Image Restoration: Integrating Physics Model and Conditional Adversarial Learning" (CVPR
2019), the first stage.
"""

from __future__ import annotations

import torch
from torch import Tensor

from restorebox.backbones.airlight import AirlightNet, brightest_colour, mean_over_windows
from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.rain_net import RainNet
from restorebox.backbones.trans_unet import TransUNet
from restorebox.errors import ConfigError
from restorebox.layers.guided_filter import Decomposition
from restorebox.registry import BACKBONES, nearest
from restorebox.values import Width

AIRLIGHTS = ('net', 'first_window', 'brightest')


@BACKBONES.register_module()
class PhysicsEstimator(BaseBackbone):
    """Estimator of streaks S, transmission T and airlight A of a rainy picture, ``I = T (J + S) + (1 - T) A``.

    ::

        x -> decomposition -+- picture and low frequencies --> AirlightNet -> A
                            |                              \\-> TransUNet --> T
                            +- picture and high frequencies -> RainNet ----> S

    ``forward`` has an optional argument ``airlight`` ``(N, 3, 1, 1)`` that replaces the estimate, so that all tiles of
    a picture use the same airlight.

    Args:
        guide: of the decomposition, see :class:`Decomposition <restorebox.layers.guided_filter.Decomposition>`.
        base_width: channels of the first level of all three networks, 64 in the paper.
        airlight: source of A: ``'net'``: area-weighted mean of the network over windows of 256x256; ``'first_window'``:
            only the first window, as in the authors' generator; ``'brightest'``: the colour of the brightest pixels,
            without a network.
        clamp: whether T is limited to 1, see :class:`TransUNet`.
        veil: False for data without a veil: T is 1 and A is 0, without networks, so ``airlight`` must be ``'net'`` and
            ``clamp`` True, their defaults.

    Taps: ``airlight`` ``(N, 3, 1, 1)``, the only tap available for any input size; ``streak`` and ``transmission``
    ``(N, 1, H, W)``. ``'out'`` is the concatenation of S, T and A, with A as constant planes.

    Raises:
        ConfigError: an unknown ``guide`` or ``airlight``, or one of a veil's arguments with ``veil=False``.
    """

    def __init__(
        self,
        guide: str = 'residue',
        base_width: Width = 64,
        airlight: str = 'net',
        clamp: bool = True,
        veil: bool = True,
    ) -> None:
        super().__init__()
        if airlight not in AIRLIGHTS:
            raise ConfigError(f"PhysicsEstimator has no airlight '{airlight}'; {nearest(str(airlight), AIRLIGHTS)}")
        if not veil and (airlight != 'net' or not clamp):
            raise ConfigError('PhysicsEstimator: veil=False has neither airlight nor transmission; remove their keys')
        self.decompose = Decomposition(guide)
        channels = self.decompose.channels
        self.streak = RainNet(channels, base_width)
        self.airlight = AirlightNet(channels, base_width) if veil and airlight != 'brightest' else None
        self.transmission = TransUNet(channels, base_width, clamp) if veil else None
        self.first_window = airlight == 'first_window'
        self.tap_channels = {'airlight': 3, 'streak': 1, 'transmission': 1}
        self.out_channels = 5
        self.out_stride = 1
        stride = self.transmission.needs.stride if self.transmission else self.streak.needs.stride
        self.needs = Needs(stride, stride, 3, (0.0, 1.0), self.field(1))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`. The airlight is not counted, since it is global."""
        fields = [network.field(run) for network in (self.streak, self.transmission) if network is not None]
        return max(fields) + 2 * self.decompose.reach

    def forward(
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, airlight: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        low, high = self.decompose(x)
        a = airlight
        if a is None:
            a = self._airlight(x, low)
        if kept.last('airlight', a):
            return kept.features
        s = self.streak(high)['out']
        del high  # hundreds of megabytes for a large picture
        if kept.last('streak', s):
            return kept.features
        t = torch.ones_like(s) if self.transmission is None else self.transmission(low)['out']
        if kept.last('transmission', t):
            return kept.features
        return kept.end(torch.cat((s, t, a.to(t.dtype).expand(-1, -1, *t.shape[-2:])), 1))

    def _airlight(self, x: Tensor, low: Tensor) -> Tensor:
        if self.transmission is None:
            return x.new_zeros(x.shape[0], 3, 1, 1)
        if self.airlight is None:
            return brightest_colour(x)
        return mean_over_windows(self.airlight, low, self.first_window)
