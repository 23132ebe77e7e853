"""Kinds of picture files: which are read, how they are recognised, and what each can contain.

Other formats of Pillow are disabled for security: one of them starts a program (EPS, Ghostscript). A file is recognised
by its first bytes, never by its name only.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

HEIF = importlib.util.find_spec('pi_heif') is not None  # the extra `heif`


class Refused(Exception):
    """A file can't be decoded; the text is the reason."""


@dataclass(frozen=True)
class Format:
    """A kind of file that is read.

    Attributes:
        suffixes: file name suffixes, the usual one first.
        holds: supported features: 'exact' (written without loss), 'deep' (16 bits), 'alpha', 'pages' (of different
            sizes), 'frames' (of an animation), 'loop' (number of its repetitions), 'still' (a picture beside it), and
            metadata 'profile', 'exif', 'xmp', 'iptc', 'density', 'comments'.
        written: whether files of this kind can be written.
    """

    suffixes: tuple[str, ...]
    holds: frozenset[str]
    written: bool = True


def _format(suffixes: str, holds: str = '', written: bool = True) -> Format:
    return Format(tuple(suffixes.split()), frozenset(holds.split()), written)


# by the name of the format in Pillow, and in pi-heif for HEIF
FORMATS: dict[str, Format] = {
    'JPEG': _format('.jpg .jpeg .jpe .jfif .mpo', 'pages profile exif xmp iptc density comments'),
    'PNG': _format('.png .apng', 'exact deep alpha frames loop still profile exif xmp density comments'),
    'TIFF': _format('.tif .tiff', 'exact deep alpha pages profile exif xmp iptc density'),
    'WEBP': _format('.webp', 'alpha frames loop profile exif xmp'),
    'AVIF': _format('.avif .avifs', 'alpha frames profile exif xmp'),
    'HEIF': _format('.heic .heif .hif .heics .heifs', 'deep alpha profile exif xmp', written=False),
    # not written, since it has 256 colours only
    'GIF': _format('.gif', 'alpha frames loop comments', written=False),
    'BMP': _format('.bmp', 'exact density'),  # programs read the alpha channel of 32-bit files as padding
    'PPM': _format('.ppm .pgm .pnm .pbm', 'exact deep'),
    'JPEG2000': _format('.jp2 .j2k .j2c .jpc .jpf .jpx', 'alpha comments'),
    'TGA': _format('.tga', 'exact alpha'),
}
_BY_SUFFIX = {suffix: kind for kind, each in FORMATS.items() for suffix in each.suffixes}
PICTURE_SUFFIXES = tuple(sorted(s for s, kind in _BY_SUFFIX.items() if kind != 'HEIF' or HEIF))

# Pictures that are not read, and hints what to do about them. Raw files are recognised by their suffix, since most are
# TIFF files with a thumbnail as first page.
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
HEAD = 4096  # number of bytes from which a file is recognised


def suffix_kind(suffix: str) -> str | None:
    """Return the kind of a suffix, None if it belongs to no kind that is read."""
    return _BY_SUFFIX.get(suffix.lower())


def unread_hint(suffix: str) -> str | None:
    """Return a hint what to do about a picture that is not read; None for readable kinds and other files."""
    suffix = suffix.lower()
    if _BY_SUFFIX.get(suffix) == 'HEIF' and not HEIF:
        return HEIF_HINT
    return RAW_HINT if suffix in RAW_SUFFIXES else OTHER_HINT if suffix in OTHER_PICTURES else None


def left_out(kinds: Mapping[str, int], others: bool = True) -> list[str]:
    """Return a message for each group of skipped files.

    Args:
        kinds: suffix -> number of skipped files.
        others: include files that are not pictures.
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
    """Recognise the kind of a file by its first bytes.

    Args:
        head: the first :data:`HEAD` bytes, or more.
        suffix: suffix of the file name; only used for TGA, which has no signature.

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
        # the major brand may be 'mif1', which stands for both kinds
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    return 'TGA' if suffix.lower() == '.tga' else None


def recognise(data: bytes, suffix: str) -> str:
    """Return the kind of a file, a key of :data:`FORMATS`.

    Args:
        data: at least the first :data:`HEAD` bytes.
        suffix: suffix of the file name.

    Raises:
        Refused: the kind is not read; the message has a hint if possible.
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
    """Return whether a file of a kind that is written with 8 bits only (JPEG 2000, AVIF) has more."""
    return kind in ('AVIF', 'JPEG2000') and bit_depth(head, kind) > 8


def bit_depth(head: bytes, kind: str) -> int:
    """Return the bits per value in the header of an AVIF, HEIF or JPEG 2000 file; 8 if it does not say."""
    if kind == 'JPEG2000':
        # a raw code stream has the depth at the end of its SIZ segment; both store depth - 1
        position = 42 if head[:4] == b'\xff\x4f\xff\x51' else _offset_in_box(head, b'ihdr', 14)
        return (head[position] & 0x7F) + 1 if 0 < position < len(head) else 8
    position = _offset_in_box(head, b'pixi', 9)
    return head[position] if 0 < position < len(head) else 8


def _offset_in_box(head: bytes, name: bytes, distance: int) -> int:
    """Return the offset ``distance`` bytes after the start of a box's name; 0 if there is no such box."""
    position = head.find(name)
    return position + distance if position >= 0 else 0
