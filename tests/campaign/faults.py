"""Faults of bytes and of places in a file system, drawn at random."""

from __future__ import annotations

import os
import random
import re
import socket
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.campaign.picture_files import chunk

ABSURD = (0, 1, 2, 255, 256, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
Fault = Callable[[random.Random, bytes], bytes]


def intact(rng: random.Random, data: bytes) -> bytes:
    """Nothing."""
    return data


def cut(rng: random.Random, data: bytes) -> bytes:
    """The end is missing: a little or much."""
    return data[
        : rng.choice((len(data) - rng.randint(1, 4), rng.randrange(len(data)), rng.randrange(min(64, len(data)))))
    ]


def flip(rng: random.Random, data: bytes) -> bytes:
    """Some bits, oftener near the beginning."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        spoilt[rng.randrange(min(len(data), rng.choice((64, 256, len(data)))))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def field(rng: random.Random, data: bytes) -> bytes:
    """An absurd number in the head."""
    size = rng.choice((1, 2, 4))
    place = rng.randrange(max(1, min(len(data), 200) - size))
    number = rng.choice(ABSURD) & (256**size - 1)
    return data[:place] + number.to_bytes(size, rng.choice(('little', 'big'))) + data[place + size :]


def blank(rng: random.Random, data: bytes) -> bytes:
    """A range of one byte."""
    first, last = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:first] + rng.choice((b'\0', b'\xff')) * (last - first) + data[last:]


def drop(rng: random.Random, data: bytes) -> bytes:
    """A range is missing."""
    first = rng.randrange(len(data))
    return data[:first] + data[first + rng.choice((1, 2, 100)) :]


def twice(rng: random.Random, data: bytes) -> bytes:
    """A range stands twice."""
    first, last = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:last] + data[first:]


def insert(rng: random.Random, data: bytes) -> bytes:
    """Random bytes somewhere."""
    place = rng.randrange(len(data))
    return data[:place] + rng.randbytes(rng.choice((1, 3, 50))) + data[place:]


def swap(rng: random.Random, data: bytes) -> bytes:
    """Two ranges have changed places."""
    a, b, c = sorted(rng.randrange(len(data)) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def tail(rng: random.Random, data: bytes) -> bytes:
    """Something behind the end."""
    return data + rng.choice((b'\0' * 100, rng.randbytes(100), data, b'\xff\xd9'))


def nothing(rng: random.Random, data: bytes) -> bytes:
    """No bytes, or such that are no picture at all."""
    html = b'<!DOCTYPE html><html><body>403 Forbidden</body></html>'
    program = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(IT_RAN) (w) file closefile showpage\n'
    return rng.choice(
        (b'', rng.randbytes(rng.randint(1, 3000)), html, program, b'\x1f\x8b\x08' + rng.randbytes(40), b'\0' * 512)
    )


def chunks(rng: random.Random, data: bytes) -> bytes:
    """A PNG's chunks: one missing, doubled, moved, or with another content and a right sum; others as ``field``."""
    if data[:4] != b'\x89PNG':
        return field(rng, data)
    parts, place = [], 8
    while place + 12 <= len(data):
        (size,) = struct.unpack('>I', data[place : place + 4])
        parts.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    which, what = rng.randrange(len(parts)), rng.randrange(5)
    name, body = parts[which]
    if what == 0:
        parts.pop(which)
    elif what == 1:
        parts.insert(rng.randrange(len(parts)), parts[which])
    elif what == 2:
        parts.insert(rng.randrange(len(parts)), parts.pop(which))
    elif what == 3 and body:
        parts[which] = name, flip(rng, body)
    else:
        sides = rng.choice(((2**31 - 1, 2**31 - 1), (60000, 60000), (0, 7), (30000, 1), (parts and 7, 9)))
        parts[0] = b'IHDR', struct.pack('>II', *sides) + parts[0][1][8:]
    return data[:8] + b''.join(chunk(*part) for part in parts)


def notes(rng: random.Random, data: bytes) -> bytes:
    """Garbage in EXIF, in a profile or in a text; of kinds without a place for it, ``tail``."""
    forged = b'MM\0*\0\0\0\x08' + struct.pack('>H', rng.choice((1, 3, 65535)))
    forged += b''.join(
        struct.pack(
            '>HHII',
            rng.choice((274, 34665, 306, 282, 37500, rng.randrange(65536))),
            rng.randrange(14),
            rng.choice(ABSURD),
            rng.choice(ABSURD),
        )
        for _ in range(3)
    )
    exif = rng.choice((forged, rng.randbytes(60), b'', b'II*\0\xff\xff\xff\xff', b'MM\0*\0\0\0\x08\0\0'))
    if data[:2] == b'\xff\xd8':
        segments = (
            (0xE1, b'Exif\0\0' + exif),
            (0xE1, b'http://ns.adobe.com/xap/1.0/\0' + rng.randbytes(30)),
            (0xE2, b'ICC_PROFILE\0\1\1' + rng.randbytes(90)),
            (0xED, b'Photoshop 3.0\0' + rng.randbytes(30)),
            (0xFE, rng.randbytes(40)),
        )
        name, body = rng.choice(segments)
        return data[:2] + bytes((0xFF, name)) + struct.pack('>H', len(body) + 2) + body + data[2:]
    if data[:4] == b'\x89PNG':
        bomb = zlib.compress(bytes(3 * 10**7))
        extras = (
            (b'eXIf', exif),
            (b'iCCP', b'x\0\0' + zlib.compress(rng.randbytes(50))),
            (b'iCCP', b'x\0\0' + bomb),
            (b'tEXt', b'a\0' + rng.randbytes(30)),
            (b'zTXt', b'a\0\0' + bomb),
            (b'iTXt', rng.randbytes(20)),
            (b'pHYs', rng.randbytes(9)),
            (b'gAMA', rng.randbytes(4)),
        )
        extra = rng.choice(extras)
        return data[:33] + chunk(*extra) + data[33:]
    return tail(rng, data)


BYTE_FAULTS: dict[str, Fault] = {
    each.__name__: each for each in (cut, flip, field, blank, drop, twice, insert, swap, tail, nothing, chunks, notes)
}

ODD_NAMES = (
    b'subject\xe9\xff',
    b'subject\n\x1b[31mred',
    b'-subject',
    b'subject [a-b]*?',
    b' subject ',
    b'subject\'"$(touch IT_RAN);',
    b'subject\xe2\x80\xae\xe2\x80\x8b',
    'subject\u0301 \U0001f327'.encode(),
    b'subject.tar.gz.',
)


def place(rng: random.Random, folder: Path, data: bytes, suffix: str) -> tuple[Path, str, bool]:
    """Put bytes into a folder under an odd name or as something that is no regular file.

    Returns:
        The path, what is odd about it, and whether the bytes can be read there.
    """
    name, what = f'subject{suffix}', rng.randrange(10)
    path = folder / name
    if what < 4:
        odd = rng.choice((*ODD_NAMES, b'subject' + b'n' * (248 - len(suffix)), b'subject' + b'n' * (244 - len(suffix))))
        path = folder / os.fsdecode(odd + suffix.encode())
        path.write_bytes(data)
        return path, f'name {odd[:30]!r}', True
    if what == 4:
        os.mkfifo(path)
        return path, 'fifo', False
    if what == 5:
        path.mkdir()
        return path, 'folder', False
    if what == 6:
        target = rng.choice((name, 'nowhere', '/dev/zero', '/dev/null', '/dev/urandom'))
        path.symlink_to(target)
        return path, f'link to {target}', False
    if what == 7:
        path.write_bytes(data)
        path.chmod(0)
        return path, 'mode 0', os.access(path, os.R_OK)
    if what == 8:
        with socket.socket(socket.AF_UNIX) as listener:
            short = os.path.relpath(path)
            with suppress(OSError):
                listener.bind(short)
        return path, 'socket', False
    elsewhere = Path('elsewhere').absolute()
    elsewhere.write_bytes(data)
    path.symlink_to(elsewhere)
    return path, 'link to a file', True


WRONG_SUFFIXES = (
    '.jpg',
    '.png',
    '.tif',
    '.webp',
    '.bmp',
    '.gif',
    '.ppm',
    '.jp2',
    '.tga',
    '.JPEG',
    '.txt',
    '.heic',
    '.nef',
    '.psd',
    '',
)


def wrong_suffix(rng: random.Random, suffix: str) -> str:
    """A suffix of another kind, now and then none of a picture."""
    return rng.choice([each for each in WRONG_SUFFIXES if each != suffix])


def described(function: Fault, rng: random.Random, data: bytes) -> tuple[str, bytes]:
    """A fault's name and what it makes."""
    return re.sub('_', ' ', function.__name__), function(rng, data) if data else data
