"""Rounding of degraded pictures to 8 bits."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform

from restorebox.errors import DataError
from restorebox.pixels import to_uint8
from restorebox.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RoundPicture(BaseTransform):
    """Round a degraded picture to 8 bits, as in files, so that a network can't recognise synthetic inputs.

    Args:
        role: role of the picture.
    """

    def __init__(self, role: str = 'lq') -> None:
        self.role = role

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Round the picture to uint8.

        Raises:
            DataError: the role is missing.
        """
        if self.role not in results:
            raise DataError(f"RoundPicture: sample {results.get('name')} has no role '{self.role}'")
        results[self.role] = to_uint8(results[self.role])
        return results
