"""Valid picture files of every kind that is read, small, with contents drawn at random."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import tifffile
from PIL import Image

SUFFIXES = {
    'png': '.png',
    'jpeg': '.jpg',
    'webp': '.webp',
    'gif': '.gif',
    'bmp': '.bmp',
    'tiff': '.tif',
    'pnm': '.ppm',
    'jp2': '.jp2',
    'avif': '.avif',
    'tga': '.tga',
}
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def scene(draws: np.random.Generator, channels: int = 3, deep: bool = False) -> np.ndarray:
    """A smooth picture with some noise: ``(H, W)`` of one channel, else ``(H, W, channels)``; uint8 or uint16."""
    height, width = (int(each) for each in draws.integers(1, 49, 2))
    small = draws.integers(0, 256, (4, 5, channels), dtype=np.uint8)
    array = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)
    array = np.clip(array.astype(float) + draws.normal(0, 4, array.shape), 0, 255)
    array = np.rint(array * 257).astype(np.uint16) if deep else np.rint(array).astype(np.uint8)
    return array[..., 0] if channels == 1 else array


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """A file of Pillow's."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG with its sum."""
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def interlaced(array: np.ndarray) -> bytes:
    """A PNG of 8 or 16 bits, in Adam7's seven passes."""
    height, width = array.shape[:2]
    array = array.reshape(height, width, -1)
    colour, depth = {1: 0, 2: 4, 3: 2, 4: 6}[array.shape[2]], 8 * array.itemsize
    rows = []
    for top, left, down, right in ADAM7:
        part = array[top::down, left::right]
        if part.size:
            rows += [b'\0' + row.astype(row.dtype.newbyteorder('>')).tobytes() for row in part]
    head = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 1)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', head)
        + chunk(b'IDAT', zlib.compress(b''.join(rows)))
        + chunk(b'IEND', b'')
    )


def frames(draws: np.random.Generator, channels: int) -> list[Image.Image]:
    """Three unlike pictures of one size."""
    first = scene(draws, channels)
    return [Image.fromarray(np.roll(first, 40 * i, 0) + np.uint8(60 * i)) for i in range(3)]


def png(draws: np.random.Generator, form: int) -> bytes:
    """1, 8 and 16 bits; grey, palette, colour; alpha; interlaced; animated."""
    deep, channels = form % 2 == 1, (1, 2, 3, 4)[form // 2 % 4]
    if form < 8:
        array = scene(draws, channels, deep)
        if not deep:
            return saved(Image.fromarray(array), 'PNG')
        if channels == 2:
            return interlaced(array)
        order = {1: None, 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
        return cv2.imencode('.png', array if order is None else np.ascontiguousarray(array[..., order]))[1].tobytes()
    if form < 16:
        return interlaced(scene(draws, channels, deep))
    colour = Image.fromarray(scene(draws))
    if form == 16:
        return saved(colour.convert('1'), 'PNG')
    if form == 17:
        return saved(colour.quantize(17), 'PNG')
    if form == 18:
        return saved(colour.quantize(16), 'PNG', transparency=3, bits=4)
    if form == 19:
        return saved(colour, 'PNG', transparency=(10, 20, 30))
    first, *more = frames(draws, 4 if form == 20 else 3)
    return saved(first, 'PNG', save_all=True, append_images=more, duration=40)


def jpeg(draws: np.random.Generator, form: int) -> bytes:
    """Grey, colour, inks; progressive; restart marks; EXIF that turns."""
    image = Image.fromarray(scene(draws, 1 if form == 0 else 4 if form == 2 else 3))
    if form == 2:
        image = Image.fromarray(np.asarray(image), 'CMYK') if image.mode != 'CMYK' else image
    options: dict = {'quality': int(draws.integers(30, 100)), 'progressive': form == 3}
    if form == 4:
        options['restart_marker_rows'] = 1
    if form == 5:
        exif = Image.Exif()
        exif.update({274: int(draws.integers(1, 9)), 315: 'Jos\u00e9', 306: '2024:01:02 03:04:05'})
        options['exif'] = exif
    return saved(image, 'JPEG', **options)


def webp(draws: np.random.Generator, form: int) -> bytes:
    """With and without loss and alpha; animated."""
    if form == 4:
        first, *more = frames(draws, 3)
        return saved(first, 'WEBP', save_all=True, append_images=more, lossless=True)
    return saved(Image.fromarray(scene(draws, 3 + form // 2)), 'WEBP', lossless=form % 2 == 1)


def gif(draws: np.random.Generator, form: int) -> bytes:
    """Still, transparent, animated."""
    if form == 2:
        first, *more = frames(draws, 3)
        return saved(first, 'GIF', save_all=True, append_images=more, duration=50, loop=0)
    return saved(Image.fromarray(scene(draws, 3 + form)), 'GIF')


def bmp(draws: np.random.Generator, form: int) -> bytes:
    """1, 8, 24 and 32 bits."""
    image = Image.fromarray(scene(draws, 4 if form == 4 else 3))
    return saved(
        image.convert('1')
        if form == 0
        else image.convert('L')
        if form == 1
        else image.quantize(9)
        if form == 2
        else image,
        'BMP',
    )


def tiff(draws: np.random.Generator, form: int) -> bytes:
    """Compressions, bits, pages, tiles, planes, both orders of bytes."""
    compressions = ('raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits', 'jpeg')
    if form < 5:
        return saved(Image.fromarray(scene(draws)), 'TIFF', compression=compressions[form])
    if form == 5:
        return saved(Image.fromarray(scene(draws)).convert('1'), 'TIFF', compression='group4')
    if form == 6:
        first, *more = frames(draws, 3)
        return saved(first, 'TIFF', save_all=True, append_images=more, compression='tiff_lzw')
    buffer = BytesIO()
    deep = form in (7, 8, 9)
    array = scene(draws, 1 if form in (7, 10) else 4 if form == 11 else 3, deep)
    options: dict = {'photometric': 'minisblack' if array.ndim == 2 else 'rgb'}
    if form == 11:
        options['extrasamples'] = ['unassalpha']
    if form == 12:
        options['tile'] = (16, 16)
    if form == 13:
        options['planarconfig'] = 'separate'
        array = np.ascontiguousarray(np.moveaxis(array, -1, 0))
    with tifffile.TiffWriter(buffer, byteorder='>' if form in (8, 10) else '<', bigtiff=form == 14) as file:
        file.write(array, metadata=None, compression='zlib' if form in (9, 12) else None, **options)
    return buffer.getvalue()


def pnm(draws: np.random.Generator, form: int) -> bytes:
    """P1 to P6 with 1, 8 and 16 bits and other largest values."""
    kind = form % 6 + 1
    array = scene(draws, 3 if kind in (3, 6) else 1)
    height, width = array.shape[:2]
    if kind in (1, 4):
        bits = (array > 127).astype(np.uint8)
        body = np.packbits(bits, 1).tobytes() if kind == 4 else ' '.join(map(str, bits.ravel())).encode()
        return b'P%d\n%d %d\n' % (kind, width, height) + body
    most = (255, 65535, 100)[form // 6 % 3]
    values = np.rint(array * (most / 255)).astype('>u2' if most > 255 else np.uint8)
    body = values.tobytes() if kind > 3 else '\n'.join(map(str, values.ravel())).encode()
    return b'P%d\n# a comment\n%d %d\n%d\n' % (kind, width, height, most) + body


def jp2(draws: np.random.Generator, form: int) -> bytes:
    """Without and with loss, grey and alpha, with and without its box."""
    image = Image.fromarray(scene(draws, (3, 3, 1, 4)[form % 4]))
    return saved(image, 'JPEG2000', irreversible=form % 4 == 1, no_jp2=form >= 4)


def avif(draws: np.random.Generator, form: int) -> bytes:
    """With and without alpha."""
    return saved(Image.fromarray(scene(draws, 3 + form)), 'AVIF', quality=90)


def tga(draws: np.random.Generator, form: int) -> bytes:
    """Grey, colour, alpha, with and without run lengths."""
    image = Image.fromarray(scene(draws, (1, 3, 4)[form % 3]))
    return saved(image, 'TGA', compression='tga_rle' if form >= 3 else None)


# kind -> (writer, number of its forms)
WRITERS = {
    'png': (png, 22),
    'jpeg': (jpeg, 6),
    'webp': (webp, 5),
    'gif': (gif, 3),
    'bmp': (bmp, 5),
    'tiff': (tiff, 15),
    'pnm': (pnm, 18),
    'jp2': (jp2, 8),
    'avif': (avif, 2),
    'tga': (tga, 6),
}


def draw(rng: object, draws: np.random.Generator) -> tuple[str, int, bytes]:
    """A valid file -> its kind, its form, its bytes; the rich kinds oftener."""
    kind = rng.choices(tuple(WRITERS), [count**0.5 for _, count in WRITERS.values()])[0]
    writer, count = WRITERS[kind]
    form = rng.randrange(count)
    return kind, form, writer(draws, form)
