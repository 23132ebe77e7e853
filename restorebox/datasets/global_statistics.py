"""Global statistics of the scene from which a training crop is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from restorebox.errors import ConfigError, DataError
from restorebox.layers.global_statistics import TEXTURE, scene_statistics
from restorebox.registry import TRANSFORMS

MOST_JITTER = 2  # a factor between 1/50 and 50 in 95 % of the samples


@TRANSFORMS.register_module()
class SurveyScene(BaseTransform):
    """Compute the global statistics of a degraded scene before a crop is taken from it.

    Networks then receive the same global information in training as at test. Put it after ``Degrade`` and before
    ``RandomWindow(roles=('lq', 'gt'))``.

    Args:
        source: role of the degraded scene.
        target: role for the statistics, 32x32x7 float32, see
            :func:`restorebox.layers.global_statistics.scene_statistics`.
        jitter: standard deviation of the logarithm of a random factor on each statistic of texture (standard deviation,
            differences along rows and columns), drawn per sample. Texture depends on the size and sharpness of a
            photograph; a network is not to rely on its exact amount.

    Raises:
        ConfigError: ``jitter`` is outside [0, 2].
    """

    def __init__(self, source: str = 'lq', target: str = 'scene', jitter: float = 0.0) -> None:
        if not isinstance(jitter, (int, float)) or not 0 <= jitter <= MOST_JITTER:
            raise ConfigError(f'SurveyScene: jitter is {jitter!r}; it must be between 0 and {MOST_JITTER}')
        self.source = source
        self.target = target
        self.jitter = jitter
        self.gives = (target,)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the target role.

        Raises:
            DataError: the source is missing, or the target exists already.
        """
        if self.source not in results:
            raise DataError(f"SurveyScene: sample {results.get('name')} has no role '{self.source}'")
        if self.target in results:
            raise DataError(f"SurveyScene would overwrite '{self.target}' of {results.get('name')}")
        picture = np.ascontiguousarray(results[self.source].transpose(2, 0, 1))  # uint8, or float32 in [0, 1]
        statistics = scene_statistics(torch.from_numpy(picture)[None])[0].permute(1, 2, 0).numpy()
        if self.jitter:
            factors = np.exp(self.jitter * results['rng'].standard_normal(len(TEXTURE)))
            statistics[..., TEXTURE] *= factors.astype(np.float32)
        results[self.target] = statistics
        return results
