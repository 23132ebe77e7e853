"""Detection of truncated or damaged video files from the structure of their containers.

FFmpeg reads truncated files of most containers without an error. Here the sizes stated in the container are compared
with the file size. Some containers state no total size (MPEG-TS, live Matroska, fragmented MP4). There a cut inside a
part is detected, but not a cut between two parts.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from mmap import ACCESS_READ, mmap
from typing import BinaryIO

_BOXES = set(b'ftyp moov mdat moof mfra free skip wide uuid sidx styp meta udta pnot emsg prft junk pict prfl'.split())
_UNREAD = {b'mdat', b'free', b'skip'}  # boxes in which FFmpeg looks for no other boxes
_TABLES = re.compile(rb'stsz|trun|cmvd')  # boxes with numbers of samples, and a packed index
_SAMPLES = 2**20  # that an index may state beyond one per byte of the file; FFmpeg takes some 40 bytes for each
_LARGEST_INDEX = 2**26  # bytes of an unpacked index
_SEGMENT, _CLUSTER = b'\x18\x53\x80\x67', b'\x1f\x43\xb6\x75'
# element IDs of a Matroska file, its segment and its clusters
_IDS = '1a45dfa3 18538067 114d9b74 1549a966 1654ae6b 1f43b675 1c53bb6b 1941a469 1043a770 1254c367'
_ELEMENTS = {bytes.fromhex(each) for each in f'{_IDS} 5854 a0 a3 a7 ab af bf e7 ec'.split()}
_ASF = bytes.fromhex('3026B2758E66CF11A6D900AA0062CE6C')


class _Fault(Exception):
    """Message of :func:`find_fault`."""


def find_fault(path: str | os.PathLike) -> tuple[str | None, bool]:
    """Find out whether a video file is truncated or damaged.

    Args:
        path: a file of any format.

    Returns:
        ``(fault, end_stated)``: message to follow the file name, or None without a fault; whether the container states
        where the file ends. If not, a cut between two parts can't be detected.

    Raises:
        OSError: the file can't be read.
    """
    stated = True
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        parts = _parts(file.read(400))
        if parts is None:
            return None, False
        file.seek(0)
        try:
            for end in parts(file):
                if end is None:
                    stated = False
                elif end > size:
                    return f'is cut: it ends at byte {size}, inside a part that goes to byte {end:.0f}', True
        except _Fault as error:
            return str(error), True
    return None, stated


def demuxers(path: str | os.PathLike) -> str:
    """Return the FFmpeg demuxers that may open a file, so that none opens what :func:`find_fault` has not checked.

    Demuxers that open further files and URLs, such as playlists, are never among them.

    Args:
        path: a file of any format.

    Returns:
        Names with commas between them: that of the format of the first bytes, or else those without a file header.

    Raises:
        OSError: the file can't be read.
    """
    with open(path, 'rb') as file:
        parts = _parts(file.read(400))
    return _DEMUXERS[parts] if parts else 'mpeg,mpegts,mpegvideo'


def _parts(head: bytes) -> Callable[[BinaryIO], Iterator[float | None]] | None:
    """Return the parser for a file by its first bytes.

    The parser yields the end of each part in bytes, or None where the end is not stated.
    """
    if head[4:8] in _BOXES:
        return _boxes
    if head[:4] == b'\x1a\x45\xdf\xa3':
        return _elements
    if head[:4] == b'RIFF':
        return _chunks
    if head[:3] == b'FLV':
        return _tags
    if head[:16] == _ASF:
        return _objects
    if head[:4] == b'\x00\x00\x01\xba':
        return _packs
    if head[:1] == head[188:189] == b'G' or head[4:5] == head[196:197] == b'G':
        return _transport
    return None


def _read_exactly(file: BinaryIO, count: int, may_end: bool = False) -> bytes:
    """Read ``count`` bytes; b'' at the end of the file if ``may_end``."""
    data = file.read(count)
    if len(data) < count and not (may_end and not data):
        raise _Fault(f'is cut: it ends at byte {file.tell()}, inside the header of a part')
    return data


def _boxes(file: BinaryIO) -> Iterator[float | None]:
    """MP4, MOV, 3GP: boxes of a size and a type."""
    seen: set[bytes] = set()
    start = samples = 0
    size = os.fstat(file.fileno()).st_size
    data = mmap(file.fileno(), 0, access=ACCESS_READ)
    while head := _read_exactly(file, 8, may_end=True):
        length, kind = struct.unpack('>I4s', head)
        if length == 1:
            length = int.from_bytes(_read_exactly(file, 8), 'big')
        last = kind not in _BOXES or length < 8  # trailing data that some programs write, or to the end of the file
        first, start = start, size if last else start + length
        seen |= {kind} & _BOXES
        if not last:
            yield start
        if kind not in _UNREAD:
            samples = _number_of_samples(data, first, start, samples, size + _SAMPLES)
        if last:
            break
        file.seek(start)
    if b'moov' not in seen:
        raise _Fault('is cut: its index (the moov box) is missing')
    if b'moof' in seen and b'mfra' not in seen:  # fragmented: the number of fragments is not stated
        yield None


def _number_of_samples(data: bytes | mmap, start: int, end: int, number: int, most: int, packed: bool = False) -> int:
    """Add the samples that the tables in a part of a file state to ``number``; a size of 0 counts as one byte.

    Tables are found by their type wherever they are, since FFmpeg reads them at any depth and corrects sizes of boxes.
    A packed index (``cmvd``, of QuickTime) is unpacked, one in each part.
    """
    for found in _TABLES.finditer(data, start, end):
        kind, body = found[0], found.end()
        if data[body - 8 : body - 4] == b'\0\0\0\1':  # the size follows in 8 bytes
            body += 8
        if kind == b'cmvd':
            if packed:
                raise _Fault('is not read: it has several packed indexes')
            packed = True
            unpacked = zlib.decompressobj()
            try:
                index = unpacked.decompress(data[body + 4 : end], _LARGEST_INDEX)
            except zlib.error:
                raise _Fault('is damaged: its index cannot be unpacked') from None
            if unpacked.unconsumed_tail:
                raise _Fault(f'is not read: its index has more than {_LARGEST_INDEX} bytes')
            number = _number_of_samples(index, 0, len(index), number, most, packed)
        else:
            _, first, second = struct.unpack('>III', data[body : body + 12].ljust(12, b'\0'))
            number += max(first, 1) * second if kind == b'stsz' else first  # bytes per sample, number; number
    if number > most:
        raise _Fault(f'is damaged: its index states {number} samples, more than it has bytes')
    return number


def _elements(file: BinaryIO) -> Iterator[float | None]:
    """Matroska, WebM: elements of an ID and a size, many with a checksum; segments and clusters are traversed."""
    while first := _read_exactly(file, 1, may_end=True):
        start = file.tell() - 1
        kind = first + _read_exactly(file, min(8 - first[0].bit_length(), 3))
        first = _read_exactly(file, 1)
        more = 8 - first[0].bit_length()
        if kind not in _ELEMENTS or more > 7:
            raise _Fault(f'is damaged at byte {start}')
        unknown = (1 << 7 * (more + 1)) - 1  # the size of live streams
        length = int.from_bytes(first + _read_exactly(file, more), 'big') & unknown
        entered = kind in (_SEGMENT, _CLUSTER)
        if entered and length == unknown:
            yield None
            continue
        body = file.tell()
        yield body + length
        checked = kind != _SEGMENT and length > 6 and file.read(2) == b'\xbf\x84'
        if checked and not _check_crc(file, length - 6):
            raise _Fault(f'is damaged: the checksum of the part from byte {start} to {body + length} is another')
        file.seek(body if entered and not checked else body + length)


def _check_crc(file: BinaryIO, length: int) -> bool:
    """Return whether a CRC-32 matches the ``length`` bytes after it."""
    stated, found = int.from_bytes(_read_exactly(file, 4), 'little'), 0
    while length:
        data = _read_exactly(file, min(length, 2**20))
        found, length = zlib.crc32(data, found), length - len(data)
    return stated == found


def _chunks(file: BinaryIO) -> Iterator[float | None]:
    """AVI: chunks of a type and a size at even offsets; lists of size 0, as in live streams, are traversed."""
    while head := _read_exactly(file, 8, may_end=True):
        kind, length = struct.unpack('<4sI', head)
        if kind in (b'RIFF', b'LIST') and length in (0, 0xFFFFFFFF):
            _read_exactly(file, 4)
            yield None
            continue
        if not all(32 <= each < 127 for each in kind):  # trailing data after the last chunk
            return
        yield file.tell() + length
        file.seek(length + length % 2, os.SEEK_CUR)


def _tags(file: BinaryIO) -> Iterator[float | None]:
    """FLV: an optional file size in the script data, then tags of a type and a size."""
    head = file.read(4096)
    at = head.find(b'\x00\x08filesize\x00')
    if at >= 0 and len(stated := head[at + 11 : at + 19]) == 8:
        yield struct.unpack('>d', stated)[0]
    else:
        yield None
    file.seek(int.from_bytes(head[5:9], 'big') + 4)
    while head := _read_exactly(file, 11, may_end=True):
        yield file.tell() + int.from_bytes(head[1:4], 'big')
        file.seek(int.from_bytes(head[1:4], 'big') + 4, os.SEEK_CUR)


def _objects(file: BinaryIO) -> Iterator[float | None]:
    """ASF (WMV): objects of an identifier and a size."""
    start = 0
    while head := _read_exactly(file, 24, may_end=True):
        length = int.from_bytes(head[16:], 'little')
        if length < 24:  # a live stream's data
            yield None
            return
        start += length
        yield start
        file.seek(start)


def _packs(file: BinaryIO) -> Iterator[float | None]:
    """MPEG program streams: pack headers, and packets of a type and a size."""
    ended = False
    while head := _read_exactly(file, 4, may_end=True):
        if head[:3] != b'\x00\x00\x01':  # padding or damage; the latter is found by decoding
            break
        ended = head[3] == 0xB9
        if ended:
            continue
        if head[3] == 0xBA:
            clock = _read_exactly(file, 8)  # MPEG-2: 2 more bytes with the stuffing length
            length = _read_exactly(file, 2)[1] % 8 if clock[0] >= 0x40 else 0
        else:
            length = int.from_bytes(_read_exactly(file, 2), 'big')
        yield file.tell() + length
        file.seek(length, os.SEEK_CUR)
    if not ended:
        yield None


def _transport(file: BinaryIO) -> Iterator[float | None]:
    """MPEG-TS: packets of 188 bytes, or 192 with a preceding time stamp."""
    head = file.read(192)
    step = 188 if head[:1] == b'G' else 192
    size = os.fstat(file.fileno()).st_size
    yield size + -size % step
    yield None


_DEMUXERS: dict[Callable[[BinaryIO], Iterator[float | None]], str] = {
    _boxes: 'mov',
    _elements: 'matroska',
    _chunks: 'avi',
    _tags: 'flv',
    _objects: 'asf',
    _packs: 'mpeg',
    _transport: 'mpegts',
}
