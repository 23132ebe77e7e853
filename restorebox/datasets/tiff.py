"""Reading and writing of image file directories (IFD) of TIFF files and EXIF blocks.

Values are kept as raw bytes, so that text keeps its encoding and each value its type.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import RawIOBase
from mmap import mmap
from typing import Any, Literal, NamedTuple

TIFF_TAGS = {
    'kind': 254,  # NewSubfileType: 1 reduced copy, 2 page, 4 mask
    'old_kind': 255,  # SubfileType: 2 reduced copy
    'width': 256,
    'height': 257,
    'bits': 258,
    'photometric': 262,
    'samples': 277,
    'planar': 284,
    'extra': 338,
    'format': 339,
    'dng': 50706,
}
EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
_POINTERS = {0: (EXIF_IFD, GPS_IFD), EXIF_IFD: (INTEROP_IFD,)}  # permitted pointers per directory, without cycles
# bytes per value by type; 13 is IFD, 16 to 18 are types of BigTIFF, 129 is UTF-8 of EXIF 3
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
_MAX_PAGES = 65536

Buffer = bytes | bytearray | mmap


@dataclass
class IFDEntry:
    """A field of a directory.

    Attributes:
        tag: number of the tag.
        kind: type of the values.
        count: number of values.
        raw: the values in the byte order of the file.
        offset: offset of the field in the file.
        value_offset: offset of its values in the file.
        directory: fields of the sub-directory, if this is a pointer to an EXIF, GPS or interoperability directory; else
            None.
    """

    tag: int
    kind: int
    count: int
    raw: bytes
    offset: int = 0
    value_offset: int = 0
    directory: list[IFDEntry] | None = None


def _head(data: Buffer) -> tuple[str, str, str, int, int]:
    """Return byte order, struct codes of an offset and of the number of fields, and bytes per offset and per field.

    Raises:
        ValueError: no TIFF header.
    """
    if data[:2] not in (b'II', b'MM') or data[2:4] not in (b'*\0', b'\0*', b'+\0', b'\0+'):
        raise ValueError('has no TIFF header')
    order = '<' if data[:2] == b'II' else '>'
    return (order, 'Q', 'Q', 8, 20) if b'+' in data[2:4] else (order, 'I', 'H', 4, 12)


def first_offset(data: Buffer) -> int:
    """Return the offset of the first directory.

    Raises:
        ValueError, struct.error: no TIFF header.
    """
    order, word, _, size, _ = _head(data)
    return struct.unpack_from(order + word, data, size)[0]


def set_first_directory(data: bytearray, offset: int) -> None:
    """Make the directory at ``offset`` the first one, so that readers read that page."""
    order, word, _, size, _ = _head(data)
    struct.pack_into(order + word, data, size, offset)


class InMemory(RawIOBase):
    """A file that reads a bytearray without a copy of it, as BytesIO would make for each page of a TIFF."""

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (0, self.position, len(self.data))[whence]
        if self.position < 0:
            raise ValueError('negative position')
        return self.position

    def readinto(self, buffer: Any) -> int:
        part = memoryview(self.data)[self.position : self.position + len(buffer)]
        buffer[: len(part)] = part
        self.position += len(part)
        return len(part)

    def getvalue(self) -> bytearray:  # Pillow calls it for compressed pages; else it would read a copy
        return self.data


class SharedBytesError(ValueError):
    """Fields or directories overlap, so that copies of them would be many times as large as the file."""


class _Budget:
    """Bytes of directories and of values that are read: no more than twice those of the file."""

    def __init__(self, data: Buffer) -> None:
        self.left = 2 * len(data)

    def take(self, number: int) -> None:
        """Count bytes.

        Raises:
            SharedBytesError: they are more than the budget.
        """
        self.left -= number
        if self.left < 0:
            raise SharedBytesError('its directories or fields overlap')


class _Field(NamedTuple):
    tag: int
    kind: int
    number: int
    position: int
    values: int
    length: int


def _fields(data: Buffer, offset: int, budget: _Budget) -> tuple[list[_Field], int, int]:
    """Read where the fields of a directory are, without their values; see :func:`read_directory`."""
    order, word, short, size, step = _head(data)
    number = struct.unpack_from(order + short, data, offset)[0]
    start = offset + struct.calcsize(short)
    after = start + number * step
    if after > len(data):
        raise ValueError('a directory is beyond the end of the file')
    budget.take(after - offset)
    following = struct.unpack_from(order + word, data, after)[0] if after + size <= len(data) else 0
    fields = []
    for position in range(start, after, step):
        tag, kind, count = struct.unpack_from(order + 'HH' + word, data, position)
        length = _SIZES.get(kind, 0) * count
        values = position + 4 + size  # values that fit are stored in the field itself
        if length > size:
            values = struct.unpack_from(order + word, data, values)[0]
        if length and values + length <= len(data):
            fields.append(_Field(tag, kind, count, position, values, length))
    return fields, following, after


def read_directory(
    data: Buffer, offset: int, of: int = 0, budget: _Budget | None = None
) -> tuple[list[IFDEntry], int, int]:
    """Read a directory; invalid fields (unknown type, values beyond the end of the file) are skipped.

    Args:
        data: the file.
        offset: offset of the directory.
        of: tag of the field that points to it, 0 for a page directory.
        budget: bytes that may be read, counted together with those of the directory that points to it.

    Returns:
        The fields, the offset of the next directory (0 for none), and the offset at which that is stored.

    Raises:
        ValueError, struct.error: the directory is beyond the end of the file, or its fields overlap.
    """
    order, budget = _head(data)[0], budget or _Budget(data)
    fields, following, after = _fields(data, offset, budget)
    entries = []
    for tag, kind, count, position, values, length in fields:
        budget.take(length)
        entry = IFDEntry(tag, kind, count, bytes(data[values : values + length]), position, values)
        if tag in (EXIF_IFD, GPS_IFD, INTEROP_IFD):
            if tag not in _POINTERS.get(of, ()) or kind not in (4, 13):
                continue
            try:
                entry.directory = read_directory(data, struct.unpack(order + 'I', entry.raw[:4])[0], tag, budget)[0]
            except SharedBytesError:
                raise
            except (ValueError, struct.error):
                continue
        entries.append(entry)
    return entries, following, after


def write_directory(entries: list[IFDEntry], head: bytes, offset: int, following: int = 0) -> bytes:
    """Return the bytes of a directory with its values and sub-directories.

    Args:
        entries: the fields, with raw values in the byte order of ``head``.
        head: first bytes of the target file. Types of BigTIFF are skipped for a classic TIFF.
        offset: offset in the target file, even.
        following: offset of the next directory.
    """
    order, word, short, size, _ = _head(head)
    kept = {entry.tag: entry for entry in entries if size == 8 or entry.kind < 16 or entry.kind == 129}
    table, values = struct.pack(order + short, len(kept)), bytearray()
    value_start = offset + struct.calcsize(short) + len(kept) * (12 + 2 * (size - 4)) + size
    for entry in sorted(kept.values(), key=lambda each: each.tag):
        raw, kind, count = entry.raw, entry.kind, entry.count
        if entry.directory is not None:
            values += b'\0' * (-(value_start + len(values)) % 2)
            sub_offset = value_start + len(values)
            values += write_directory(entry.directory, head, sub_offset)
            raw, kind, count = struct.pack(order + 'I', sub_offset), 4, 1
        table += struct.pack(order + 'HH' + word, entry.tag, kind, count)
        if len(raw) > size:
            values += b'\0' * (-(value_start + len(values)) % 2)
            table += struct.pack(order + word, value_start + len(values))
            values += raw
        else:
            table += raw.ljust(size, b'\0')
    return table + struct.pack(order + word, following) + values


def tiff_fields(data: Buffer) -> dict[int, tuple[tuple[int, ...], int]]:
    """Return the integer fields of a TIFF's first directory: tag -> (values, offset of the first); empty if damaged."""
    codes = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}
    try:
        order = _head(data)[0]
        entries = read_directory(data, first_offset(data))[0]
    except (ValueError, struct.error):
        return {}
    return {
        e.tag: (struct.unpack(f'{order}{e.count}{codes[e.kind]}', e.raw), e.value_offset)
        for e in entries
        if e.kind in codes and e.count <= 16  # longer fields are not needed
    }


class Page(NamedTuple):
    """A page: offset of its directory, number of pixels, and bytes of the values of its fields."""

    offset: int
    pixels: int
    values: int


def read_pages(data: bytes) -> list[Page]:
    """Return the pages, without reduced copies and masks; at least the first one. No values are copied.

    Raises:
        ValueError, struct.error: the list of pages is cyclic or leads beyond the end of the file, or fields overlap.
    """
    pages: list[Page] = []
    first: list[Page] = []
    offset = first_offset(data)
    seen: set[int] = set()
    order: Literal['little', 'big'] = 'little' if data[:2] == b'II' else 'big'
    budget = _Budget(data)  # of the directories only: pages may share values, such as a profile
    while offset:
        if offset in seen or len(seen) > _MAX_PAGES:
            raise ValueError('its list of pages is cyclic or too long')
        seen.add(offset)
        fields, following, _ = _fields(data, offset, budget)
        numbers = {e.tag: int.from_bytes(data[e.values : e.values + _SIZES[e.kind]], order) for e in fields}
        pixels = numbers.get(TIFF_TAGS['width'], 1) * numbers.get(TIFF_TAGS['height'], 1)
        page = Page(offset, pixels, sum(each.length for each in fields))
        _Budget(data).take(page.values)
        first = first or [page]
        if not numbers.get(TIFF_TAGS['kind'], 0) & 5 and numbers.get(TIFF_TAGS['old_kind']) != 2:
            pages.append(page)
        offset = following
    return pages or first
