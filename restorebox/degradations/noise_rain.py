"""Noise rain: motion-blurred noise blended over a picture, as image editors render rain.

The rain of Rain1400 (Fu et al., 'Removing rain from single images via a deep detail network', CVPR 2017) and DID-MDN
(Zhang and Patel, CVPR 2018) was made in this way. In 21 of their pairs the slope of the local mean brightness of the
rainy picture I on that of the clean picture J is 0.74 to 0.97 (docs/results/rain_statistics.json), as of
I = 1 - (1 - J) (1 - R) with a mean of R of 0.03 to 0.26. With a sum I = J + S it would be 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.degradations.base import as_range
from restorebox.degradations.fields import smooth_field
from restorebox.degradations.heavy_rain import noise_streaks
from restorebox.degradations.weather import Weather, constant_airlight
from restorebox.registry import DEGRADATIONS


@DEGRADATIONS.register_module()
class NoiseRain(Weather):
    """I = 1 - (1 - J) (1 - R) if ``screen``, else clip(J + R, 0, 1), where R is clipped noise with motion blur.

    All ranges are (low, high); one value is drawn from each per picture.

    Args:
        amount: mean of R over the picture before R is clipped to [0, 1], where ``uneven`` is 0. Clipping lowers it: to
            0.98 of it by the defaults at 256x256, more where streaks are few and bright.
        sparseness: the noise has the mean -``sparseness`` and the variance 1 before it is clipped to [0, 1]; larger
            values give fewer streaks.
        grain: size of the noise's grains in pixels, the width of a streak.
        length: length of the motion blur in pixels.
        angle: angle in degrees from vertical, positive leaning to the right at the top.
        uneven: relative decrease of R at its minimum over the picture, in [0, 1].
        screen: whether R is blended as a white layer with opacity R ('screen' of image editors) or added.
    """

    strength = 'amount'

    def __init__(
        self,
        amount: Sequence[float] = (0.02, 0.3),
        sparseness: Sequence[float] = (-0.3, 1),
        grain: Sequence[float] = (1.2, 3),
        length: Sequence[float] = (6, 40),
        angle: Sequence[float] = (-45, 45),
        uneven: Sequence[float] = (0, 0.2),
        screen: bool = True,
    ) -> None:
        self.screen = screen
        self.ranges = {
            'amount': as_range(amount, 'NoiseRain: amount', 0, 1),
            'sparseness': as_range(sparseness, 'NoiseRain: sparseness', -3, 3),
            'grain': as_range(grain, 'NoiseRain: grain', 1, 100),
            'length': as_range(length, 'NoiseRain: length', 1, 1000),
            'angle': as_range(angle, 'NoiseRain: angle', -90, 90),
            'uneven': as_range(uneven, 'NoiseRain: uneven', 0, 1),
        }

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'transmission' HxWx1 and 'airlight' HxWx3 if ``screen``, else 'streak' HxWx1; float32 in [0, 1]."""
        rain = self.rain(scene.shape[:2], parameters)[..., None]
        if not self.screen:
            return {'streak': rain}
        return {'transmission': 1 - rain, 'airlight': constant_airlight(scene.shape, 1.0)}

    @staticmethod
    def rain(size: tuple[int, int], parameters: dict[str, Any]) -> np.ndarray:
        """Return R for a picture of (height, width): HW float32 in [0, 1]."""
        record = {
            'mean': -parameters['sparseness'],
            'variance': 1.0,
            'scale': parameters['grain'],
            'length': parameters['length'],
            'angle': parameters['angle'],
            'gain': 1.0,
            'seed': parameters['seed'],
        }
        streaks = noise_streaks(size, record)
        rng = np.random.default_rng([parameters['seed'], 1])
        share = 1 - np.float32(parameters['uneven']) * smooth_field(size, (3, 4), rng)
        streaks *= np.float32(parameters['amount'] / max(float(streaks.mean()), 1e-6)) * share
        return np.minimum(streaks, 1)
