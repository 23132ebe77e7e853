"""Directories of TIFF files, and of EXIF, which is one: read as raw values, and written again.

Nothing is decoded, so that text stays in its encoding and each value keeps its type.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

TIFF_TAGS = {
    'kind': 254,  # NewSubfileType: 1 a smaller copy, 2 a page, 4 a mask
    'old_kind': 255,  # SubfileType: 2 a smaller copy
    'bits': 258,
    'photometric': 262,
    'samples': 277,
    'planar': 284,
    'extra': 338,
    'format': 339,
    'dng': 50706,
}
EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
_POINTERS = {0: (EXIF_IFD, GPS_IFD), EXIF_IFD: (INTEROP_IFD,)}  # who may point to whom: nothing goes in a circle
# bytes of a value by its type; 13 is an IFD, 16 to 18 are BigTIFF's, 129 is EXIF 3's UTF-8
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
_MOST_PAGES = 65536


@dataclass
class Entry:
    """A field of a directory.

    Attributes:
        tag: its number.
        kind: type of its values.
        count: how many.
        raw: the values in the byte order of the file.
        at: where the field stands in the file.
        place: where its values stand.
        inside: of a pointer to a directory of EXIF, GPS or interoperability: that one's fields; None of all else.
    """

    tag: int
    kind: int
    count: int
    raw: bytes
    at: int = 0
    place: int = 0
    inside: list[Entry] | None = None


def _head(data: bytes) -> tuple[str, str, str, int, int]:
    """Byte order, struct codes of an offset and of a number of fields, bytes of an offset and of a field.

    Raises:
        ValueError: no header of a TIFF.
    """
    if data[:2] not in (b'II', b'MM') or data[2:4] not in (b'*\0', b'\0*', b'+\0', b'\0+'):
        raise ValueError('has no TIFF header')
    order = '<' if data[:2] == b'II' else '>'
    return (order, 'Q', 'Q', 8, 20) if b'+' in data[2:4] else (order, 'I', 'H', 4, 12)


def first_offset(data: bytes) -> int:
    """Where the first directory begins.

    Raises:
        ValueError, struct.error: no header of a TIFF.
    """
    order, word, _, size, _ = _head(data)
    return struct.unpack_from(order + word, data, size)[0]


def first_directory(data: bytes, offset: int) -> bytes:
    """The file with another directory as its first, by which all readers take that page for the whole file."""
    order, word, _, size, _ = _head(data)
    patched = bytearray(data)
    struct.pack_into(order + word, patched, size, offset)
    return bytes(patched)


def read_directory(data: bytes, offset: int, of: int = 0) -> tuple[list[Entry], int, int]:
    """A directory's fields, the offset of the next one (0 for none), and the place where that is noted.

    Fields of an unknown type or with values beyond the end are left out: they can't be right.

    Args:
        data: the file.
        offset: where the directory begins.
        of: tag of the field that points to it, 0 for a directory of a TIFF's chain.

    Raises:
        ValueError, struct.error: the directory lies beyond the end.
    """
    order, word, short, size, step = _head(data)
    number = struct.unpack_from(order + short, data, offset)[0]
    start = offset + struct.calcsize(short)
    after = start + number * step
    if after > len(data):
        raise ValueError('a directory lies beyond the end of the file')
    following = struct.unpack_from(order + word, data, after)[0] if after + size <= len(data) else 0
    entries = []
    for at in range(start, after, step):
        tag, kind, count = struct.unpack_from(order + 'HH' + word, data, at)
        length = _SIZES.get(kind, 0) * count
        place = at + 4 + size  # short values stand in the field itself
        if length > size:
            place = struct.unpack_from(order + word, data, place)[0]
        if not length or place + length > len(data):
            continue
        entry = Entry(tag, kind, count, bytes(data[place : place + length]), at, place)
        if tag in (EXIF_IFD, GPS_IFD, INTEROP_IFD):
            if tag not in _POINTERS.get(of, ()) or kind not in (4, 13):
                continue
            try:
                entry.inside = read_directory(data, struct.unpack(order + 'I', entry.raw[:4])[0], tag)[0]
            except (ValueError, struct.error):
                continue
        entries.append(entry)
    return entries, following, after


def write_directory(entries: list[Entry], head: bytes, place: int, following: int = 0) -> bytes:
    """A directory with all its values and those that it points to, for a certain place of a file.

    Args:
        entries: their raw values in the byte order of ``head``.
        head: the first bytes of the file it is for. Fields that only BigTIFF knows are left out of a classic TIFF.
        place: where it will stand; even.
        following: offset of the next directory.
    """
    order, word, short, size, _ = _head(head)
    kept = {entry.tag: entry for entry in entries if size == 8 or entry.kind < 16 or entry.kind == 129}
    table, values = struct.pack(order + short, len(kept)), b''
    behind = place + struct.calcsize(short) + len(kept) * (12 + 2 * (size - 4)) + size
    for entry in sorted(kept.values(), key=lambda each: each.tag):
        raw, kind, count = entry.raw, entry.kind, entry.count
        if entry.inside is not None:
            values += b'\0' * (-(behind + len(values)) % 2)
            at = behind + len(values)
            values += write_directory(entry.inside, head, at)
            raw, kind, count = struct.pack(order + 'I', at), 4, 1
        table += struct.pack(order + 'HH' + word, entry.tag, kind, count)
        if len(raw) > size:
            values += b'\0' * (-(behind + len(values)) % 2)
            table += struct.pack(order + word, behind + len(values))
            values += raw
        else:
            table += raw.ljust(size, b'\0')
    return table + struct.pack(order + word, following) + values


def tiff_fields(data: bytes) -> dict[int, tuple[tuple[int, ...], int]]:
    """Integer fields of a TIFF's first directory: tag -> (values, place of the first value). Empty when damaged."""
    codes = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}
    try:
        order = _head(data)[0]
        entries = read_directory(data, first_offset(data))[0]
    except (ValueError, struct.error):
        return {}
    return {
        e.tag: (struct.unpack(f'{order}{e.count}{codes[e.kind]}', e.raw), e.place)
        for e in entries
        if e.kind in codes and e.count <= 16  # the fields that matter here are this short
    }


def page_offsets(data: bytes) -> list[int]:
    """Where the pages' directories begin, without smaller copies and masks; the first one where there are only these.

    Raises:
        ValueError, struct.error: the chain of pages leads beyond the end of the file, or in a circle.
    """
    offset, seen, pages = first_offset(data), set(), []
    while offset:
        if offset in seen or len(seen) > _MOST_PAGES:
            raise ValueError('its pages go in a circle')
        seen.add(offset)
        entries, following, _ = read_directory(data, offset)
        order = _head(data)[0]
        kinds = {e.tag: int.from_bytes(e.raw[:4], 'little' if order == '<' else 'big') for e in entries if e.tag < 256}
        if not kinds.get(TIFF_TAGS['kind'], 0) & 5 and kinds.get(TIFF_TAGS['old_kind']) != 2:
            pages.append(offset)
        offset = following
    return pages or [first_offset(data)]
