"""Metadata of picture files: extraction, and update for the restored picture.

EXIF is edited in place instead of being rewritten, so that UTF-8 text, types, pointers and maker notes, which contain
offsets, stay unchanged.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from restorebox.datasets.decoding import Frame
from restorebox.datasets.tiff import IFDEntry, first_offset, read_directory, write_directory

INCH, CENTIMETRE, METRE, ASPECT = 1, 2, 3, 0  # units of a resolution; the first two as JFIF numbers them
_PER_INCH = {INCH: 1.0, CENTIMETRE: 2.54, METRE: 0.0254}
_IPTC = 0x0404  # Photoshop resource that holds IPTC in a JPEG
_TIFF_IPTC, _TIFF_XMP = 33723, 700
_XRES, _YRES, _UNIT = 282, 283, 296
_WIDTH, _HEIGHT = (256, 40962), (257, 40963)  # of TIFF and of EXIF
_SUBJECT = (37396, 41492)  # coordinates of the subject
# tags of the file layout (strips, tiles, bit depth, JPEG tables), and of data that has its own field in Metadata
_LAYOUT = frozenset(
    {254, 255, *range(258, 260), 262, *range(263, 267), 273, 274, 277, 278, 279, 280, 281, 284, *range(288, 294), 301}
    | {317, *range(320, 348), 347, *range(512, 533), _TIFF_XMP, 34377, 34675, 37724}
)
# PNG chunks of colour space and text
_CHUNKS = (b'gAMA', b'cHRM', b'sRGB', b'cICP', b'mDCV', b'cLLI', b'tEXt', b'zTXt', b'iTXt')
_OWN_TEXT = (b'XML:com.adobe.xmp\0', b'Raw profile type exif\0', b'Raw profile type APP1\0', b'Raw profile type xmp\0')


@dataclass
class Metadata:
    """Metadata of a file, without the ICC profile.

    Attributes:
        exif: EXIF block from its TIFF header on, without orientation and layout tags in the first directory.
        xmp: XMP packet.
        iptc: IPTC record.
        density: (horizontal, vertical, unit) resolution.
        comments: comments without a keyword, as bytes.
        chunks: (type, content) of a PNG's text and colour chunks.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    density: tuple[float, float, int] | None = None
    comments: list[bytes] = field(default_factory=list)
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)

    def names(self) -> set[str]:
        """Return the names of the present kinds, as in :class:`~restorebox.datasets.formats.Format`."""
        found = {name for name in ('exif', 'xmp', 'iptc', 'density') if getattr(self, name)}
        texts = self.comments or any(kind.endswith(b'Xt') for kind, _ in self.chunks)
        return found | ({'comments'} if texts else set())


def read_metadata(frame: Frame, kind: str) -> tuple[Metadata, list[str]]:
    """Read the metadata of a decoded frame, updated for the upright picture.

    Args:
        frame: decoded frame.
        kind: file format, a key of :data:`~restorebox.datasets.formats.FORMATS`.

    Returns:
        The metadata, and one line for each thing that is damaged or left out.
    """
    height, width = frame.picture.shape[:2]
    notes = []
    block = frame.exif
    try:
        if kind == 'TIFF':
            block = _block_of_tiff(frame)
        exif = update_exif(block, (width, height), frame.orientation) if block else None
    except (ValueError, struct.error):
        exif = None
        notes.append('its EXIF is damaged and left out')
    xmp, note = update_xmp(_xmp(frame, kind), (width, height))
    photoshop = frame.info.get('photoshop')
    found = Metadata(
        exif=exif,
        xmp=xmp,
        iptc=photoshop.get(_IPTC) if isinstance(photoshop, dict) else None,
        density=_density(frame, kind),
    )
    if kind == 'JPEG':
        found.comments = [body for marker, body in _segments(frame.data) if marker == 0xFE]
    elif kind == 'PNG':
        found.chunks = [(name, body) for name, body in png_chunks(frame.data) if name in _CHUNKS]
        found.chunks = [each for each in found.chunks if not each[1].startswith(_OWN_TEXT)]
    elif kind in ('GIF', 'JPEG2000') and isinstance(frame.info.get('comment'), bytes):
        comment = frame.info['comment']
        found.comments = [] if comment.startswith(b'Created by OpenJPEG') else [comment]
    return found, notes + note


def update_exif(block: bytes, size: tuple[int, int], orientation: int = 1) -> bytes | None:
    """Update an EXIF block for the upright, restored picture.

    Orientation and thumbnail are removed, sizes are set, and coordinates are rotated with the picture.

    Args:
        block: EXIF from its TIFF header on.
        size: (width, height) of the upright picture.
        orientation: EXIF orientation, 1 to 8, that has been applied.

    Raises:
        ValueError, struct.error: the block is damaged.
    """
    data = bytearray(block)
    start = first_offset(block)
    entries, following, after = read_directory(block, start)
    order = '<' if block[:2] == b'II' else '>'
    inner = [each for entry in entries for each in entry.directory or ()]
    for entry in [*entries, *inner]:
        if entry.tag in _WIDTH + _HEIGHT:
            _set_number(data, entry, size[entry.tag in _HEIGHT], order)
        elif entry.tag in _SUBJECT and entry.kind == 3 and 2 <= entry.count <= 4:
            values = _reorient(struct.unpack(f'{order}{entry.count}H', entry.raw), size, orientation)
            struct.pack_into(f'{order}{entry.count}H', data, entry.value_offset, *values)
    across = {entry.tag: entry for entry in entries if entry.tag in (_XRES, _YRES)}
    if orientation >= 5 and len(across) == 2:  # rotated by 90 degrees
        first, second = (slice(across[tag].offset + 2, across[tag].offset + 12) for tag in (_XRES, _YRES))
        data[first], data[second] = data[second], data[first]
    kept = [bytes(data[entry.offset : entry.offset + 12]) for entry in entries if entry.tag not in _LAYOUT]
    table = struct.pack(order + 'H', len(kept)) + b''.join(kept) + bytes(4)
    data[start : after + 4] = table.ljust(after + 4 - start, b'\0')
    if following:
        _drop_thumbnail(data, block, following, [*entries, *inner, *_nested(inner)])
    return bytes(data) if kept else None


def _nested(entries: list[IFDEntry]) -> list[IFDEntry]:
    return [each for entry in entries for each in entry.directory or ()]


def _set_number(data: bytearray, entry: IFDEntry, value: int, order: str) -> None:
    """Set a field to an integer, as a short if the field has that type and the value fits, else as a long."""
    kind = 3 if entry.kind == 3 and value < 65536 else 4
    struct.pack_into(f'{order}HI', data, entry.offset + 2, kind, 1)
    struct.pack_into(f'{order}{"H" if kind == 3 else "I"}', data, entry.offset + 8, value)


def _reorient(values: tuple[int, ...], size: tuple[int, int], orientation: int) -> list[int]:
    """Transform coordinates (x, y), with a diameter or a width and height, from the stored to the upright picture."""
    x, y, *extent = values
    width, height = size if orientation < 5 else size[::-1]  # as stored
    if orientation >= 5:
        x, y, width, height = y, x, height, width
        extent = extent[::-1]
    if orientation in (2, 3, 6, 7):
        x = max(0, width - 1 - x)
    if orientation in (3, 4, 7, 8):
        y = max(0, height - 1 - y)
    return [min(x, 65535), min(y, 65535), *extent]


def _drop_thumbnail(data: bytearray, block: bytes, offset: int, used: list[IFDEntry]) -> None:
    """Overwrite the thumbnail of the second directory with zeros; truncate it if it is at the end of the block."""
    order = '<' if block[:2] == b'II' else '>'
    try:
        entries, _, after = read_directory(block, offset)
    except (ValueError, struct.error):
        return
    numbers = {e.tag: struct.unpack(order + 'I', e.raw)[0] for e in entries if e.kind == 4 and e.count == 1}
    start, length = numbers.get(513, 0), numbers.get(514, 0)
    end = max([entry.value_offset + len(entry.raw) for entry in used] + [entry.offset + 16 for entry in used])
    if start >= end and start + length <= len(data):
        data[start : start + length] = bytes(length)
    if offset >= end and max(after + 4, start + length) >= len(data.rstrip(b'\0')):
        del data[end + end % 2 :]


def _block_of_tiff(frame: Frame) -> bytes | None:
    """Return an EXIF block with the tags of a TIFF's page except those of its layout."""
    data = frame.data
    big = b'+' in data[2:4]
    entries = [e for e in read_directory(data, frame.directory)[0] if e.tag not in _LAYOUT and e.tag not in (256, 257)]
    if not entries:
        return None
    head = data[:2] + (b'*\0' if data[:2] == b'II' else b'\0*') + struct.pack('<I' if data[:2] == b'II' else '>I', 8)
    if big:
        entries = [e for e in entries if e.kind < 16]
    return head + write_directory(entries, head, 8)


def update_xmp(xmp: bytes | None, size: tuple[int, int]) -> tuple[bytes | None, list[str]]:
    """Update orientation and sizes in an XMP packet; returns it with notes about references that are removed."""
    if not xmp:
        return None, []
    values = {b'Orientation': 1, b'ImageWidth': size[0], b'ImageLength': size[1]}
    values |= {b'PixelXDimension': size[0], b'PixelYDimension': size[1]}
    for name, value in values.items():
        pattern = rb'((?:tiff|exif):' + name + rb'(?:\s*=\s*["\']\s*|\s*>\s*))\d+'
        xmp = re.sub(pattern, rb'\g<1>' + str(value).encode(), xmp)
    for prefix in (b'xmp', b'xap'):  # thumbnails of the degraded picture
        xmp = _without_elements(xmp, prefix + b':Thumbnails')
    moving = rb'((?:GCamera|Camera):(?:MotionPhoto|MicroVideo)(?:\s*=\s*["\']\s*|\s*>\s*))1'
    xmp, count = re.subn(moving, rb'\g<1>0', xmp)
    return xmp, ['the video appended to the picture (motion photo) is left out'] if count else []


def _without_elements(xmp: bytes, name: bytes) -> bytes:
    """Remove all elements of a name in time linear in the packet; a regular expression is quadratic."""
    opening, closing = b'<' + name, b'</' + name + b'>'
    kept, position, start = [], 0, 0
    while (start := xmp.find(opening, start)) >= 0:
        following = start + len(opening)
        if re.match(rb'\w', xmp[following : following + 1]):  # a longer name
            start = following
            continue
        end = xmp.find(closing, following)
        if end < 0:
            break
        kept.append(xmp[position:start])
        position = start = end + len(closing)
    return b''.join([*kept, xmp[position:]])


def _xmp(frame: Frame, kind: str) -> bytes | None:
    if kind == 'TIFF':  # from the file, since Pillow changes it when it rotates the picture
        entries = read_directory(frame.data, frame.directory)[0]
        return next((entry.raw for entry in entries if entry.tag == _TIFF_XMP), None)
    found = frame.info.get('xmp') or frame.info.get('XML:com.adobe.xmp')
    return found.encode() if isinstance(found, str) else found if isinstance(found, bytes) else None


def _density(frame: Frame, kind: str) -> tuple[float, float, int] | None:
    """Return the resolution of the upright picture."""
    info = frame.info
    found: Any = None
    if kind == 'JPEG':
        if 'jfif_unit' in info and (info['jfif_unit'] or info['jfif_density'] not in ((0, 0), (1, 1))):
            found = (*info['jfif_density'], info['jfif_unit'])
    elif kind == 'PNG':
        for name, body in png_chunks(frame.data):
            if name == b'pHYs' and len(body) == 9:
                x, y, unit = struct.unpack('>IIB', body)
                found = (x, y, METRE if unit == 1 else ASPECT)
    elif kind == 'BMP':
        if len(frame.data) > 46 and frame.data[14] >= 40:
            found = (*struct.unpack_from('<ii', frame.data, 38), METRE)
    elif isinstance(info.get('dpi'), tuple):
        found = (*(float(each) for each in info['dpi'][:2]), INCH)
    if found is None or found[0] <= 0 or found[1] <= 0:
        return None
    return (found[1], found[0], found[2]) if frame.orientation >= 5 else found


def in_unit(density: tuple[float, float, int], unit: int) -> tuple[float, float]:
    """Convert a resolution to another unit."""
    factor = 1.0 if density[2] in (unit, ASPECT) else _PER_INCH[density[2]] / _PER_INCH[unit]
    return density[0] * factor, density[1] * factor


def tiff_entries(what: Metadata, order: str) -> list[IFDEntry]:
    """Return the directory entries for metadata in a TIFF.

    Args:
        what: metadata with its EXIF in the byte order of the file.
        order: byte order, '<' or '>'.
    """
    entries = [] if what.exif is None else read_directory(what.exif, first_offset(what.exif))[0]
    entries = [entry for entry in entries if entry.tag not in (256, 257)]
    there = {entry.tag for entry in entries}
    if what.xmp:
        entries.append(IFDEntry(_TIFF_XMP, 1, len(what.xmp), what.xmp))
    if what.iptc and _TIFF_IPTC not in there:
        entries.append(IFDEntry(_TIFF_IPTC, 7, len(what.iptc), what.iptc))
    if what.density and _XRES not in there:
        unit = what.density[2] if what.density[2] in (INCH, CENTIMETRE, ASPECT) else INCH
        for tag, value in zip((_XRES, _YRES), in_unit(what.density, unit), strict=True):
            entries.append(IFDEntry(tag, 5, 1, struct.pack(order + 'II', min(2**32 - 1, round(value * 10000)), 10000)))
        entries = [entry for entry in entries if entry.tag != _UNIT]
        entries.append(IFDEntry(_UNIT, 3, 1, struct.pack(order + 'H', unit + 1)))
    return entries


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, content) of a JPEG's segments before the image data."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in (0xD9, 0xDA):
            return
        length = int.from_bytes(data[place + 2 : place + 4], 'big')
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + length


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, content) of a PNG's chunks except image data."""
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, place)
        if kind not in (b'IDAT', b'fdAT'):
            yield kind, data[place + 8 : place + 8 + length]
        place += 12 + length


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
