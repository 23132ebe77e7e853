"""JPEG compression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import BaseDegradation, as_whole_range
from restorebox.pixels import to_float, to_uint8
from restorebox.registry import DEGRADATIONS


@DEGRADATIONS.register_module()
class JPEG(BaseDegradation):
    """Encode and decode as baseline JPEG with 4:2:0 chroma subsampling; the picture is rounded to 8 bits first.

    The result depends on the installed libjpeg: other versions may round differently.

    Args:
        quality: range of the libjpeg quality, integers in [1, 100].
    """

    strength = '-quality'

    def __init__(self, quality: Sequence[int] = (10, 90)) -> None:
        self.quality = as_whole_range(quality, 'JPEG: quality', 1, 100)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw 'quality' uniformly, both ends included."""
        return {'quality': int(rng.integers(*self.quality, endpoint=True))}

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """Degrade HWC RGB -> 'lq' HWC float32 in [0, 1], quantised to 8 bits."""
        rounded = to_uint8(picture)
        options = [
            cv2.IMWRITE_JPEG_QUALITY,
            parameters['quality'],
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        ]
        _, encoded = cv2.imencode('.jpg', cv2.cvtColor(rounded, cv2.COLOR_RGB2BGR), options)
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert decoded is not None  # it has just been encoded
        return {'lq': to_float(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))}
