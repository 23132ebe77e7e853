"""Degraded pictures rounded to the values that a file can hold."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform

from restorebox.errors import DataError
from restorebox.pixels import to_uint8
from restorebox.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RoundPicture(BaseTransform):
    """Round a degraded picture to 8 bits, as files hold it: else its fractions give away that it was rendered.

    Args:
        role: of the picture.
    """

    def __init__(self, role: str = 'lq') -> None:
        self.role = role

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Raises DataError when the role is absent."""
        if self.role not in results:
            raise DataError(f"RoundPicture: sample {results.get('name')} has no role '{self.role}'")
        results[self.role] = to_uint8(results[self.role])
        return results
