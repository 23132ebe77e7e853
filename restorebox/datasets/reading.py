"""Reading of picture files and listing of picture folders.

See :mod:`restorebox.datasets.decoding` for decoding and :mod:`restorebox.datasets.formats` for the supported kinds.
"""

from __future__ import annotations

import os
import re
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from restorebox.datasets.decoding import MAX_PIXELS, Frame, decode, prepare, quiet_pillow
from restorebox.datasets.formats import HEAD, PICTURE_SUFFIXES, Refused, left_out, recognise
from restorebox.datasets.tiff import first_offset, read_directory
from restorebox.datasets.walking import SkippedFiles, walk
from restorebox.errors import DataError, PictureError, out_of_memory
from restorebox.files import open_regular
from restorebox.storage import RemotePath, read

_HUGE = (2**16, 2**16)  # size reported for pictures above Pillow's limit


def read_picture(path: str | os.PathLike, alpha: bool = False, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a picture file of any supported kind.

    EXIF orientation is applied. Grey, palette, 1-bit, CMYK and Lab pictures are converted to RGB, CMYK with its ICC
    profile if available. Alpha is dropped; the colours are not blended with a background.

    Args:
        path: the file.
        alpha: keep the alpha channel as a fourth channel, if there is one.
        max_pixels: maximum number of pixels.

    Returns:
        HWC RGB: uint8 in [0, 255] for files with 8 bits or fewer, float32 in [0, 1] (value / 65535) for 16-bit files.

    Raises:
        PictureError: the file is missing, unreadable, empty, not a picture, damaged, too large, has 32-bit values, or
            several pages or frames. One line: the file, then the reason.
        MemoryError: not enough memory.
    """
    data = _bytes(path)
    try:
        kind = recognise(data, os.path.splitext(path)[1])
        return next(decode(data, kind, alpha, max_pixels, single=True)).picture
    except Refused as error:
        raise PictureError(f'{path}: {error}') from None
    except MemoryError:
        raise MemoryError(f'{path}: the memory is not enough to read it') from None


def read_frames(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> tuple[str, list[Frame]]:
    """Read all pages or frames of a file with alpha and metadata.

    Args:
        path: the file.
        max_pixels: maximum number of pixels of all pages or frames together.

    Returns:
        The kind of the file, a key of :data:`~restorebox.datasets.formats.FORMATS`, and its pages or frames.

    Raises:
        PictureError, MemoryError: see :func:`read_picture`.
    """
    data = _bytes(path)
    try:
        kind = recognise(data, os.path.splitext(path)[1])
        return kind, list(decode(data, kind, True, max_pixels))
    except Refused as error:
        raise PictureError(f'{path}: {error}') from None
    except MemoryError:
        raise MemoryError(f'{path}: the memory is not enough to read it') from None


def _bytes(path: str | os.PathLike) -> bytes:
    try:
        data = read(path)
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
    """Return the first bytes of a file, for recognition of its kind; empty if it can't be read."""
    try:
        return read(path, HEAD)
    except (OSError, ValueError):
        return b''


def picture_size(path: str | os.PathLike) -> tuple[int, int] | None:
    """Return (width, height) from the header of a file, or None if the header can't be read."""
    try:
        if isinstance(path, RemotePath):
            return None
        kind = recognise(read_head(path), Path(path).suffix)
        with quiet_pillow(), open(path, 'rb', opener=open_regular) as file:
            prepare(kind)
            if kind == 'TIFF':  # Pillow would copy the values of fields that overlap
                with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                    read_directory(data, first_offset(data))
            with Image.open(file, formats=(kind,)) as image:
                return image.size
    except Image.DecompressionBombError:
        return _HUGE
    except Exception:  # damaged files raise many exception types; reading the whole file gives the reason
        return None


def list_pictures(
    folder: str | os.PathLike,
    recursive: bool = False,
    suffixes: tuple[str, ...] = PICTURE_SUFFIXES,
    skipped: SkippedFiles | None = None,
) -> list[Path]:
    """List the picture files of a folder in natural order ('rain-2' before 'rain-10').

    Args:
        folder: the folder. Hidden files and folders are skipped.
        recursive: include sub-folders and linked folders, see :func:`restorebox.datasets.walking.walk`.
        suffixes: suffixes of the files to list, in lower case.
        skipped: records unreadable folders instead of raising, and counts skipped files by suffix. If there are
            unreadable folders, the result may be empty.

    Returns:
        Paths that begin with ``folder``, in an order that depends on the names only.

    Raises:
        DataError: the folder does not exist, has no pictures, or a folder can't be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f'{folder}: {"is a file, not a folder" if folder.exists() else "no such folder"}')
    found: list[Path] = []
    others = SkippedFiles()
    for path in walk(folder, lambda path: recursive and not path.name.startswith('.'), skipped):
        if path.name.lower().endswith(suffixes) and not path.name.startswith('.'):
            found.append(path)
        else:
            (skipped or others).add(path)
    if not found and not (skipped is not None and skipped.unreadable):
        hint = ''.join(f'; {line}' for line in left_out((skipped or others).suffixes))
        inside = [] if recursive else sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != '.')
        if inside:
            hint += f'; its sub-folders are not searched: {", ".join(inside[:3])}{", ..." * (len(inside) > 3)}'
        raise DataError(f'{folder}: no pictures in this folder (looked for {" ".join(suffixes)}){hint}')
    return sorted(found, key=natural_order)


def natural_order(path: PurePath) -> tuple[list[str | tuple[int, str]], str]:
    """Return a key for natural sorting of paths."""
    return natural_key(str(path).lower()), str(path)


def natural_key(text: str) -> list[str | tuple[int, str]]:
    """Return a key for natural sorting: text and numbers, as (digits, number), alternate.

    int() refuses more than 4,300 digits.
    """
    return [(len(part), part) if i % 2 else part for i, part in enumerate(re.split(r'0*([0-9]+)', text))]
