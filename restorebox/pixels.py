"""Conversion of pictures between arrays and tensors, and between 8-bit or 16-bit integers and floats in [0, 1].

White is 255, 65535 or 1. Floats are clipped to [0, 1] and rounded to the nearest integer, half to even (IEEE 754, as in
NumPy and PyTorch): 0.5 -> 0, 1.5 -> 2, 2.5 -> 2. NaN becomes 0; callers that must detect NaN check before conversion.
Pictures of 10 or 12 bits are read as 16-bit ones.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

WHITE = {'uint8': 255, 'uint16': 65535, 'float32': 1, 'float64': 1}
"""Value of white per dtype."""

Picture = TypeVar('Picture', np.ndarray, Tensor)


def whole_numbers(picture: Picture, white: int = 255) -> Picture:
    """Scale floats in [0, 1] to integer values 0..``white``, kept in the same floating-point dtype; NaN stays NaN.

    Args:
        picture: array or tensor of any shape; values are clipped to [0, 1].
        white: 255 or 65535.
    """
    if isinstance(picture, Tensor):
        return picture.clamp(0, 1).mul_(white).round_()
    x = np.clip(picture, 0, 1)
    x *= white
    return np.rint(x, out=x)


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """Convert an array of any shape to uint8: floats in [0, 1] and uint16 are rounded, uint8 is returned unchanged."""
    if picture.dtype == np.uint8:
        return picture
    return _cast(to_float(picture, np.float64) if picture.dtype == np.uint16 else picture, np.dtype(np.uint8))


def to_uint16(picture: np.ndarray) -> np.ndarray:
    """Convert an array of any shape to uint16: floats in [0, 1] are rounded, uint8 is multiplied by 257."""
    if picture.dtype == np.uint16:
        return picture
    if picture.dtype == np.uint8:
        return picture.astype(np.uint16) * 257
    return _cast(picture, np.dtype(np.uint16))


def _cast(picture: np.ndarray, kind: np.dtype) -> np.ndarray:
    x = whole_numbers(picture, WHITE[kind.name])
    if np.isnan(x.sum()):  # much cheaper than an element-wise test
        x[np.isnan(x)] = 0
    return x.astype(kind)


def to_float(picture: np.ndarray, kind: type = np.float32) -> np.ndarray:
    """Convert an array of any shape to contiguous floats in [0, 1]: integers are divided by white, floats are kept."""
    if picture.dtype in (np.uint8, np.uint16):
        return np.divide(picture, WHITE[picture.dtype.name], dtype=kind, order='C')
    return np.ascontiguousarray(picture, dtype=kind)


def writeable(picture: np.ndarray, kind: type | None = None) -> np.ndarray:
    """Return an array, or a copy, that :func:`torch.from_numpy` takes without a warning.

    Args:
        picture: of any shape.
        kind: its new dtype; None keeps it, in the machine's byte order.
    """
    native = None if picture.dtype.isnative else picture.dtype.newbyteorder('=')
    x = np.require(picture, kind or native, ('C', 'W'))
    # NumPy calls an array contiguous whatever the strides along axes of length 1; PyTorch refuses negative ones
    return x.copy() if any(stride < 0 for stride in x.strides) else x


def to_tensor(picture: np.ndarray, device: torch.device | str = 'cpu') -> Tensor:
    """Convert an HWC array, uint8, uint16 or floats in [0, 1], to a ``(1, C, H, W)`` float32 tensor in [0, 1]."""
    kind = np.uint8 if picture.dtype == np.uint8 else np.float32  # torch supports few operations on uint16
    x = torch.from_numpy(writeable(picture, kind)).to(device).permute(2, 0, 1)[None]
    return x.contiguous().float() / WHITE[picture.dtype.name]  # transposed as bytes: a quarter of the memory


def to_array(picture: Tensor, kind: np.dtype | type) -> np.ndarray:
    """Convert a CHW float tensor in [0, 1] to an HWC array of a dtype in ``WHITE``; floats are not clipped."""
    kind = np.dtype(kind)
    x = picture.detach().permute(1, 2, 0)
    if kind.kind == 'f':
        return x.to(getattr(torch, kind.name)).cpu().numpy()
    x = whole_numbers(x, WHITE[kind.name]).nan_to_num_(0)
    return (x.byte() if kind == np.uint8 else x).cpu().numpy().astype(kind, copy=False)


def unit_range(picture: Tensor) -> Tensor:
    """Convert a tensor of any shape to floats in [0, 1]: uint8 becomes float32, floats are returned unchanged."""
    return picture.float().div_(255) if picture.dtype == torch.uint8 else picture
