"""JPEG: what compression leaves of a picture."""

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
    """Baseline JPEG with halved chroma (4:2:0), encoded and decoded again; the picture is rounded to 8 bit first.

    The bytes are those of the installed libjpeg: other versions of it may round differently.

    Args:
        quality: range of whole numbers in [1, 100], as in libjpeg.
    """

    strength = '-quality'

    def __init__(self, quality: Sequence[int] = (10, 90)) -> None:
        self.quality = as_whole_range(quality, 'JPEG: quality', 1, 100)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """'quality', evenly distributed with both ends."""
        return {'quality': int(rng.integers(*self.quality, endpoint=True))}

    def apply(self, picture: np.ndarray, parameters: dict[str, Any]) -> dict[str, np.ndarray]:
        """HWC RGB -> 'lq' HWC float32 in [0, 1], of 8 bits."""
        rounded = to_uint8(picture)
        how = [
            cv2.IMWRITE_JPEG_QUALITY,
            parameters['quality'],
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        ]
        _, encoded = cv2.imencode('.jpg', cv2.cvtColor(rounded, cv2.COLOR_RGB2BGR), how)
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        return {'lq': to_float(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))}
