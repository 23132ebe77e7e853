"""The kinds of picture files, named here alone: which are opened, how one is recognised, what each can hold.

Pillow knows forty formats more. They are left closed on purpose: one of them starts a program (EPS, Ghostscript), and
what a file is decided by its first bytes, never by its name alone.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

HEIF = importlib.util.find_spec('pi_heif') is not None  # the extra `heif`


class Refused(Exception):
    """These bytes don't become a picture; the text is the reason."""


@dataclass(frozen=True)
class Format:
    """A kind of file that is read.

    Attributes:
        suffixes: that it goes by, the usual one first.
        holds: of 'deep' (16 bits), 'alpha', 'pages' (pictures of their own size), 'frames' (of an animation), and what
            a file carries besides: 'profile', 'exif', 'xmp', 'iptc', 'density', 'comments'.
        written: whether we write it.
    """

    suffixes: tuple[str, ...]
    holds: frozenset[str]
    written: bool = True


def _format(suffixes: str, holds: str = '', written: bool = True) -> Format:
    return Format(tuple(suffixes.split()), frozenset(holds.split()), written)


# by Pillow's names; HEIF's is pi-heif's
FORMATS: dict[str, Format] = {
    'JPEG': _format('.jpg .jpeg .jpe .jfif .mpo', 'pages profile exif xmp iptc density comments'),
    'PNG': _format('.png .apng', 'deep alpha frames profile exif xmp density comments'),
    'TIFF': _format('.tif .tiff', 'deep alpha pages profile exif xmp iptc density'),
    'WEBP': _format('.webp', 'alpha frames profile exif xmp'),
    'AVIF': _format('.avif .avifs', 'alpha frames profile exif xmp'),
    'HEIF': _format('.heic .heif .hif .heics .heifs', 'deep alpha profile exif xmp', written=False),
    # read as far as 256 colours go, and not written, since a network makes more
    'GIF': _format('.gif', 'alpha frames comments', written=False),
    'BMP': _format('.bmp', 'alpha density'),
    'PPM': _format('.ppm .pgm .pnm .pbm', 'deep'),
    'JPEG2000': _format('.jp2 .j2k .j2c .jpc .jpf .jpx', 'alpha comments'),
    'TGA': _format('.tga', 'alpha'),
}
_BY_SUFFIX = {suffix: kind for kind, each in FORMATS.items() for suffix in each.suffixes}
PICTURE_SUFFIXES = tuple(sorted(s for s, kind in _BY_SUFFIX.items() if kind != 'HEIF' or HEIF))

# Pictures that are not read, and what to do about them. Raw files of most makers are TIFFs of which the first page is a
# thumbnail, so that their suffix alone must keep them out.
_RAW = (
    '.3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 '
    '.rwl .sr2 .srf .srw .x3f'
)
_OTHERS = (
    '.ai .cur .dds .dib .djvu .emf .eps .exr .fits .hdr .icns .ico .jbig2 .jng .jxl .jxr .pam .pcx .pdf .pfm .ps '
    '.psb .psd .qoi .sgi .svg .svgz .wdp .wmf .xbm .xcf .xpm'
)
RAW_SUFFIXES, OTHER_PICTURES = frozenset(_RAW.split()), frozenset(_OTHERS.split())
HEIF_HINT = "pip install 'restorebox[heif]'"
RAW_HINT = 'develop raw files to TIFF or PNG first'
OTHER_HINT = 'save them as PNG or TIFF first'

_BRANDS = {
    **dict.fromkeys((b'avif', b'avis'), 'AVIF'),
    **dict.fromkeys((b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'hevm', b'hevs'), 'HEIF'),
}
HEAD = 4096  # bytes of a file by which it is recognised


def suffix_kind(suffix: str) -> str | None:
    """The kind that a suffix stands for, None for a suffix of no kind that is read."""
    return _BY_SUFFIX.get(suffix.lower())


def unread_hint(suffix: str) -> str | None:
    """What to do about a kind of picture that is not read; None where the suffix is none of a picture, or is read."""
    suffix = suffix.lower()
    if _BY_SUFFIX.get(suffix) == 'HEIF' and not HEIF:
        return HEIF_HINT
    return RAW_HINT if suffix in RAW_SUFFIXES else OTHER_HINT if suffix in OTHER_PICTURES else None


def left_out(kinds: Mapping[str, int], others: bool = True) -> list[str]:
    """A line for each sort of files that were found and not taken.

    Args:
        kinds: suffix -> number of files, of a walk.
        others: name files that are no pictures as well.
    """
    hints: dict[str | None, list[str]] = {}
    for suffix, number in sorted(kinds.items(), key=lambda item: (-item[1], item[0])):
        hints.setdefault(unread_hint(suffix), []).append(f'{suffix or "no suffix"} {number}')
    plain = hints.pop(None, [])
    lines = [f'left out: {", ".join(named)}: {hint}' for hint, named in hints.items()]
    if plain and others:
        count = sum(number for suffix, number in kinds.items() if unread_hint(suffix) is None)
        lines.append(f'not pictures: {count} ({", ".join(plain)})')
    return lines


def sniff(head: bytes, suffix: str = '') -> str | None:
    """The kind of a file, by its first bytes.

    Args:
        head: the first :data:`HEAD` bytes, or more.
        suffix: of its name. TGA alone is told by it, since it has no signature.

    Returns:
        A key of :data:`FORMATS`, or None.
    """
    if head[:3] == b'\xff\xd8\xff':
        return 'JPEG'
    if head[:8] == b'\x89PNG\r\n\x1a\n':
        return 'PNG'
    if head[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'):
        return 'TIFF'
    if head[:4] == b'RIFF' and head[8:12] == b'WEBP':
        return 'WEBP'
    if head[:6] in (b'GIF87a', b'GIF89a'):
        return 'GIF'
    if head[:2] == b'BM':
        return 'BMP'
    if head[:1] == b'P' and head[1:2] in b'123456' and head[2:3] in b' \t\r\n\v\f#' and len(head) > 2:
        return 'PPM'
    if head[:12] == b'\0\0\0\x0cjP  \r\n\x87\n' or head[:4] == b'\xff\x4f\xff\x51':
        return 'JPEG2000'
    if head[4:8] == b'ftyp':
        size = int.from_bytes(head[:4], 'big')
        brands = [head[8:12], *(head[i : i + 4] for i in range(16, min(size, len(head), 256) - 3, 4))]
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)  # 'mif1' first says neither
    return 'TGA' if suffix.lower() == '.tga' else None


def recognise(data: bytes, suffix: str) -> str:
    """The kind of a file.

    Args:
        data: its first bytes at least.
        suffix: of its name.

    Raises:
        Refused: it is none that is read; says what to do where that is known.
    """
    hint = unread_hint(suffix)
    kind = sniff(data, suffix)
    if hint == RAW_HINT:
        raise Refused(f'is of a kind that is not read; {RAW_HINT}')
    if kind == 'HEIF' and not HEIF:
        raise Refused(f'is HEIC, which is read with an extra: {HEIF_HINT}')
    if kind is None:
        unknown = 'is not a picture of a known kind, or is damaged at its very beginning'
        raise Refused(f'is of a kind that is not read; {hint}' if hint else unknown)
    return kind


def is_deep(head: bytes, kind: str) -> bool:
    """Whether a file of a kind that is written with 8 bits alone (JPEG 2000, AVIF) has more."""
    return kind in ('AVIF', 'JPEG2000') and bit_depth(head, kind) > 8


def bit_depth(head: bytes, kind: str) -> int:
    """Bits per value of an AVIF, HEIF or JPEG 2000 as its header says, 8 where it does not say."""
    if kind == 'JPEG2000':
        # a bare code stream has its depth at the end of SIZ; both note one less
        place = 42 if head[:4] == b'\xff\x4f\xff\x51' else _behind(head, b'ihdr', 14)
        return (head[place] & 0x7F) + 1 if 0 < place < len(head) else 8
    place = _behind(head, b'pixi', 9)
    return head[place] if 0 < place < len(head) else 8


def _behind(head: bytes, name: bytes, distance: int) -> int:
    """A place behind a box's name, 0 where there is no such box."""
    place = head.find(name)
    return place + distance if place >= 0 else 0
