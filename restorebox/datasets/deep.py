"""Decoding of pictures with more than 8 bits per value, by OpenCV, and by pi-heif for HEIF.

Pillow can't be used, since it silently reduces 16-bit colour to 8 bits.
"""

from __future__ import annotations

import re
import struct
import warnings
from io import BytesIO

import cv2
import numpy as np

from restorebox.datasets.formats import Refused, bit_depth, is_deep
from restorebox.datasets.tiff import TIFF_TAGS
from restorebox.errors import out_of_memory
from restorebox.pixels import to_float, to_uint16

_PNM = re.compile(rb'P[2356](?:\s+(?:#[^\n]*\n\s*)*(\d{1,10})){3}\s')  # the last group is the maximum value
_CV2_PIXELS = 2**30  # limit of OpenCV
_ORIENTATION = 274  # TIFF tag


def largest_value(data: bytes | bytearray, kind: str, tiff: dict) -> int:
    """Return the maximum (white) value of a file according to its header; 255 for 8 bits or fewer.

    Raises:
        Refused: 32-bit or signed values, or an unsupported bit depth.
    """
    if kind == 'PNG':
        return 65535 if data[24:25] == b'\x10' else 255  # IHDR's bit depth
    if tiff:
        bits = set(tiff.get(TIFF_TAGS['bits'], ((1,), 0))[0])
        if max(bits) > 16 or set(tiff.get(TIFF_TAGS['format'], ((1,), 0))[0]) - {1, 4}:  # 1 unsigned, 4 undefined
            raise Refused('has 32-bit or signed values, of which the range is unknown; save it with 8 or 16 bits')
        if max(bits) > 8 and bits != {16}:
            raise Refused(f'has {max(bits)} bits per value; save it with 8 or 16 bits')
        return 65535 if bits == {16} else 255
    head = bytes(data[:4096])
    if is_deep(head, kind) or (kind == 'HEIF' and bit_depth(head, kind) > 8):
        return 65535 if kind == 'HEIF' else 2 ** min(16, bit_depth(head, kind)) - 1
    if kind == 'PPM':
        header = _PNM.match(data)
        return max(255, int(header[1])) if header and int(header[1]) < 65536 else 255
    return 255


def decode_deep(
    data: bytes | bytearray,
    kind: str,
    largest: int,
    tiff: dict,
    alpha: bool,
    size: tuple[int, int],
    transparent: int | tuple[int, ...] | None = None,
) -> np.ndarray:
    """Decode a 16-bit file without applying its orientation.

    Args:
        data: bytes of the file; the orientation of a bytearray is changed in place.
        kind: key of :data:`restorebox.datasets.formats.FORMATS`.
        largest: as :func:`largest_value` returns it.
        tiff: as :func:`restorebox.datasets.tiff.tiff_fields` returns it; empty for other kinds.
        alpha: keep the alpha channel, if there is one.
        size: (width, height).
        transparent: the value that means transparent, from the tRNS chunk of a PNG, or None.

    Returns:
        HWC RGB or RGBA, float32 in [0, 1].

    Raises:
        Refused: the file is damaged, too large or not supported.
        MemoryError: not enough memory.
    """
    if size[0] * size[1] > _CV2_PIXELS and kind != 'HEIF':
        raise Refused(f'has {size[0] * size[1]} pixels with 16 bits, and OpenCV reads at most {_CV2_PIXELS} of these')
    if kind == 'HEIF':
        return _decode_deep_heif(data, alpha)
    if kind == 'PPM' and data[1:2] in b'23':
        return _decode_deep_text(data, largest, size)
    raw = data if isinstance(data, bytearray) else bytearray(data)  # a TIFF with several pages is not copied for each
    photometric = tiff.get(TIFF_TAGS['photometric'], ((1,), 0))[0][0]
    if tiff:
        samples = tiff.get(TIFF_TAGS['samples'], ((1,), 0))[0][0]
        separate = samples > 1 and tiff.get(TIFF_TAGS['planar'], ((1,), 0))[0][0] == 2
        premultiplied = tiff.get(TIFF_TAGS['extra'], ((0,), 0))[0][0] == 1
        if photometric not in (0, 1, 2) or samples not in (1, 3, 4) or separate or premultiplied:
            raise Refused('is a kind of 16-bit TIFF that is not supported; save it as plain 16-bit RGB')
        if _ORIENTATION in tiff:  # reset it, since only some versions of OpenCV apply it
            struct.pack_into('<H' if data[:2] == b'II' else '>H', raw, tiff[_ORIENTATION][1], 1)
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # errors are raised below
    try:
        decoded = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if out_of_memory(error):
            raise MemoryError(str(error)) from None
        decoded = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if decoded is None:  # OpenCV gives no reason; this allocation raises MemoryError if that was the reason
        np.empty((size[1], size[0], 8), np.uint16)
    if decoded is None or decoded.dtype != np.uint16:
        raise Refused('is a 16-bit picture that is damaged or not supported; save it as plain 16-bit RGB')
    picture: np.ndarray = decoded.astype(np.float32)
    picture /= largest
    if picture.ndim == 2:
        if tiff and photometric == 0:  # WhiteIsZero
            picture = 1 - picture
        picture = grey_to_rgb(picture)
        if alpha and transparent is not None:  # OpenCV applies it to colour only
            picture = np.dstack((picture, decoded != transparent))
        return picture
    order = [2, 1, 0, 3] if alpha and picture.shape[2] == 4 else [2, 1, 0]  # from BGR or BGRA
    return np.ascontiguousarray(picture[..., order])


def _decode_deep_text(data: bytes | bytearray, largest: int, size: tuple[int, int]) -> np.ndarray:
    """Decode a plain-text PGM or PPM, which OpenCV reads with 8 bits only."""
    channels = 3 if data[1:2] == b'3' else 1
    words = re.sub(rb'#[^\n]*', b'', data[2:]).split(maxsplit=3)  # width, height, largest value, the rest
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')  # NumPy only warns about text that is not a number
            values = np.fromstring(words[3], np.int64, sep=' ')
    except (ValueError, DeprecationWarning, IndexError):
        raise Refused('is damaged or cut short (its values are not integers)') from None
    wanted = size[0] * size[1] * channels
    if values.size < wanted or not 0 <= values[:wanted].min() <= values[:wanted].max() <= largest:
        raise Refused(f'is damaged or cut short ({values.size} of {wanted} values up to {largest})')
    picture = values[:wanted].reshape(size[1], size[0], channels).astype(np.float32) / largest
    return picture if channels == 3 else grey_to_rgb(picture[..., 0])


def _decode_deep_heif(data: bytes | bytearray, alpha: bool) -> np.ndarray:
    """Decode HEIC with 10 or 12 bits, which pi-heif scales to 16."""
    import pi_heif

    file = pi_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False)
    picture = np.array(file)  # a copy: the pixels belong to libheif and are freed with ``file``
    picture = to_float(to_uint16(picture))  # uint8 if the file has fewer bits than its header says
    if picture.ndim == 2:
        return grey_to_rgb(picture)
    return np.ascontiguousarray(picture[..., : 4 if alpha else 3])


def grey_to_rgb(picture: np.ndarray) -> np.ndarray:
    """Repeat a grey picture ``(H, W)`` to ``(H, W, 3)``."""
    return np.repeat(picture[..., None], 3, axis=2)
