"""Picture files in and out: what a file has besides its colours is kept.

Colours go through the network; alpha, ICC profile and EXIF are handed on. A grey file stays grey.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from restorebox.datasets.reading import PICTURE_SUFFIXES, read_picture
from restorebox.errors import PictureError
from restorebox.files import write_whole

DEEP_SUFFIXES = ('.png', '.tif', '.tiff', '.pgm', '.ppm', '.pnm')  # that hold 16 bits
QUALITY = 95  # of JPEG and WebP
_HUGE = (2**16, 2**16)  # of a picture that Pillow does not even open
_PROFILE = 34675  # ICC profile, of TIFF
# EXIF that describes the photograph: what, camera, when, who; EXIF and GPS directories; resolution; titles by Windows.
# The rest describes how the old file was laid out.
_DESCRIBING = {270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853, *range(0x9C9B, 0x9CA0)}


@dataclass
class PictureFile:
    """A picture and what its file has besides.

    Attributes:
        colours: ``(H, W, 3)`` RGB, upright; uint8 or uint16 of files, float32 in [0, 1] of arrays.
        alpha: ``(H, W)`` of the same kind, or None.
        grey: whether the file has one channel of colour.
        profile: ICC profile, or None.
        exif: without the orientation, which has been applied, and without what described the old file's layout.
    """

    colours: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    profile: bytes | None = None
    exif: Image.Exif | None = None

    @property
    def layers(self) -> np.ndarray:
        """What a file holds: ``(H, W)`` grey, ``(H, W, 2)`` with alpha, ``(H, W, 3)`` or ``(H, W, 4)``."""
        colours = self.colours
        if self.grey:
            mean = colours.mean(-1, keepdims=True, dtype=np.float32)
            colours = mean if colours.dtype == np.float32 else np.rint(mean).astype(colours.dtype)
        if self.alpha is not None:
            colours = np.concatenate((colours, self.alpha[..., None]), -1)
        return colours[..., 0] if colours.shape[-1] == 1 else colours


def read_file(path: str | Path) -> PictureFile:
    """Read a picture of any usual kind with what its file has besides.

    Raises:
        PictureError: see :func:`restorebox.datasets.reading.read_picture`.
    """
    picture = read_picture(path, alpha=True)
    if picture.dtype != np.uint8:
        picture *= 65535
        picture = np.rint(picture, out=picture).astype(np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # whatever is odd about it, the picture itself has been read
        with Image.open(path) as image:  # the header alone
            mode, profile, exif = image.mode, image.info.get('icc_profile'), describing_exif(image)
    return PictureFile(
        colours=np.ascontiguousarray(picture[..., :3]),
        alpha=np.ascontiguousarray(picture[..., 3]) if picture.shape[-1] == 4 else None,
        grey=mode in ('1', 'L', 'LA', 'I') or mode.startswith('I;16'),
        profile=None if mode in ('CMYK', 'LAB') else profile,  # they become RGB, for which theirs is wrong
        exif=exif or None,
    )


def picture_size(path: str | Path) -> tuple[int, int] | None:
    """(width, height) as they stand in a file's header, or None where there is no header that says them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about sizes that look like a decompression bomb
            with Image.open(path) as image:
                return image.size
    except Image.DecompressionBombError:
        return _HUGE
    except Exception:  # damaged bytes make Pillow raise nearly anything; reading the file says what
        return None


def describing_exif(image: Image.Image) -> Image.Exif:
    """What EXIF says about the photograph and not about its old file; empty where it is broken."""
    kept = Image.Exif()
    try:
        exif = image.getexif()
        for tag in _DESCRIBING & exif.keys():
            kept[tag] = exif.get_ifd(tag) if tag in (34665, 34853) else exif[tag]
        kept.tobytes()
    except Exception:  # broken EXIF makes Pillow raise anything
        return Image.Exif()
    return kept


def target_name(name: str) -> str:
    """The file that a picture is restored into: its own name, with ``.png`` behind it where that can't hold it.

    GIF has 256 colours, too few for what a network makes.
    """
    suffix = Path(name).suffix.lower()
    return name if suffix in PICTURE_SUFFIXES and suffix != '.gif' else f'{name}.png'


def write_file(picture: PictureFile, path: str | Path) -> None:
    """Write a picture in the format that the name asks for, whole or not at all.

    EXIF and ICC profile go into PNG, JPEG, TIFF and WebP; of EXIF a 16-bit TIFF takes the text alone. TIFF with 8 bits
    is not compressed, since compressing writers leave EXIF's directories out.

    Raises:
        PictureError: the format can't hold 16 bits, alpha, or so large a picture.
        OSError: the disk is full or not writable; its ``filename`` is ``path``.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if picture.colours.dtype == np.uint16 and suffix not in DEEP_SUFFIXES:
        raise PictureError(f'{path}: {suffix} files hold 8 bits and the picture has 16; name it .png')
    if picture.alpha is not None and suffix in ('.jpg', '.jpeg', '.pbm', '.pgm', '.ppm', '.pnm'):
        raise PictureError(f"{path}: {suffix} files can't hold the alpha that the picture has; name it .png")
    encode = _encode_deep if picture.colours.dtype == np.uint16 else _encode
    try:
        data = encode(picture, suffix)
    except (ValueError, RuntimeError, OSError) as error:  # a format's largest size or longest EXIF, for example
        raise PictureError(
            f"{path}: can't be written as {suffix} ({' '.join(str(error).split())}); name it .png"
        ) from None
    write_whole(path, data)


def _encode(picture: PictureFile, suffix: str) -> bytes:
    """8 bits, by Pillow."""
    options: dict = {}
    if suffix == '.png':  # on photographs a quarter of the default level's time, and 8 % more bytes
        options = {'compress_level': 2}
    elif suffix in ('.jpg', '.jpeg'):
        options = {'quality': QUALITY, 'subsampling': 0}
    elif suffix == '.webp':
        options = {'quality': QUALITY, 'exact': True}
    if suffix in ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp'):
        if picture.profile:
            options['icc_profile'] = picture.profile
        if picture.exif:
            options['exif'] = (
                picture.exif.tobytes()
            )  # bytes: Pillow's TIFF writer needs a file to read directories from
    buffer = BytesIO()
    kind = {'.pbm': 'PPM', '.pgm': 'PPM', '.pnm': 'PPM'}.get(suffix) or Image.registered_extensions()[suffix]
    Image.fromarray(picture.layers).save(buffer, kind, **options)
    return buffer.getvalue()


def _encode_deep(picture: PictureFile, suffix: str) -> bytes:
    """16 bits: TIFF by tifffile, the rest by OpenCV with what it leaves out put in."""
    layers = picture.layers
    if suffix in ('.tif', '.tiff'):
        return _encode_deep_tiff(picture, layers)
    if layers.ndim == 3 and layers.shape[-1] == 2:  # OpenCV knows no grey with alpha
        layers = np.concatenate((np.repeat(layers[..., :1], 3, -1), layers[..., 1:]), -1)
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}
    swapped = layers if layers.ndim == 2 else np.ascontiguousarray(layers[..., order[layers.shape[-1]]])
    done, data = cv2.imencode(suffix if suffix == '.png' else '.ppm' if layers.ndim == 3 else '.pgm', swapped)
    if not done:
        raise PictureError(f'a 16-bit picture could not be encoded as {suffix}')
    data = data.tobytes()
    if suffix != '.png':
        return data
    extra = b''
    if picture.profile:
        extra += _chunk(b'iCCP', b'ICC Profile\0\0' + zlib.compress(picture.profile))
    if picture.exif:
        extra += _chunk(b'eXIf', picture.exif.tobytes().removeprefix(b'Exif\0\0'))
    return data[:33] + extra + data[33:]  # behind the signature (8) and IHDR (25)


def _chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def _encode_deep_tiff(picture: PictureFile, layers: np.ndarray) -> bytes:
    import tifffile

    tags: list[tuple] = []
    if picture.profile:
        tags.append((_PROFILE, 'B', len(picture.profile), picture.profile, True))
    for tag, value in (picture.exif or {}).items():
        if isinstance(value, str):
            tags.append((tag, 's', 0, value, True))
    colour = 'minisblack' if picture.grey else 'rgb'
    extra = None if picture.alpha is None else ['unassalpha']
    buffer = BytesIO()
    tifffile.imwrite(
        buffer,
        layers,
        photometric=colour,
        extrasamples=extra,
        compression='zlib',
        metadata=None,
        extratags=tags,
        planarconfig='contig',
        software=False,
    )
    return buffer.getvalue()
