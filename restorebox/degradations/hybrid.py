"""Hybrid distortion: blur, noise and JPEG in sequence, in three severities.

The sampler is that of RL-Restore (Yu et al., CVPR 2018), which OWAN (Suganuma et al., CVPR 2019) and FDR-Net (Li et
al., ECCV 2020) use for training: ten levels per distortion, whose sum is within the range of the severity.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np

from restorebox.degradations.base import BaseDegradation, draw_seed
from restorebox.degradations.blur import GaussianBlur
from restorebox.degradations.jpeg import JPEG
from restorebox.degradations.noise import GaussianNoise
from restorebox.errors import ConfigError
from restorebox.pixels import to_float
from restorebox.registry import DEGRADATIONS, nearest
from restorebox.values import NotNegative

LEVELS = range(1, 11)
BANDS = {'mild': (9, 11), 'moderate': (12, 17), 'severe': (18, 20)}  # range of the sum of the three levels minus 2
NODES = (100, 80, 60, 50, 40, 35, 30, 25, 20, 15, 10)  # JPEG quality of level k is between nodes k - 1 and k
WINDOW = 21  # side of the blur kernel in pixels


@DEGRADATIONS.register_module()
class HybridDistortion(BaseDegradation):
    """I = JPEG(clip(J * g + n, 0, 1)).

    Levels (k_b, k_n, k_j) from 1 to 10 are drawn uniformly from all triples whose sum minus 2 is in the range of the
    severity. Level k means:

    - blur: sigma in [k - 1, k] blur_max / 10 pixels
    - noise: sigma in [5 (k - 1), 5 k] on the scale 0 to 255
    - JPEG: integer quality between nodes k and k - 1 of 100, 80, 60, 50, 40, 35, 30, 25, 20, 15, 10

    Args:
        severity: 'mild' (9 to 11), 'moderate' (12 to 17) or 'severe' (18 to 20).
        blur_max: sigma of the strongest blur in pixels: 5 in RL-Restore's code, 10 in the papers.
    """

    def __init__(self, severity: str = 'moderate', blur_max: NotNegative = 5.0) -> None:
        if severity not in BANDS:
            raise ConfigError(f'HybridDistortion has no severity {severity!r}; {nearest(str(severity), [*BANDS])}')
        if not isinstance(blur_max, (int, float)) or blur_max <= 0:
            raise ConfigError(f'HybridDistortion: blur_max is a number of pixels above 0; it is {blur_max!r}')
        self.severity = severity
        self.blur_max = float(blur_max)
        self.blur, self.noise, self.jpeg = GaussianBlur(window=WINDOW), GaussianNoise(), JPEG()

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw 'levels' [k_b, k_n, k_j] and the parameters of 'blur', 'noise' and 'jpeg'."""
        triples = triples_of(self.severity)
        blur, noise, jpeg = triples[int(rng.integers(len(triples)))]
        step = self.blur_max / len(LEVELS)
        best, worst = NODES[jpeg - 1], NODES[jpeg]
        return {
            'levels': [blur, noise, jpeg],
            'blur': {'sigma': float(rng.uniform(step * (blur - 1), step * blur)), 'window': WINDOW},
            'noise': {'sigma': float(rng.uniform(5 * (noise - 1), 5 * noise)), 'seed': draw_seed(rng)},
            'jpeg': {'quality': int(rng.integers(worst, best, endpoint=True))},
        }

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1], quantised to 8 bits."""
        blurred = self.blur.apply(to_float(picture), parameters['blur'])['lq']
        noisy = self.noise.apply(blurred, parameters['noise'])['lq']
        return self.jpeg.apply(noisy, parameters['jpeg'])


@cache
def triples_of(severity: str) -> tuple[tuple[int, int, int], ...]:
    """Return all levels (k_b, k_n, k_j) of a severity, in lexicographic order."""
    low, high = BANDS[severity]
    return tuple(levels for levels in product(LEVELS, LEVELS, LEVELS) if low <= sum(levels) - 2 <= high)
