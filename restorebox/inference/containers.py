"""Whether a video file is complete, by what its container says about its own parts.

FFmpeg reads what is there of a file that was cut, in most containers without an error, so that the sizes which a
container states are compared with that of the file. Some state none (MPEG-TS, live Matroska, fragmented MP4): there a
cut inside a part is seen, and one between two parts can't be.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

_BOXES = set(b'ftyp moov mdat moof mfra free skip wide uuid sidx styp meta udta pnot emsg prft'.split())
_SEGMENT, _CLUSTER = b'\x18\x53\x80\x67', b'\x1f\x43\xb6\x75'
# what a Matroska file, its segment or a cluster may have inside
_IDS = '1a45dfa3 18538067 114d9b74 1549a966 1654ae6b 1f43b675 1c53bb6b 1941a469 1043a770 1254c367'
_ELEMENTS = {bytes.fromhex(each) for each in f'{_IDS} 5854 a0 a3 a7 ab af bf e7 ec'.split()}
_ASF = bytes.fromhex('3026B2758E66CF11A6D900AA0062CE6C')


class _Fault(Exception):
    """Words of :func:`find_fault`."""


def find_fault(path: str | os.PathLike) -> tuple[str | None, bool]:
    """What a video file lacks, or where its parts are damaged.

    Args:
        path: a file of any format.

    Returns:
        (words that follow the file's name, or None where all is there that the container says; whether the container
        says where the file ends: where it does not, a cut between two of its parts can't be seen).

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


def _parts(head: bytes) -> Callable[[BinaryIO], Iterator[float | None]] | None:
    """The function for such a file, by its first bytes: yields where each part ends, None where that is not stated."""
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


def _take(file: BinaryIO, count: int, may_end: bool = False) -> bytes:
    """The next bytes; b'' at the end of the file where it may end."""
    data = file.read(count)
    if len(data) < count and not (may_end and not data):
        raise _Fault(f'is cut: it ends at byte {file.tell()}, inside the header of a part')
    return data


def _boxes(file: BinaryIO) -> Iterator[float | None]:
    """MP4, MOV, 3GP: boxes of a size and a type."""
    seen, start = set(), 0
    while head := _take(file, 8, may_end=True):
        length, kind = struct.unpack('>I4s', head)
        if length == 1:
            length = int.from_bytes(_take(file, 8), 'big')
        if kind not in _BOXES:  # what some programs leave behind the last box
            break
        seen.add(kind)
        if length < 8:  # to the end of the file
            break
        start += length
        yield start
        file.seek(start)
    if b'moov' not in seen:
        raise _Fault('is cut: its index (the moov box) is missing')
    if b'moof' in seen and b'mfra' not in seen:  # fragments, of which any number may follow
        yield None


def _elements(file: BinaryIO) -> Iterator[float | None]:
    """Matroska, WebM: elements of an identifier and a size, many with a checksum; segments and clusters are entered."""
    while first := _take(file, 1, may_end=True):
        start = file.tell() - 1
        kind = first + _take(file, min(8 - first[0].bit_length(), 3))
        first = _take(file, 1)
        more = 8 - first[0].bit_length()
        if kind not in _ELEMENTS or more > 7:
            raise _Fault(f'is damaged at byte {start}')
        unknown = (1 << 7 * (more + 1)) - 1  # the size of live streams
        length = int.from_bytes(first + _take(file, more), 'big') & unknown
        entered = kind in (_SEGMENT, _CLUSTER)
        if entered and length == unknown:
            yield None
            continue
        body = file.tell()
        yield body + length
        checked = kind != _SEGMENT and length > 6 and file.read(2) == b'\xbf\x84'
        if checked and not _sums_up(file, length - 6):
            raise _Fault(f'is damaged: the checksum of the part from byte {start} to {body + length} is another')
        file.seek(body if entered and not checked else body + length)


def _sums_up(file: BinaryIO, length: int) -> bool:
    """Whether a CRC-32 is that of the bytes behind it."""
    stated, found = int.from_bytes(_take(file, 4), 'little'), 0
    while length:
        data = _take(file, min(length, 2**20))
        found, length = zlib.crc32(data, found), length - len(data)
    return stated == found


def _chunks(file: BinaryIO) -> Iterator[float | None]:
    """AVI: chunks of a type and a size, which begin at even bytes; lists of size 0, of live streams, are entered."""
    while head := _take(file, 8, may_end=True):
        kind, length = struct.unpack('<4sI', head)
        if kind in (b'RIFF', b'LIST') and length in (0, 0xFFFFFFFF):
            _take(file, 4)
            yield None
            continue
        if not all(32 <= each < 127 for each in kind):  # what some programs leave behind the last chunk
            return
        yield file.tell() + length
        file.seek(length + length % 2, os.SEEK_CUR)


def _tags(file: BinaryIO) -> Iterator[float | None]:
    """FLV: the size that the script in front may state, then tags of a type and a size."""
    head = file.read(4096)
    at = head.find(b'\x00\x08filesize\x00')
    if at >= 0 and len(stated := head[at + 11 : at + 19]) == 8:
        yield struct.unpack('>d', stated)[0]
    else:
        yield None
    file.seek(int.from_bytes(head[5:9], 'big') + 4)
    while head := _take(file, 11, may_end=True):
        yield file.tell() + int.from_bytes(head[1:4], 'big')
        file.seek(int.from_bytes(head[1:4], 'big') + 4, os.SEEK_CUR)


def _objects(file: BinaryIO) -> Iterator[float | None]:
    """ASF (WMV): objects of an identifier and a size."""
    start = 0
    while head := _take(file, 24, may_end=True):
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
    while head := _take(file, 4, may_end=True):
        if head[:3] != b'\x00\x00\x01':  # filling, or damaged, which decoding finds
            break
        ended = head[3] == 0xB9
        if ended:
            continue
        if head[3] == 0xBA:
            clock = _take(file, 8)  # MPEG-2's has two further bytes and says how much filling follows, MPEG-1's has not
            length = _take(file, 2)[1] % 8 if clock[0] >= 0x40 else 0
        else:
            length = int.from_bytes(_take(file, 2), 'big')
        yield file.tell() + length
        file.seek(length, os.SEEK_CUR)
    if not ended:
        yield None


def _transport(file: BinaryIO) -> Iterator[float | None]:
    """MPEG-TS: packets of 188 bytes, of 192 where each has its time in front."""
    head = file.read(192)
    step = 188 if head[:1] == b'G' else 192
    size = os.fstat(file.fileno()).st_size
    yield size + -size % step
    yield None
