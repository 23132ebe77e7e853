"""Read any picture file into one form, or say in one line why it can't be read.

Pillow decodes everything with 8 bits. It reduces 16-bit colour to 8 bits without a word, so those files are recognised
by their header and decoded by OpenCV.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import warnings
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from restorebox.datasets.walking import Passed, walk
from restorebox.errors import DataError, PictureError
from restorebox.files import read_bytes

PICTURE_SUFFIXES = ('.bmp', '.gif', '.jpeg', '.jpg', '.pbm', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff', '.webp')

# Pillow logs a few decoding errors besides raising them; without a handler they would land on stderr.
logging.getLogger('PIL').addHandler(logging.NullHandler())

_PNG = b'\x89PNG\r\n\x1a\n'
_PNM = re.compile(rb'P[56](?:\s+(?:#[^\n]*\n\s*)*(\d+)){3}\s')  # the last group is the largest value
_ORIENTATION = 274  # of EXIF and of TIFF alike
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLES, _TIFF_PLANAR, _TIFF_EXTRA, _TIFF_FORMAT = 258, 262, 277, 284, 338, 339


def read_picture(path: str | os.PathLike, alpha: bool = False) -> np.ndarray:
    """Read one picture file of any usual kind.

    EXIF orientation is applied; grey, palette, 1-bit and CMYK become RGB; alpha is dropped and the colours are left as
    stored; of an animation the first frame is taken.

    Args:
        path: the file.
        alpha: keep it, as a fourth channel, where the file has one.

    Returns:
        HWC RGB: uint8 in [0, 255] of files with 8 bits or fewer, float32 in [0, 1] (value / 65535) of 16-bit files.

    Raises:
        PictureError: the file is missing, unreadable, empty, no picture, damaged, too large or has 32-bit values. One
            line: the file, then the reason.
    """
    data = _read_bytes(path)
    try:
        return _decode(data, alpha)
    except _Refused as error:
        raise PictureError(f'{path}: {error}') from None


def list_pictures(
    folder: str | os.PathLike,
    recursive: bool = False,
    suffixes: tuple[str, ...] = PICTURE_SUFFIXES,
    passed: Passed | None = None,
) -> list[Path]:
    """List the picture files of a folder, those with numbers in their names in numeric order.

    Args:
        folder: where to look. Hidden files and folders are left out.
        recursive: also look into its sub-folders, linked ones too, see :func:`restorebox.datasets.walking.walk`.
        suffixes: of the files to list, in lower case.
        passed: notes folders that can't be read instead of raising; where there are some, there may be no picture.

    Returns:
        Paths that begin with ``folder``, in an order that depends on nothing but the names.

    Raises:
        DataError: there is no such folder, no picture in it, or a folder can't be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f'{folder}: {"is a file, not a folder" if folder.exists() else "no such folder"}')
    paths = walk(folder, lambda path: recursive and not path.name.startswith('.'), passed)
    found = [path for path in paths if path.name.lower().endswith(suffixes) and not path.name.startswith('.')]
    if not found and not (passed is not None and passed.unread):
        raise DataError(f'{folder}: no pictures in this folder (looked for {" ".join(suffixes)})')
    return sorted(found, key=lambda path: (_natural(str(path)), str(path)))


def _natural(text: str) -> list[str | int]:
    """A sort key under which 'rain-2' comes before 'rain-10': text and numbers take turns."""
    return [int(part) if i % 2 else part.lower() for i, part in enumerate(re.split(r'([0-9]+)', text))]


class _Refused(Exception):
    """These bytes don't become a picture; the text is the reason."""


def _read_bytes(path: str | os.PathLike) -> bytes:
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        raise PictureError(f'{path}: no such file') from None
    except IsADirectoryError:
        raise PictureError(f'{path}: is a folder, not a picture') from None
    except PermissionError:
        raise PictureError(f'{path}: permission denied') from None
    except OSError as error:
        raise PictureError(f"{path}: can't be read ({error.strerror})") from None
    if not data:
        raise PictureError(f'{path}: is empty (0 bytes)')
    return data


def _decode(data: bytes, alpha: bool = False) -> np.ndarray:
    """Bytes of a file -> HWC RGB or RGBA, uint8 or float32."""
    tiff = _tiff_fields(data) if data[:4] in (b'II*\0', b'MM\0*', b'II+\0') else {}
    largest = _largest_value(data, tiff)
    # First with Pillow even where it isn't the decoder: at damage it raises, while the others print to stderr as well.
    image, orientation = _load(data, alpha)
    if largest > 255:
        orientation = tiff[_ORIENTATION][0][0] if _ORIENTATION in tiff else orientation
        picture = _decode_deep(data, largest, tiff, alpha)
    elif image.mode in ('RGB', 'RGBA'):
        picture = np.asarray(image)
    else:  # 16-bit grey of a format other than PNG, TIFF and PNM
        picture = _grey_to_rgb(np.asarray(image).astype(np.float32) / 65535)
    return _orient(picture, orientation)


def _load(data: bytes, alpha: bool) -> tuple[Image.Image, int]:
    """Pillow's picture, decoded, of mode RGB, RGBA or I;16 (any byte order), and its EXIF orientation."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # e.g. about EXIF that is cut short: the picture itself decides
            image = Image.open(BytesIO(data))
            image.load()
            orientation = _orientation(image)
            wide = image.mode == 'F' or (image.mode == 'I' and image.format != 'PPM')  # 16-bit PGM opens as I
            mode = 'RGBA' if alpha and image.has_transparency_data else 'RGB'
            if image.mode not in (mode, 'I', 'F') and not image.mode.startswith('I;16'):
                image = image.convert(mode)
    except UnidentifiedImageError:
        raise _Refused('is not a picture of a known kind, or is damaged at its very beginning') from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise _Refused(f'holds more than {limit} pixels, which looks like a decompression bomb') from None
    except Exception as error:  # damaged bytes make Pillow raise nearly anything, from SyntaxError to struct.error
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise _Refused(f'is damaged or cut short ({reason})') from None
    if wide:
        raise _Refused('has 32-bit values, of which the range is unknown; save it with 8 or 16 bits')
    return image, orientation


def _largest_value(data: bytes, tiff: dict) -> int:
    """The value that stands for white, 255 for everything with 8 bits or fewer, read from the header."""
    if data.startswith(_PNG):
        return 65535 if data[24:25] == b'\x10' else 255  # IHDR's bit depth
    if tiff:
        bits = set(tiff.get(_TIFF_BITS, ((1,), 0))[0])
        if max(bits) > 16 or set(tiff.get(_TIFF_FORMAT, ((1,), 0))[0]) - {1, 4}:  # 1 unsigned, 4 undefined
            raise _Refused('has 32-bit or signed values, of which the range is unknown; save it with 8 or 16 bits')
        if max(bits) > 8 and bits != {16}:
            raise _Refused(f'has {max(bits)} bits per value; save it with 8 or 16 bits')
        return 65535 if bits == {16} else 255
    header = _PNM.match(data)
    return max(255, int(header[1])) if header else 255


def _decode_deep(data: bytes, largest: int, tiff: dict, alpha: bool) -> np.ndarray:
    """Decode a 16-bit PNG, TIFF or PNM, unoriented -> HWC RGB or RGBA float32 in [0, 1]."""
    raw = bytearray(data)
    if tiff:
        photometric = tiff.get(_TIFF_PHOTOMETRIC, ((1,), 0))[0][0]
        samples = tiff.get(_TIFF_SAMPLES, ((1,), 0))[0][0]
        separate = samples > 1 and tiff.get(_TIFF_PLANAR, ((1,), 0))[0][0] == 2
        premultiplied = tiff.get(_TIFF_EXTRA, ((0,), 0))[0][0] == 1
        if photometric not in (0, 1, 2) or samples not in (1, 3, 4) or separate or premultiplied:
            raise _Refused('is a kind of 16-bit TIFF that is not supported; save it as plain 16-bit RGB')
        if _ORIENTATION in tiff:  # OpenCV's versions differ in whether they apply it: take it away
            struct.pack_into('<H' if data[:2] == b'II' else '>H', raw, tiff[_ORIENTATION][1], 1)
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the error below says it
    try:
        picture = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        picture = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if picture is None or picture.dtype != np.uint16:
        raise _Refused('is a 16-bit picture that is damaged or not supported; save it as plain 16-bit RGB')
    picture = picture.astype(np.float32) / largest
    if picture.ndim == 2:
        if tiff and photometric == 0:  # WhiteIsZero
            picture = 1 - picture
        return _grey_to_rgb(picture)
    order = [2, 1, 0, 3] if alpha and picture.shape[2] == 4 else [2, 1, 0]  # from BGR or BGRA
    return np.ascontiguousarray(picture[..., order])


def _grey_to_rgb(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture[..., None], 3, axis=2)


def _tiff_fields(data: bytes) -> dict[int, tuple[tuple[int, ...], int]]:
    """Integer fields of a TIFF's first directory: tag -> (values, offset of the first value). Empty when damaged."""
    order = '<' if data[:2] == b'II' else '>'
    big = data[2] == 43  # BigTIFF: counts and offsets have 8 bytes (Pillow opens it with little-endian numbers only)
    word, size, entry = ('Q', 8, 20) if big else ('I', 4, 12)
    kinds = {3: 'H', 4: 'I', 16: 'Q'}
    fields = {}
    try:
        start = struct.unpack_from(order + word, data, 8 if big else 4)[0]
        number = struct.unpack_from(order + ('Q' if big else 'H'), data, start)[0]
        for i in range(number):
            place = start + (8 if big else 2) + i * entry
            tag, kind, count = struct.unpack_from(order + 'HH' + word, data, place)
            if kind in kinds and 0 < count <= 16:  # the fields that matter here are this short
                values = f'{order}{count}{kinds[kind]}'
                offset = place + 4 + size  # short values stand in the entry itself
                if struct.calcsize(values) > size:
                    offset = struct.unpack_from(order + word, data, offset)[0]
                fields[tag] = (struct.unpack_from(values, data, offset), offset)
    except struct.error:
        return {}
    return fields


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8 of a loaded picture; 1 when there is none or it can't be parsed.

    Pillow has already turned a TIFF, and removed the field, by the time it is loaded.
    """
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF of any sort: the picture itself is fine
        return 1


def _orient(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a stored picture upright, by EXIF orientation 1 to 8; any other number means 1."""
    if orientation not in range(2, 9):
        return picture
    if orientation >= 5:
        picture = picture.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
