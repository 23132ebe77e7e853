"""Decoding of picture files of all kinds.

Pillow decodes pictures with 8 bits per value, :mod:`restorebox.datasets.deep` those with more.
"""

from __future__ import annotations

import logging
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from restorebox.datasets.deep import decode_deep, grey_to_rgb, largest_value
from restorebox.datasets.formats import RAW_HINT, Refused
from restorebox.datasets.tiff import (
    TIFF_TAGS,
    InMemory,
    SharedBytesError,
    first_offset,
    read_directory,
    read_pages,
    set_first_directory,
    tiff_fields,
)
from restorebox.errors import out_of_memory

MAX_PIXELS = 2 * (1024**3 // 4 // 3)  # 178956970, Pillow's limit against decompression bombs
PIXEL_BYTES = (12, 32)  # memory per pixel for reading, restoring and writing, with 8 and with 16 bits per value

_SHARED_VALUES = 2**28  # bytes of fields that pages of a TIFF may share, such as a profile, counted for each page
_ORIENTATION = 274  # tag in EXIF and TIFF

_lock = threading.Lock()


@dataclass
class Frame:
    """A decoded page or frame of a file.

    Attributes:
        picture: ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA with the orientation applied; uint8 in [0, 255] for files with
            8 bits or fewer, else float32 in [0, 1].
        mode: Pillow mode of the file.
        orientation: EXIF orientation 1 to 8, which has been applied.
        profile: ICC profile of ``picture``, or None.
        info: Pillow's ``info`` dict with the metadata of the file.
        exif: EXIF block from its TIFF header on; None for TIFF files.
        notes: one message for each part of the picture that could not be kept.
        data: bytes of the file.
        directory: offset of the directory of this page in a TIFF; 0 for other kinds.
    """

    picture: np.ndarray
    mode: str
    orientation: int
    profile: bytes | None
    info: dict[Any, Any]
    exif: bytes | None
    notes: list[str]
    data: bytes = b''
    directory: int = 0


def decode(
    data: bytes, kind: str, alpha: bool = False, max_pixels: int = MAX_PIXELS, single: bool = False
) -> Iterator[Frame]:
    """Decode the pages or frames of a file one after the other.

    Args:
        data: all bytes of the file.
        kind: see :func:`restorebox.datasets.formats.recognise`.
        alpha: keep the alpha channel as a fourth channel, if there is one.
        max_pixels: maximum number of pixels of all pages or frames together.
        single: refuse files with several pages or frames.

    Raises:
        Refused: the file can't be decoded; the text is the reason.
        MemoryError: not enough memory.
    """
    if kind == 'PNG':
        _check_png(data)
    if kind != 'TIFF':
        for frame in _decode_frames(data, kind, alpha, max_pixels, single):
            yield replace(frame, data=data)
        return
    with _guarded():
        first, pages = first_offset(data), read_pages(data)
        _check_number(len(pages), single)
        _check_size(sum(page.pixels for page in pages), max_pixels)
        values = sum(page.values for page in pages)
        if values > 2 * len(data) + _SHARED_VALUES:
            raise Refused(f'is not read: its {len(pages)} pages share fields of {values} bytes, if each page counts')
    alone = [page.offset for page in pages] == [first]
    file = data if alone else bytearray(data)  # one copy for all pages
    for number, page in enumerate(pages, 1):
        if isinstance(file, bytearray):
            set_first_directory(file, page.offset)
        try:
            for frame in _decode_frames(file, kind, alpha, max_pixels, single):
                yield replace(frame, data=data, directory=page.offset)
        except Refused as error:
            raise Refused(f'page {number} of {len(pages)}: {error}' if len(pages) > 1 else str(error)) from None


def _check_png(data: bytes) -> None:
    """Refuse a PNG with a wrong checksum of its pixels.

    Decoders stop when they have all rows, before the checksum of the whole stream. So a file whose end was never
    written, and is zeros, gives rows without an error.
    """
    view, place = memoryview(data), 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, place)
        end = place + 12 + length
        if kind == b'IEND':
            return
        whole = kind in (b'IDAT', b'fdAT') and end <= len(data)  # one that is cut short is found by the decoder
        if whole and zlib.crc32(view[place + 4 : end - 4]) != struct.unpack_from('>I', data, end - 4)[0]:
            raise Refused('is damaged or cut short (the checksum of its pixels is wrong)')
        place = end


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Suppress Pillow's warnings and log messages, e.g. about truncated EXIF; only errors of the picture matter.

    Pillow logs some decoding errors in addition to raising them; without a handler they are printed to stderr.
    """
    silent = logging.NullHandler()
    logging.getLogger('PIL').addHandler(silent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.getLogger('PIL').removeHandler(silent)


class _guarded:
    """Context manager that converts exceptions of a decoder to :class:`Refused` or MemoryError."""

    def __enter__(self) -> None:
        self.quiet = quiet_pillow()
        self.quiet.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.quiet.__exit__(None, None, None)
        if error is None or isinstance(error, Refused) or not isinstance(error, Exception):
            return
        if out_of_memory(error):
            raise MemoryError(str(error)) from None
        if isinstance(error, UnidentifiedImageError):
            raise Refused('is not a picture of a known kind, or is damaged at its very beginning') from None
        if isinstance(error, Image.DecompressionBombError):
            number = re.search(r'\((\d{1,20}) pixels\)', str(error))
            raise Refused(_too_large(int(number[1]) if number else 0, MAX_PIXELS)) from None
        # for damaged files Pillow raises many exception types, from SyntaxError to struct.error
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise Refused(f'is damaged or cut short ({reason[:200]})') from None


def _too_large(pixels: int, limit: int) -> str:
    memory = [pixels * each / 2**30 for each in PIXEL_BYTES]
    return (
        f'has {pixels} pixels, more than the limit of {limit} that protects against decompression bombs: '
        f'--max-pixels {pixels} (max_pixels in Python) reads it and takes about {memory[0]:.1f} GiB of memory, '
        f'{memory[1]:.1f} GiB with 16 bits'
    )


def prepare(kind: str) -> None:
    """Register the Pillow plugin of a kind that a separate package decodes."""
    if kind == 'HEIF' and 'HEIF' not in Image.OPEN:
        import pi_heif

        pi_heif.register_heif_opener()


def _open(data: bytes | bytearray, kind: str, max_pixels: int) -> Image.Image:
    """Open a file with Pillow, which reads the header only."""
    with _lock:  # Pillow's limit is global for the process; it is only ever raised, at a user's request
        if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
            Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)
    prepare(kind)
    file: Any = InMemory(data) if isinstance(data, bytearray) else BytesIO(data)
    image = Image.open(file, formats=(kind,))
    _check_size(image.width * image.height, max_pixels)
    return image


def _check_size(pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise Refused(_too_large(pixels, max_pixels))


def _check_number(number: int, single: bool) -> None:
    if number > 1 and single:
        raise Refused(
            f'holds {number} pages or frames, but must have one; save them as separate files (`restorebox restore` '
            'accepts several)'
        )


def _numbers(image: Image.Image) -> Sequence[int]:
    """Return the indices of the frames that are pictures, without previews and gain maps of a JPEG (MPO)."""
    if image.format == 'TIFF':  # decode() passes single pages
        return [0]
    count = getattr(image, 'n_frames', 1)
    if count == 1:
        return [image.tell()]
    if image.format != 'MPO':
        return range(count)  # not a list, since a header may claim 2^31 frames
    first, found = image.size, [0]
    for number in range(1, count):
        try:
            image.seek(number)
        except Exception:  # not a JPEG, or beyond the end of the file
            continue
        if image.size == first:
            found.append(number)
    image.seek(0)
    return found


def _decode_frames(data: bytes | bytearray, kind: str, alpha: bool, max_pixels: int, single: bool) -> Iterator[Frame]:
    """Decode the frames of a file, or the first page of a TIFF."""
    tiff = tiff_fields(data) if kind == 'TIFF' else {}
    if kind == 'TIFF' and TIFF_TAGS['dng'] in tiff:
        raise Refused(f'is of a kind that is not read; {RAW_HINT}')
    largest = largest_value(data, kind, tiff)
    with _guarded():
        image = _open(data, kind, max_pixels)
        numbers = _numbers(image)
    _check_number(len(numbers), single)
    _check_size(len(numbers) * image.width * image.height, max_pixels)
    if len(numbers) > 1 and kind == 'HEIF':
        raise Refused(f'holds {len(numbers)} pictures, but HEIF may only have one; save them as separate files')
    if len(numbers) > 1 and largest > 255:
        raise Refused('is an animation with more than 8 bits; save it with 8 bits')
    several = kind == 'PPM' and _further_pnm(data, image)
    if several:
        raise Refused('holds several pictures; save them as separate files (pnmsplit)')
    notes: list[str] = []
    if image.format == 'MPO':
        others = getattr(image, 'n_frames', 1) - len(numbers)
        if others > 0:
            notes.append(f'{others} previews or gain maps inside are left out')
    for number in numbers:
        with _guarded():
            if len(numbers) > 1:
                image.seek(number)
            frame = _decode_frame(image, data, kind, largest, tiff, alpha)
        frame.notes = [*notes, *frame.notes] if number == numbers[0] else frame.notes
        yield frame


def _decode_frame(
    image: Image.Image, data: bytes | bytearray, kind: str, largest: int, tiff: dict, alpha: bool
) -> Frame:
    """Decode the current frame of a Pillow image."""
    mode = image.mode
    profile = image.info.get('icc_profile') or None
    # Load with Pillow even if another decoder follows: for damaged files the others print to stderr.
    image.load()
    exif = _exif_block(image, kind)
    orientation = tiff[_ORIENTATION][0][0] if _ORIENTATION in tiff else 1 if tiff else _orientation(image, exif)
    info = dict(image.info)
    notes: list[str] = []
    if image.mode == 'F' or (image.mode == 'I' and kind != 'PPM'):  # 16-bit PGM opens as I
        raise Refused('has 32-bit values, of which the range is unknown; save it with 8 or 16 bits')
    if largest > 255:
        size = image.size
        image.close()  # free its pixels before the other decoder allocates memory
        picture = decode_deep(data, kind, largest, tiff, alpha, size, info.get('transparency'))
        to_apply = orientation
    else:
        loaded = image
        if image.mode in ('CMYK', 'LAB'):
            loaded, profile = _from_inks(image, profile, notes)
        wanted = 'RGBA' if alpha and loaded.has_transparency_data else 'RGB'
        if loaded.mode.startswith('I;16') or loaded.mode == 'I':  # 16-bit grey of a kind that decode_deep doesn't read
            picture = grey_to_rgb(np.asarray(loaded).astype(np.float32) / 65535)
        else:
            picture = np.asarray(loaded if loaded.mode == wanted else loaded.convert(wanted))
        to_apply = 1 if tiff else orientation  # Pillow applies the orientation of a TIFF itself
    if profile is not None and not _fits(profile, mode):
        space = profile[16:20].decode('ascii', 'replace').strip()
        notes.append(f'its ICC profile is for another colour space ({space}) and left out')
        profile = None
    return Frame(_orient(picture, to_apply), mode, orientation, profile, info, exif, notes)


def _from_inks(image: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    """Convert CMYK or Lab to RGB; return it with its profile: sRGB, or None for CMYK without a profile.

    The rendering intent is perceptual, the default of viewers; profiles without a table for it use their only one.
    """
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB'))
    source: Any
    if image.mode == 'LAB':
        source = ImageCms.createProfile('LAB')  # white point D50, as in the TIFF specification
    elif profile is None:
        return image.convert('RGB'), None
    else:
        source = BytesIO(profile)
    try:
        done = ImageCms.profileToProfile(image, source, srgb, outputMode='RGB')
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        if out_of_memory(error):
            raise MemoryError(str(error)) from None
        if image.mode == 'LAB':
            raise Refused("is a Lab picture that can't be converted; save it as RGB") from None
        notes.append('its ICC profile is damaged or not for CMYK; it was converted without a profile')
        return image.convert('RGB'), None
    assert done is not None  # None only for in-place conversion
    return done, _stable(srgb.tobytes())


def _stable(profile: bytes) -> bytes:
    """Make a profile of LittleCMS deterministic by a constant creation time (bytes 24 to 35)."""
    return profile[:24] + struct.pack('>6H', 2000, 1, 1, 0, 0, 0) + profile[36:]


def _fits(profile: bytes, mode: str) -> bool:
    """Return whether a profile fits a picture that is converted to RGB; grey files may have a grey or RGB profile."""
    space = profile[16:20]
    grey = mode in ('1', 'L', 'LA', 'I') or mode.startswith('I;16')
    return space == b'RGB ' or (space == b'GRAY' and grey) or len(profile) < 128


def _further_pnm(data: bytes | bytearray, image: Image.Image) -> bool:
    """Return whether a PNM file contains more than one picture."""
    tiles = getattr(image, 'tile', None)
    if data[1:2] in b'123' or not tiles:
        return False
    start, args = tiles[0][2], tiles[0][3]
    width, height = image.size
    rows = (width + 7) // 8 if data[1:2] == b'4' else width * (3 if data[1:2] == b'6' else 1)
    deep = 2 if largest_value(data, 'PPM', {}) > 255 else 1
    rest = data[start + rows * height * deep :][:64] if args else b''
    return re.match(rb'\s*P[1-6][\s#]', rest) is not None


def _exif_block(image: Image.Image, kind: str) -> bytes | None:
    """Return the EXIF block of a loaded picture from its TIFF header on; None if there is none, and for TIFF."""
    if kind == 'TIFF':
        return None
    block = image.info.get('exif')
    if not block and 'Raw profile type exif' in image.info:  # in PNG files of ImageMagick
        try:
            block = bytes.fromhex(''.join(image.info['Raw profile type exif'].split('\n')[3:]))
        except (ValueError, AttributeError):
            return None
    return bytes(block).removeprefix(b'Exif\0\0') if block else None


def _orientation(image: Image.Image, exif: bytes | None) -> int:
    """Return the EXIF orientation 1 to 8 of a loaded picture; 1 if there is none or it can't be parsed."""
    if exif:
        try:
            read_directory(exif, first_offset(exif))
        except SharedBytesError:  # Pillow would copy the values of each field
            return 1
        except (ValueError, struct.error):  # Pillow may still find it
            pass
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF raises many exception types and is ignored
        return 1


def _orient(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation 1 to 8; any other number means 1."""
    if orientation not in range(2, 9):
        return np.ascontiguousarray(picture)
    if orientation >= 5:
        picture = picture.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
