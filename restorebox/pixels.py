"""Pictures between their forms: arrays and tensors, whole numbers of 8 or 16 bits and floats in [0, 1].

One rule for all: white is 255, 65535 or 1. Floats are limited to [0, 1] and rounded to the nearest whole number, a half
to the even one (IEEE 754, which NumPy and PyTorch follow): 0.5 -> 0, 1.5 -> 2, 2.5 -> 2. NaN, which no whole number
stands for, becomes black; who must not lose it looks for it before. Pictures of 10 or 12 bits are read as 16-bit ones.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

WHITE = {'uint8': 255, 'uint16': 65535, 'float32': 1, 'float64': 1}
"""The value of white in an array of each kind."""

Picture = TypeVar('Picture', np.ndarray, Tensor)


def whole_numbers(picture: Picture, white: int = 255) -> Picture:
    """Floats in [0, 1] -> whole numbers from 0 to ``white``, of the same floating-point kind; NaN stays NaN.

    Args:
        picture: array or tensor of any shape; what lies outside [0, 1] is limited to it.
        white: 255 or 65535.
    """
    if isinstance(picture, Tensor):
        return picture.clamp(0, 1).mul_(white).round_()
    x = np.clip(picture, 0, 1)
    x *= white
    return np.rint(x, out=x)


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """An array of any shape -> uint8: floats in [0, 1] and uint16 are rounded, uint8 is handed back as it is."""
    if picture.dtype == np.uint8:
        return picture
    return _cast(to_float(picture, np.float64) if picture.dtype == np.uint16 else picture, np.dtype(np.uint8))


def to_uint16(picture: np.ndarray) -> np.ndarray:
    """An array of any shape -> uint16: floats in [0, 1] are rounded, uint8 times 257, uint16 as it is."""
    if picture.dtype == np.uint16:
        return picture
    if picture.dtype == np.uint8:
        return picture.astype(np.uint16) * 257
    return _cast(picture, np.dtype(np.uint16))


def _cast(picture: np.ndarray, kind: np.dtype) -> np.ndarray:
    x = whole_numbers(picture, WHITE[kind.name])
    if np.isnan(x.sum()):  # far cheaper than to look at each value
        x[np.isnan(x)] = 0
    return x.astype(kind)


def to_float(picture: np.ndarray, kind: type = np.float32) -> np.ndarray:
    """An array of any shape -> contiguous floats: whole numbers are divided by white, floats are in [0, 1] already."""
    if picture.dtype in (np.uint8, np.uint16):
        return np.divide(picture, WHITE[picture.dtype.name], dtype=kind, order='C')
    return np.ascontiguousarray(picture, dtype=kind)


def to_tensor(picture: np.ndarray, device: torch.device | str = 'cpu') -> Tensor:
    """HWC uint8, uint16 or floats in [0, 1] -> ``(1, C, H, W)`` float32 in [0, 1]."""
    kind = np.uint8 if picture.dtype == np.uint8 else np.float32  # torch has few operations for uint16
    x = torch.from_numpy(np.require(picture, kind, ('C', 'W'))).to(device).permute(2, 0, 1)[None]
    return x.contiguous().float() / WHITE[picture.dtype.name]  # bytes are a quarter as much to turn around


def to_array(picture: Tensor, kind: np.dtype | type) -> np.ndarray:
    """CHW floats in [0, 1] -> HWC of a kind of ``WHITE``; floats are neither limited nor rounded."""
    kind = np.dtype(kind)
    x = picture.detach().permute(1, 2, 0)
    if kind.kind == 'f':
        return x.to(getattr(torch, kind.name)).cpu().numpy()
    x = whole_numbers(x, WHITE[kind.name]).nan_to_num_(0)
    return (x.byte() if kind == np.uint8 else x).cpu().numpy().astype(kind, copy=False)


def unit_range(picture: Tensor) -> Tensor:
    """A tensor of any shape, uint8 or floats in [0, 1] -> floats in [0, 1]; uint8 becomes float32."""
    return picture.float().div_(255) if picture.dtype == torch.uint8 else picture
