"""Read any picture file into one form, or say in one line why it can't be read; and find the picture files of a folder.

How the bytes become a picture is decoding's, which kinds there are formats'.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from PIL import Image

from restorebox.datasets.decoding import MAX_PIXELS, Frame, decode, prepare, quiet_pillow
from restorebox.datasets.formats import HEAD, PICTURE_SUFFIXES, Refused, left_out, recognise
from restorebox.datasets.walking import Passed, walk
from restorebox.errors import DataError, PictureError, out_of_memory
from restorebox.files import open_regular, read_bytes

_HUGE = (2**16, 2**16)  # of a picture that Pillow does not even open


def read_picture(path: str | os.PathLike, alpha: bool = False, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read one picture file of any usual kind.

    EXIF orientation is applied; grey, palette, 1-bit, CMYK and Lab become RGB, CMYK by its ICC profile where it has
    one; alpha is dropped and the colours are left as stored.

    Args:
        path: the file.
        alpha: keep it, as a fourth channel, where the file has one.
        max_pixels: that a file may have.

    Returns:
        HWC RGB: uint8 in [0, 255] of files with 8 bits or fewer, float32 in [0, 1] (value / 65535) of 16-bit files.

    Raises:
        PictureError: the file is missing, unreadable, empty, no picture, damaged, too large, has 32-bit values, or
            several pages or frames. One line: the file, then the reason.
    """
    path = os.fspath(path)
    data = _bytes(path)
    try:
        kind = recognise(data, os.path.splitext(path)[1])
        return next(decode(data, kind, alpha, max_pixels, single=True)).picture
    except Refused as error:
        raise PictureError(f'{path}: {error}') from None
    except MemoryError:
        raise MemoryError(f'{path}: the memory is not enough to read it') from None


def read_frames(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> tuple[str, list[Frame]]:
    """Read all pages or frames of a file, with alpha and what they carry besides.

    Args:
        path: the file.
        max_pixels: that all of them may have together.

    Returns:
        The kind of the file, a key of :data:`~restorebox.datasets.formats.FORMATS`; its pictures.

    Raises:
        PictureError: see :func:`read_picture`.
    """
    path = os.fspath(path)
    data = _bytes(path)
    try:
        kind = recognise(data, os.path.splitext(path)[1])
        return kind, list(decode(data, kind, True, max_pixels))
    except Refused as error:
        raise PictureError(f'{path}: {error}') from None
    except MemoryError:
        raise MemoryError(f'{path}: the memory is not enough to read it') from None


def _bytes(path: str) -> bytes:
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        raise PictureError(f'{path}: no such file') from None
    except IsADirectoryError:
        raise PictureError(f'{path}: is a folder, not a picture') from None
    except PermissionError:
        raise PictureError(f'{path}: permission denied') from None
    except OSError as error:
        if out_of_memory(error):
            raise MemoryError(f'{path}: the memory is not enough to read it') from None
        raise PictureError(f"{path}: can't be read ({error.strerror})") from None
    if not data:
        raise PictureError(f'{path}: is empty (0 bytes)')
    return data


def read_head(path: str | os.PathLike) -> bytes:
    """The first bytes of a file, by which its kind is known; none where it can't be read, which reading it says."""
    try:
        return read_bytes(path, HEAD)
    except (OSError, ValueError):
        return b''


def picture_size(path: str | os.PathLike) -> tuple[int, int] | None:
    """(width, height) as they stand in a file's header, or None where there is no header that says them."""
    try:
        kind = recognise(read_head(path), Path(path).suffix)
        with quiet_pillow(), open(path, 'rb', opener=open_regular) as file:
            prepare(kind)
            with Image.open(file, formats=(kind,)) as image:
                return image.size
    except Image.DecompressionBombError:
        return _HUGE
    except Exception:  # damaged bytes make Pillow raise nearly anything; reading the file says what
        return None


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
        passed: notes folders that can't be read instead of raising; where there are some, there may be no picture. Also
            the kinds of the files that are not taken.

    Returns:
        Paths that begin with ``folder``, in an order that depends on nothing but the names.

    Raises:
        DataError: there is no such folder, no picture in it, or a folder can't be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f'{folder}: {"is a file, not a folder" if folder.exists() else "no such folder"}')
    found, others = [], Passed()
    for path in walk(folder, lambda path: recursive and not path.name.startswith('.'), passed):
        if path.name.lower().endswith(suffixes) and not path.name.startswith('.'):
            found.append(path)
        else:
            (passed or others).leave(path)
    if not found and not (passed is not None and passed.unread):
        there = ''.join(f'; {line}' for line in left_out((passed or others).kinds))
        raise DataError(f'{folder}: no pictures in this folder (looked for {" ".join(suffixes)}){there}')
    return sorted(found, key=lambda path: (_natural(str(path)), str(path)))


def _natural(text: str) -> list[str | int]:
    """A sort key under which 'rain-2' comes before 'rain-10': text and numbers take turns."""
    return [int(part) if i % 2 else part.lower() for i, part in enumerate(re.split(r'([0-9]+)', text))]
