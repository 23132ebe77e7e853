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
    """Rainy picture -> streaks S, transmission T and airlight A of ``I = T (J + S) + (1 - T) A``.

    ::

        x -> decomposition -+- picture and low frequencies --> AirlightNet -> A
                            |                              \\-> TransUNet --> T
                            +- picture and high frequencies -> RainNet ----> S

    ``forward`` takes an optional ``airlight`` ``(N, 3, 1, 1)``, which stands in for its own: tiles of a picture agree
    on that of the whole.

    Args:
        guide: of the decomposition, see :class:`Decomposition <restorebox.layers.guided_filter.Decomposition>`.
        base_width: of all three networks, 64 in the paper.
        airlight: where A comes from: ``'net'``, the mean over windows of 256x256 weighted by area; ``'first_window'``,
            the first of them alone, as the authors' generator has it; ``'brightest'``, no network but the colour of
            the brightest pixels.
        clamp: whether T is at most 1, see :class:`TransUNet`.

    Taps: ``airlight`` ``(N, 3, 1, 1)``, which alone may be asked for at any size; ``streak`` and ``transmission``
    ``(N, 1, H, W)``. ``'out'`` is all of them as planes: S, T, A.

    Raises:
        ConfigError: another guide or airlight.
    """

    def __init__(
        self, guide: str = 'residue', base_width: Width = 64, airlight: str = 'net', clamp: bool = True
    ) -> None:
        super().__init__()
        if airlight not in AIRLIGHTS:
            raise ConfigError(f"PhysicsEstimator has no airlight '{airlight}'; {nearest(str(airlight), AIRLIGHTS)}")
        self.decompose = Decomposition(guide)
        channels = self.decompose.channels
        self.streak = RainNet(channels, base_width)
        self.airlight = None if airlight == 'brightest' else AirlightNet(channels, base_width)
        self.transmission = TransUNet(channels, base_width, clamp)
        self.first_window = airlight == 'first_window'
        self.tap_channels = {'airlight': 3, 'streak': 1, 'transmission': 1}
        self.out_channels = 5
        self.out_stride = 1
        stride = self.transmission.needs.stride
        self.needs = Needs(stride, stride, 3, (0.0, 1.0), self.field(1))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`. The airlight is not counted: the whole picture agrees on it."""
        return max(self.streak.field(run), self.transmission.field(run)) + 2 * self.decompose.reach

    def forward(
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, airlight: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        low, high = self.decompose(x)
        a = airlight
        if a is None:
            a = brightest_colour(x) if self.airlight is None else self._airlight(low)
        if kept.last('airlight', a):
            return kept.features
        s = self.streak(high)['out']
        del high  # of a large picture, hundreds of megabytes
        if kept.last('streak', s):
            return kept.features
        t = self.transmission(low)['out']
        if kept.last('transmission', t):
            return kept.features
        return kept.end(torch.cat((s, t, a.to(t.dtype).expand(-1, -1, *t.shape[-2:])), 1))

    def _airlight(self, low: Tensor) -> Tensor:
        return mean_over_windows(self.airlight, low, self.first_window)
