"""What networks read of the scene that a training crop was cut from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from restorebox.errors import DataError
from restorebox.layers.global_statistics import scene_statistics
from restorebox.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SurveyScene(BaseTransform):
    """Take the statistics of a degraded scene before a window is cut from it.

    What a network knows of the whole picture at test it then knows in training: put this behind ``Degrade`` and in
    front of a ``RandomWindow(roles=('lq', 'gt'))``.

    Args:
        source: role of the degraded scene.
        target: role that receives its statistics, 32x32x7 float32, see
            :func:`restorebox.layers.global_statistics.scene_statistics`.
    """

    def __init__(self, source: str = 'lq', target: str = 'scene') -> None:
        self.source = source
        self.target = target
        self.gives = (target,)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Raises DataError when the source is absent or the target is there already."""
        if self.source not in results:
            raise DataError(f"SurveyScene: sample {results.get('name')} has no role '{self.source}'")
        if self.target in results:
            raise DataError(f"SurveyScene would overwrite '{self.target}' of {results.get('name')}")
        picture = np.ascontiguousarray(results[self.source].transpose(2, 0, 1))  # uint8, or float32 in [0, 1]
        results[self.target] = scene_statistics(torch.from_numpy(picture)[None])[0].permute(1, 2, 0).numpy()
        return results
