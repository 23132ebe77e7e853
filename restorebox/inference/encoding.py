"""Encoding of pictures with their metadata into the bytes of a file, per format."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from PIL import Image

from restorebox.datasets.formats import FORMATS
from restorebox.datasets.tiff import IFDEntry, first_offset, read_directory, set_first_directory, write_directory
from restorebox.inference.metadata import (
    ASPECT,
    CENTIMETRE,
    INCH,
    METRE,
    Metadata,
    in_unit,
    png_chunk,
    tiff_entries,
)

if TYPE_CHECKING:
    from restorebox.inference.files import PictureFile

QUALITY = 95  # default for JPEG, WebP and AVIF
_PROFILE = 34675  # TIFF tag of the ICC profile
_JPEG_BODY = 65533  # maximum bytes of a segment
_CLASSIC = 2**32 - 2**25  # maximum bytes of pixels and metadata in a classic TIFF; larger ones are BigTIFF


def encode(pages: Sequence[PictureFile], kind: str, quality: int = QUALITY) -> bytes:
    """Encode all pages or frames of a file.

    Args:
        pages: at least one; more only for formats that support several.
        kind: a key of :data:`~restorebox.datasets.formats.FORMATS`.
        quality: of JPEG, WebP and AVIF, 1 to 100.

    Raises:
        ValueError, RuntimeError, OSError: the format can't hold the picture; message of the encoder.
        MemoryError: not enough memory.
    """
    if kind == 'TIFF':
        return _tiff(pages)
    deep = pages[0].colours.dtype == np.uint16
    data = _encode_16bit(pages[0].layers, kind) if deep else _pillow(pages, kind, quality)
    if kind == 'PNG':
        return data[:33] + _png_extra(pages[0]) + data[33:]  # after the signature (8 bytes) and IHDR (25)
    density = pages[0].metadata.density
    if density and kind == 'BMP':
        return data[:38] + struct.pack('<ii', *(round(each) for each in in_unit(density, METRE))) + data[46:]
    if density and kind == 'JPEG' and data[6:11] == b'JFIF\0':
        unit = density[2] if density[2] in (INCH, CENTIMETRE, ASPECT) else INCH
        sides = [min(65535, max(1, round(each))) for each in in_unit(density, unit)]
        return data[:13] + struct.pack('>BHH', unit, *sides) + data[18:]
    return data


def _pillow(pages: Sequence[PictureFile], kind: str, quality: int) -> bytes:
    """Encode 8-bit pictures with Pillow."""
    first, what = pages[0], pages[0].metadata
    options: dict = {}
    if kind == 'PNG':  # on photographs a quarter of the default level's time, for 8 % more bytes
        options = {'compress_level': 2}
    elif kind == 'JPEG':
        options = {'quality': quality, 'subsampling': 0, 'extra': _jpeg_extra(what)}
        options |= {'exif': b'Exif\0\0' + what.exif} if what.exif else {}
    elif kind in ('WEBP', 'AVIF'):
        options = {'quality': quality, 'exif': what.exif or b'', 'xmp': what.xmp or b''}
        options |= {'exact': True} if kind == 'WEBP' else {'subsampling': '4:4:4'}
    elif kind == 'TGA':
        options = {'compression': 'tga_rle'}
    elif kind == 'JPEG2000':
        options = {'comment': b'\n'.join(what.comments)} if what.comments else {}
    if kind in ('JPEG', 'WEBP', 'AVIF') and first.profile:
        options['icc_profile'] = first.profile
    if len(pages) > 1:
        options |= {'save_all': True, 'append_images': [Image.fromarray(page.layers) for page in pages[1:]]}
    if first.timing is not None and len(pages) > 1:
        options['duration'] = [each if kind == 'PNG' else round(each) for each in first.timing.durations]
        if kind == 'PNG':
            options |= {'disposal': 0, 'blend': 0, 'default_image': first.timing.still_first}
        if 'loop' in FORMATS[kind].holds:
            options['loop'] = first.timing.plays
    buffer = BytesIO()
    Image.fromarray(first.layers).save(buffer, 'MPO' if kind == 'JPEG' and len(pages) > 1 else kind, **options)
    return buffer.getvalue()


def _encode_16bit(layers: np.ndarray, kind: str) -> bytes:
    """Encode a 16-bit PNG or PNM with OpenCV."""
    if layers.ndim == 3 and layers.shape[-1] == 2:  # OpenCV does not support grey with alpha
        layers = np.concatenate((np.repeat(layers[..., :1], 3, -1), layers[..., 1:]), -1)
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}
    swapped = layers if layers.ndim == 2 else np.ascontiguousarray(layers[..., order[layers.shape[-1]]])
    done, data = cv2.imencode('.png' if kind == 'PNG' else '.ppm' if layers.ndim == 3 else '.pgm', swapped)
    if not done:
        raise OSError('a 16-bit picture could not be encoded')
    return data.tobytes()


def _jpeg_extra(what: Metadata) -> bytes:
    """Return segments that Pillow does not write, or writes only once.

    Raises:
        ValueError: the data is longer than a segment.
    """
    bodies = []
    if what.xmp:
        bodies.append((0xE1, b'http://ns.adobe.com/xap/1.0/\0' + what.xmp))
    if what.iptc:
        resource = b'8BIM\x04\x04\0\0' + struct.pack('>I', len(what.iptc)) + what.iptc + b'\0' * (len(what.iptc) % 2)
        bodies.append((0xED, b'Photoshop 3.0\0' + resource))
    bodies += [(0xFE, comment) for comment in what.comments]
    for _, body in bodies:
        if len(body) > _JPEG_BODY:
            raise ValueError(f'its XMP, IPTC or comment is longer than the {_JPEG_BODY} bytes of a segment')
    return b''.join(struct.pack('>BBH', 0xFF, marker, len(body) + 2) + body for marker, body in bodies)


def _png_extra(picture: PictureFile) -> bytes:
    """Return the chunks with metadata."""
    what = picture.metadata
    chunks = [(kind, body) for kind, body in what.chunks if not kind.endswith(b'Xt')]  # colour chunks come first
    if picture.profile:
        chunks.append((b'iCCP', b'ICC Profile\0\0' + zlib.compress(picture.profile)))
    if what.density:
        unit = METRE if what.density[2] != ASPECT else ASPECT
        sides = (min(2**31 - 1, round(each)) for each in in_unit(what.density, unit))
        chunks.append((b'pHYs', struct.pack('>IIB', *sides, unit == METRE)))
    if what.exif:
        chunks.append((b'eXIf', what.exif))
    if what.xmp:
        chunks.append((b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0' + what.xmp))
    chunks += [(kind, body) for kind, body in what.chunks if kind.endswith(b'Xt')]
    for comment in what.comments:  # tEXt is Latin-1, iTXt UTF-8
        plain = comment.isascii() or not _is_utf8(comment)
        chunks.append(
            (b'tEXt' if plain else b'iTXt', b'Comment' + (b'\0' if plain else bytes(5)) + comment.rstrip(b'\0'))
        )
    return b''.join(png_chunk(kind, body) for kind, body in chunks)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _tiff(pages: Sequence[PictureFile]) -> bytes:
    """Write the pixels with tifffile, then append a new directory with the metadata for each page.

    The file has the byte order of the first page's EXIF; that of other pages is converted if it differs.
    """
    import tifffile

    order: Literal['<', '>'] = '>' if (pages[0].metadata.exif or b'II')[:2] == b'MM' else '<'
    size = sum(page.layers.nbytes + len(page.metadata.exif or b'') + len(page.profile or b'') for page in pages)
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=size > _CLASSIC) as writer:
        for page in pages:
            writer.write(
                page.layers,
                photometric='minisblack' if page.grey else 'rgb',
                extrasamples=None if page.alpha is None else ['unassalpha'],
                compression='zlib',
                compressionargs={'level': 2},
                metadata=None,
                planarconfig='contig',
                software=False,
            )
    return _with_directories(buffer.getvalue(), pages, order)


def _with_directories(data: bytes, pages: Sequence[PictureFile], order: str) -> bytes:
    """Append a directory with metadata for each page of a TIFF, and link it in place of the old one."""
    written, offset = [], first_offset(data)
    while offset:
        entries, offset, _ = read_directory(data, offset)
        written.append(entries)
    behind = bytearray(data + b'\0' * (len(data) % 2))
    starts = []
    wide = b'+' in data[2:4]
    for entries, page in zip(written, pages, strict=True):
        what = page.metadata
        if what.exif and (what.exif[:2] == b'MM') != (order == '>'):
            what = Metadata(swap_byte_order(what.exif), what.xmp, what.iptc, what.density)
        metadata = tiff_entries(what, order)
        if page.profile:
            metadata.append(IFDEntry(_PROFILE, 7, len(page.profile), page.profile))
        replaced = {entry.tag for entry in metadata}
        table = [entry for entry in entries if entry.tag not in replaced] + metadata
        starts.append(len(behind))
        behind += write_directory(table, data, len(behind))
        behind += b'\0' * (len(behind) % 2)
    set_first_directory(behind, starts[0])
    for here, after in itertools.pairwise(starts):
        place = read_directory(behind, here)[2]
        struct.pack_into(order + ('Q' if wide else 'I'), behind, place, after)
    return bytes(behind)


def swap_byte_order(block: bytes) -> bytes:
    """Return an EXIF block in the other byte order."""
    widths = {3: 2, 8: 2, 4: 4, 9: 4, 5: 4, 10: 4, 11: 4, 13: 4, 12: 8, 16: 8, 17: 8, 18: 8}

    def swap(entries: list[IFDEntry]) -> list[IFDEntry]:
        return [
            IFDEntry(
                e.tag,
                e.kind,
                e.count,
                np.frombuffer(e.raw, f'u{widths[e.kind]}').byteswap().tobytes() if e.kind in widths else e.raw,
                directory=None if e.directory is None else swap(e.directory),
            )
            for e in entries
        ]

    head = b'MM\0*\0\0\0\x08' if block[:2] == b'II' else b'II*\0\x08\0\0\0'
    return head + write_directory(swap(read_directory(block, first_offset(block))[0]), head, 8)
