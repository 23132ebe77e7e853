"""Whether a video file is complete, by what its container says about its own parts.

FFmpeg reads what is there of a file that was cut, in most containers without an error, so that the sizes which a
container states are compared with that of the file. Where none is stated (an MPEG-TS cut between two packets, a live
Matroska or an FLV without its size cut between two blocks) a cut can't be seen.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

_BOXES = set(b'ftyp moov mdat moof mfra free skip wide uuid sidx styp meta udta pnot emsg prft'.split())
_SEGMENT, _CLUSTER = b'\x18\x53\x80\x67', b'\x1f\x43\xb6\x75'
_ASF = bytes.fromhex('3026B2758E66CF11A6D900AA0062CE6C')


class _Cut(Exception):
    """Words of :func:`missing_part`."""


def missing_part(path: str | os.PathLike) -> str | None:
    """What a video file lacks.

    Args:
        path: a file of any format; formats that are not known here are taken for complete.

    Returns:
        Words that go on "FILE is cut: ", or None where the file has all that its container says.

    Raises:
        OSError: the file can't be read.
    """
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        parts = _parts(file.read(400))
        if parts is None:
            return None
        file.seek(0)
        try:
            for end in parts(file):
                if end > size:
                    return f'it ends at byte {size}, inside a part that goes to byte {end:.0f}'
        except _Cut as error:
            return str(error)
    return None


def _parts(head: bytes) -> Callable[[BinaryIO], Iterator[int]] | None:
    """The function that yields where each part of such a file ends, by its first bytes."""
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
        raise _Cut(f'it ends at byte {file.tell()}, inside the header of a part')
    return data


def _boxes(file: BinaryIO) -> Iterator[int]:
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
        raise _Cut('its index (the moov box) is missing')


def _elements(file: BinaryIO) -> Iterator[int]:
    """Matroska, WebM: elements of an identifier and a size; those of unknown size, of live streams, are entered."""
    while first := _take(file, 1, may_end=True):
        rest = 8 - first[0].bit_length()
        if rest > 3:  # no identifier
            return
        kind = first + _take(file, rest)
        first = _take(file, 1)
        rest = 8 - first[0].bit_length()
        if rest > 7:
            return
        mask = (1 << 7 * (rest + 1)) - 1
        length = int.from_bytes(first + _take(file, rest), 'big') & mask
        if length == mask and kind in (_SEGMENT, _CLUSTER):
            continue
        yield file.tell() + length
        file.seek(length, os.SEEK_CUR)


def _chunks(file: BinaryIO) -> Iterator[int]:
    """AVI: chunks of a type and a size, which begin at even bytes; lists of size 0, of live streams, are entered."""
    while head := _take(file, 8, may_end=True):
        kind, length = struct.unpack('<4sI', head)
        if kind in (b'RIFF', b'LIST') and length in (0, 0xFFFFFFFF):
            _take(file, 4)
            continue
        if not all(32 <= each < 127 for each in kind):  # what some programs leave behind the last chunk
            return
        yield file.tell() + length
        file.seek(length + length % 2, os.SEEK_CUR)


def _tags(file: BinaryIO) -> Iterator[int]:
    """FLV: the size that the script in front may state, then tags of a type and a size."""
    head = file.read(4096)
    at = head.find(b'\x00\x08filesize\x00')
    if at >= 0 and len(stated := head[at + 11 : at + 19]) == 8:
        yield struct.unpack('>d', stated)[0]
    file.seek(int.from_bytes(head[5:9], 'big') + 4)
    while head := _take(file, 11, may_end=True):
        yield file.tell() + int.from_bytes(head[1:4], 'big')
        file.seek(int.from_bytes(head[1:4], 'big') + 4, os.SEEK_CUR)


def _objects(file: BinaryIO) -> Iterator[int]:
    """ASF (WMV): objects of an identifier and a size."""
    start = 0
    while head := _take(file, 24, may_end=True):
        length = int.from_bytes(head[16:], 'little')
        if length < 24:  # a live stream's data
            return
        start += length
        yield start
        file.seek(start)


def _packs(file: BinaryIO) -> Iterator[int]:
    """MPEG program streams: pack headers, and packets of a type and a size."""
    while head := _take(file, 4, may_end=True):
        if head[:3] != b'\x00\x00\x01':  # filling, or damaged, which decoding finds
            return
        if head[3] == 0xB9:  # the end
            continue
        if head[3] == 0xBA:
            clock = _take(file, 8)  # MPEG-2's has two further bytes and says how much filling follows, MPEG-1's has not
            length = _take(file, 2)[1] % 8 if clock[0] >= 0x40 else 0
        else:
            length = int.from_bytes(_take(file, 2), 'big')
        yield file.tell() + length
        file.seek(length, os.SEEK_CUR)


def _transport(file: BinaryIO) -> Iterator[int]:
    """MPEG-TS: packets of 188 bytes, of 192 where each has its time in front."""
    head = file.read(192)
    step = 188 if head[:1] == b'G' else 192
    size = os.fstat(file.fileno()).st_size
    yield size + -size % step
