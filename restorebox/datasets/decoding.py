"""Bytes of a file -> pictures: the one place where a picture is decoded, whichever kind it is.

Pillow decodes everything with 8 bits, :mod:`restorebox.datasets.deep` the rest.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from restorebox.datasets.deep import decode_deep, grey_to_rgb, largest_value
from restorebox.datasets.formats import RAW_HINT, Refused
from restorebox.datasets.tiff import TIFF_TAGS, first_directory, first_offset, page_offsets, read_directory, tiff_fields
from restorebox.errors import out_of_memory

MAX_PIXELS = 2 * (1024**3 // 4 // 3)  # 178956970, where Pillow's own guard against decompression bombs stands
PIXEL_BYTES = (12, 32)  # of memory, with 8 and with 16 bits, that reading, restoring and writing take a pixel

_ORIENTATION = 274  # of EXIF and of TIFF alike

_lock = threading.Lock()


@dataclass
class Frame:
    """One picture of a file, decoded.

    Attributes:
        picture: ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA, upright; uint8 in [0, 255] of files with 8 bits or fewer,
            float32 in [0, 1] of deeper ones.
        mode: Pillow's, of the file.
        orientation: EXIF's 1 to 8, which has been applied.
        profile: ICC profile for ``picture``, or None.
        info: Pillow's, of what the file carries besides.
        exif: the block of EXIF as Pillow has found it, without what stands before its TIFF header; None for TIFF.
        data: bytes of the file, of a TIFF with this page as the first.
        notes: what of this picture could not be kept, one line each.
    """

    picture: np.ndarray
    mode: str
    orientation: int
    profile: bytes | None
    info: dict[str, Any]
    exif: bytes | None
    data: bytes
    notes: list[str] = field(default_factory=list)


def decode(
    data: bytes, kind: str, alpha: bool = False, max_pixels: int = MAX_PIXELS, single: bool = False
) -> Iterator[Frame]:
    """The pages or frames of a file, one after the other.

    Args:
        data: all bytes of the file.
        kind: see :func:`restorebox.datasets.formats.recognise`.
        alpha: keep it, as a fourth channel, where the file has one.
        max_pixels: that all its pictures may have together.
        single: refuse a file of several.

    Raises:
        Refused: the reason, for one line.
        MemoryError: the memory is not enough.
    """
    if kind != 'TIFF':
        yield from _decode_frames(data, kind, alpha, max_pixels, single)
        return
    with _guarded():
        first, pages = first_offset(data), page_offsets(data)
        _check_number(len(pages), single)
        _check_size(sum(_page_pixels(data, offset) for offset in pages), max_pixels)
    for number, offset in enumerate(pages, 1):
        page = data if offset == first else first_directory(data, offset)
        try:
            yield from _decode_frames(page, kind, alpha, max_pixels, single)
        except Refused as error:
            raise Refused(f'page {number} of {len(pages)}: {error}' if len(pages) > 1 else str(error)) from None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Neither warnings nor log lines of Pillow's about a file, e.g. about EXIF that is cut short: the picture decides.

    Pillow logs a few decoding errors besides raising them; without a handler they would land on stderr.
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
    """Turns whatever a decoder raises into :class:`Refused`, or MemoryError where that is what it means."""

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
        # damaged bytes make Pillow raise nearly anything, from SyntaxError to struct.error
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise Refused(f'is damaged or cut short ({reason[:200]})') from None


def _too_large(pixels: int, limit: int) -> str:
    memory = [pixels * each / 2**30 for each in PIXEL_BYTES]
    return (
        f'has {pixels} pixels; more than {limit} are only read when asked for, since any file may claim any number: '
        f'--max-pixels {pixels} (max_pixels in Python) reads it and takes about {memory[0]:.1f} GiB of memory, '
        f'{memory[1]:.1f} GiB with 16 bits'
    )


def prepare(kind: str) -> None:
    """Make Pillow know a kind that a package of its own decodes."""
    if kind == 'HEIF' and 'HEIF' not in Image.OPEN:
        import pi_heif

        pi_heif.register_heif_opener()


def _open(data: bytes, kind: str, max_pixels: int) -> Image.Image:
    """Pillow's picture, of which the header has been read."""
    with _lock:  # Pillow's guard is one for the whole process: only ever raised, when a user has asked for it
        if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
            Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)
    prepare(kind)
    image = Image.open(BytesIO(data), formats=(kind,))
    _check_size(image.width * image.height, max_pixels)
    return image


def _check_size(pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise Refused(_too_large(pixels, max_pixels))


def _check_number(number: int, single: bool) -> None:
    if number > 1 and single:
        raise Refused(
            f'holds {number} pages or frames, and one picture is wanted; save them one by one (`restorebox restore` '
            'takes them whole)'
        )


def _page_pixels(data: bytes, offset: int) -> int:
    order = 'little' if data[:2] == b'II' else 'big'
    sides = [entry for entry in read_directory(data, offset)[0] if entry.tag in (256, 257)]
    return math.prod(int.from_bytes(side.raw, order) for side in sides)


def _numbers(image: Image.Image) -> Sequence[int]:
    """The frames of an opened file that are pictures; previews and gain maps inside a JPEG are not."""
    if image.format == 'TIFF':  # its pages have been taken apart
        return [0]
    count = getattr(image, 'n_frames', 1)
    if count == 1:
        return [image.tell()]
    if image.format != 'MPO':
        return range(count)  # no list: a header may claim two thousand million
    first, found = image.size, [0]
    for number in range(1, count):
        try:
            image.seek(number)
        except Exception:  # what stands there is no JPEG, or is gone: it was no picture
            continue
        if image.size == first:
            found.append(number)
    image.seek(0)
    return found


def _decode_frames(data: bytes, kind: str, alpha: bool, max_pixels: int, single: bool) -> Iterator[Frame]:
    """The frames of one file, or the first page of a TIFF."""
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
        raise Refused(f'holds {len(numbers)} pictures, and HEIF is read with one; save them one by one')
    if len(numbers) > 1 and largest > 255:
        raise Refused('is an animation with more than 8 bits; save it with 8')
    several = kind == 'PPM' and _further_pnm(data, image)
    if several:
        raise Refused('holds several pictures behind each other; save them one by one (pnmsplit)')
    notes = []
    if image.format == 'MPO' and len(numbers) < image.n_frames:
        notes.append(f'{image.n_frames - len(numbers)} previews or gain maps inside are left out')
    for number in numbers:
        with _guarded():
            if len(numbers) > 1:
                image.seek(number)
            frame = _decode_frame(image, data, kind, largest, tiff, alpha)
        frame.notes = [*notes, *frame.notes] if number == numbers[0] else frame.notes
        yield frame


def _decode_frame(image: Image.Image, data: bytes, kind: str, largest: int, tiff: dict, alpha: bool) -> Frame:
    """The frame at which Pillow's picture stands."""
    mode = image.mode
    profile = image.info.get('icc_profile') or None
    # First with Pillow even where it isn't the decoder: at damage it raises, while the others print to stderr as well.
    image.load()
    orientation = tiff[_ORIENTATION][0][0] if _ORIENTATION in tiff else 1 if tiff else _orientation(image)
    info, exif = dict(image.info), _exif_block(image, kind)
    notes: list[str] = []
    if image.mode == 'F' or (image.mode == 'I' and kind != 'PPM'):  # 16-bit PGM opens as I
        raise Refused('has 32-bit values, of which the range is unknown; save it with 8 or 16 bits')
    if largest > 255:
        size = image.size
        image.close()  # its pixels, before the other decoder takes memory for its own
        picture = decode_deep(data, kind, largest, tiff, alpha, size)
        turned = orientation
    else:
        loaded = image
        if image.mode in ('CMYK', 'LAB'):
            loaded, profile = _from_inks(image, profile, notes)
        wanted = 'RGBA' if alpha and loaded.has_transparency_data else 'RGB'
        if loaded.mode.startswith('I;16') or loaded.mode == 'I':  # 16-bit grey of a kind without a decoder of its own
            picture = grey_to_rgb(np.asarray(loaded).astype(np.float32) / 65535)
        else:
            picture = np.asarray(loaded if loaded.mode == wanted else loaded.convert(wanted))
        # Pillow turns a TIFF while it loads it
        turned = 1 if tiff else orientation
    if profile is not None and not _fits(profile, mode):
        space = profile[16:20].decode('ascii', 'replace').strip()
        notes.append(f'its ICC profile is for another kind of colour ({space}) and left out')
        profile = None
    return Frame(_orient(picture, turned), mode, orientation, profile, info, exif, data, notes)


def _from_inks(image: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    """CMYK or Lab -> RGB as a viewer shows it, and the profile of that: sRGB, or None for inks without a profile.

    The intent is the perceptual one, the default of viewers; a profile without a table for it uses its only one.
    """
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB'))
    if image.mode == 'LAB':
        source = ImageCms.createProfile('LAB')  # D50, as TIFF says
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
            raise Refused('is Lab that can not be converted; save it as RGB') from None
        notes.append("its ICC profile is damaged or not for CMYK, so that the inks' colours are a guess")
        return image.convert('RGB'), None
    return done, _stable(srgb.tobytes())


def _stable(profile: bytes) -> bytes:
    """A profile that LittleCMS made, without the time at which it did (bytes 24 to 35)."""
    return profile[:24] + struct.pack('>6H', 2000, 1, 1, 0, 0, 0) + profile[36:]


def _fits(profile: bytes, mode: str) -> bool:
    """Whether a profile's colour space is that of what the picture becomes; grey files may have one for RGB."""
    space = profile[16:20]
    grey = mode in ('1', 'L', 'LA', 'I') or mode.startswith('I;16')
    return space == b'RGB ' or (space == b'GRAY' and grey) or len(profile) < 128


def _further_pnm(data: bytes, image: Image.Image) -> bool:
    """Whether a PNM holds another picture behind its first one."""
    if data[1:2] in b'123' or not image.tile:
        return False
    start, args = image.tile[0][2], image.tile[0][3]
    width, height = image.size
    rows = (width + 7) // 8 if data[1:2] == b'4' else width * (3 if data[1:2] == b'6' else 1)
    deep = 2 if largest_value(data, 'PPM', {}) > 255 else 1
    rest = data[start + rows * height * deep :][:64] if args else b''
    return re.match(rb'\s*P[1-6][\s#]', rest) is not None


def _exif_block(image: Image.Image, kind: str) -> bytes | None:
    """EXIF of a loaded picture from its TIFF header on."""
    if kind == 'TIFF':
        return None
    block = image.info.get('exif')
    if not block and 'Raw profile type exif' in image.info:  # ImageMagick's way, in PNG
        try:
            block = bytes.fromhex(''.join(image.info['Raw profile type exif'].split('\n')[3:]))
        except (ValueError, AttributeError):
            return None
    return bytes(block).removeprefix(b'Exif\0\0') if block else None


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8 of a loaded picture; 1 when there is none or it can't be parsed."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF of any sort: the picture itself is fine
        return 1


def _orient(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a stored picture upright, by EXIF orientation 1 to 8; any other number means 1."""
    if orientation not in range(2, 9):
        return np.ascontiguousarray(picture)
    if orientation >= 5:
        picture = picture.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
