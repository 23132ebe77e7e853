"""Reading of all picture formats, and one-line errors that name the file."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from restorebox.datasets import reading
from restorebox.datasets.reading import list_pictures, natural_order, read_picture
from restorebox.errors import DataError, PictureError

RNG = np.random.default_rng(7)
RGB8 = RNG.integers(0, 256, (9, 13, 3), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (9, 13, 3), dtype=np.uint16)
ALPHA8 = RNG.integers(0, 256, (9, 13), dtype=np.uint8)


def as_upright(picture, orientation):
    """EXIF's definition, written down row by row: where the stored row 0 and column 0 belong."""
    turns = {
        1: picture,
        2: np.fliplr(picture),
        3: np.rot90(picture, 2),
        4: np.flipud(picture),
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, -1),
        7: np.rot90(picture, 2).transpose(1, 0, 2),
        8: np.rot90(picture, 1),
    }
    return turns[orientation]


def exif_of(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def check(path, expected):
    picture = read_picture(path)
    assert picture.dtype == expected.dtype
    assert picture.shape == expected.shape
    assert picture.flags.c_contiguous
    np.testing.assert_array_equal(picture, expected)


def as16(values):
    return values.astype(np.float32) / 65535


def check_error(path, *words):
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.startswith(f'{path}: ')
    assert '\n' not in message
    for word in words:
        assert word in message


@pytest.fixture(autouse=True)
def quiet(capfd):
    """Nothing may be printed, by Python or by the C libraries."""
    yield
    captured = capfd.readouterr()
    assert captured.err == ''
    assert captured.out == ''


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tif', 'ppm'])
def test_plain_colour(tmp_path, suffix):
    Image.fromarray(RGB8).save(tmp_path / f'a.{suffix}')
    check(tmp_path / f'a.{suffix}', RGB8)


def test_jpeg_is_what_pillow_decodes(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / 'a.JPG', format='jpeg', quality=95)
    check(tmp_path / 'a.JPG', np.asarray(Image.open(tmp_path / 'a.JPG')))


def test_webp(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / 'a.webp', lossless=True)
    check(tmp_path / 'a.webp', RGB8)


def test_grey_becomes_three_equal_channels(tmp_path):
    Image.fromarray(ALPHA8).save(tmp_path / 'a.png')
    check(tmp_path / 'a.png', np.repeat(ALPHA8[..., None], 3, 2))


def test_one_bit(tmp_path):
    bits = ALPHA8 > 127
    Image.fromarray(bits).save(tmp_path / 'a.png')
    check(tmp_path / 'a.png', np.repeat(bits[..., None], 3, 2).astype(np.uint8) * 255)


@pytest.mark.parametrize('transparent', [False, True])
def test_palette(tmp_path, transparent):
    colours = np.array([[255, 0, 0], [0, 200, 0], [10, 20, 30]], np.uint8)
    indices = RNG.integers(0, 3, (5, 6), dtype=np.uint8)
    image = Image.fromarray(indices).convert('P')
    image.putdata(indices.ravel().tolist())
    image.putpalette(colours.ravel().tolist())
    image.save(tmp_path / 'a.png', **({'transparency': bytes([0, 128, 255])} if transparent else {}))
    check(tmp_path / 'a.png', colours[indices])


def test_alpha_is_dropped_and_colours_stay(tmp_path):
    Image.fromarray(np.dstack([RGB8, ALPHA8])).save(tmp_path / 'rgba.png')
    check(tmp_path / 'rgba.png', RGB8)
    Image.fromarray(np.dstack([RGB8[..., 0], ALPHA8])).save(tmp_path / 'la.png')
    check(tmp_path / 'la.png', np.repeat(RGB8[..., :1], 3, 2))


def test_cmyk(tmp_path):
    cmyk = np.zeros((16, 16, 4), np.uint8)
    cmyk[..., 0] = 255  # full cyan
    Image.fromarray(cmyk, mode='CMYK').save(tmp_path / 'a.tif')
    check(tmp_path / 'a.tif', np.broadcast_to(np.uint8([0, 255, 255]), (16, 16, 3)))
    Image.fromarray(cmyk, mode='CMYK').save(tmp_path / 'a.jpg', quality=100)
    assert np.abs(read_picture(tmp_path / 'a.jpg').astype(int) - [0, 255, 255]).max() <= 2


@pytest.mark.parametrize('suffix', ['png', 'tif', 'ppm'])
def test_16_bit_colour(tmp_path, suffix):
    cv2.imwrite(str(tmp_path / f'a.{suffix}'), RGB16[..., ::-1])
    check(tmp_path / f'a.{suffix}', as16(RGB16))


@pytest.mark.parametrize('suffix', ['png', 'tif', 'pgm'])
def test_16_bit_grey(tmp_path, suffix):
    cv2.imwrite(str(tmp_path / f'a.{suffix}'), RGB16[..., 0])
    check(tmp_path / f'a.{suffix}', as16(np.repeat(RGB16[..., :1], 3, 2)))


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_16_bit_with_alpha(tmp_path, suffix):
    cv2.imwrite(str(tmp_path / f'a.{suffix}'), np.dstack([RGB16[..., ::-1], RGB16[..., 0]]))
    check(tmp_path / f'a.{suffix}', as16(RGB16))


@pytest.mark.parametrize('mode', ['L', 'RGB', 'I;16', 'RGB16'])
def test_a_transparent_value_of_a_png_is_alpha(tmp_path, mode):
    deep = mode in ('I;16', 'RGB16')
    values = np.array([[1000, 1001, 65535], [0, 256, 257]], np.uint16) if deep else np.array([[3, 4, 5]], np.uint8)
    clear = values[0, 1]
    if mode in ('RGB', 'RGB16'):
        values = np.repeat(values[..., None], 3, 2)
    cv2.imwrite(str(tmp_path / 'a.png'), values)
    data = (tmp_path / 'a.png').read_bytes()
    chunk = b'tRNS' + int(clear).to_bytes(2) * (3 if values.ndim == 3 else 1)
    chunk = struct.pack('>I', len(chunk) - 4) + chunk + struct.pack('>I', zlib.crc32(chunk))
    (tmp_path / 'a.png').write_bytes(data[:33] + chunk + data[33:])  # after the signature (8 bytes) and IHDR (25)
    colours = values if values.ndim == 3 else np.repeat(values[..., None], 3, 2)
    opaque = (colours[..., :1] != clear) * np.iinfo(values.dtype).max
    layers = np.concatenate((colours, opaque.astype(values.dtype)), 2)
    picture = read_picture(tmp_path / 'a.png', alpha=True)
    assert picture.flags.c_contiguous
    np.testing.assert_array_equal(picture, as16(layers) if deep else layers)
    check(tmp_path / 'a.png', as16(colours) if deep else colours)


def test_16_bit_white_is_one(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((3, 3, 3), 65535, np.uint16))
    check(tmp_path / 'a.png', np.ones((3, 3, 3), np.float32))


def test_pnm_with_a_comment_and_10_bits(tmp_path):
    values = RGB16 % 1024
    (tmp_path / 'a.ppm').write_bytes(b'P6\n# made by hand\n13 9\n1023\n' + values.astype('>u2').tobytes())
    check(tmp_path / 'a.ppm', values.astype(np.float32) / 1023)


@pytest.mark.parametrize('largest', [1023, 65535])
def test_pnm_as_text_with_more_than_8_bits(largest, tmp_path):
    values = RGB16.astype(np.int64) * largest // 65535
    text = '\n'.join(map(str, values.ravel())).encode()
    (tmp_path / 'a.ppm').write_bytes(b'P3\n# text\n13 9\n%d\n' % largest + text)
    check(tmp_path / 'a.ppm', values.astype(np.float32) / largest)
    grey = b'P2 13 9 %d ' % largest + ' '.join(map(str, values[..., 0].ravel())).encode()
    (tmp_path / 'a.pgm').write_bytes(grey)
    check(tmp_path / 'a.pgm', np.repeat(values[..., :1].astype(np.float32) / largest, 3, -1))
    for damaged in (grey[:-20], grey.replace(b' ', b' x ', 30), grey[:-5] + b' 99999', grey[:-6] + b' -3'):
        (tmp_path / 'a.pgm').write_bytes(damaged)
        with pytest.raises(PictureError, match='damaged'):
            read_picture(tmp_path / 'a.pgm')


@pytest.mark.parametrize(('order', 'big'), [('<', False), ('>', False), ('<', True)])
@pytest.mark.parametrize('orientation', [1, 2, 3, 4, 5, 6, 7, 8])
def test_16_bit_tiff_orientation(tmp_path, orientation, order, big):
    tifffile = pytest.importorskip('tifffile')
    extra = [(274, 'H', 1, orientation, True)]
    tifffile.imwrite(tmp_path / 'a.tif', RGB16, photometric='rgb', byteorder=order, bigtiff=big, extratags=extra)
    check(tmp_path / 'a.tif', as16(np.ascontiguousarray(as_upright(RGB16, orientation))))


def test_16_bit_tiff_white_is_zero(tmp_path):
    tifffile = pytest.importorskip('tifffile')
    tifffile.imwrite(tmp_path / 'a.tif', RGB16[..., 0], photometric='miniswhite')
    picture = read_picture(tmp_path / 'a.tif')
    np.testing.assert_allclose(picture, 1 - as16(np.repeat(RGB16[..., :1], 3, 2)), atol=1e-6)


@pytest.mark.parametrize('orientation', [1, 2, 3, 4, 5, 6, 7, 8, 0, 9])
@pytest.mark.parametrize('suffix', ['png', 'tif', 'webp'])
def test_exif_orientation(tmp_path, suffix, orientation):
    path = tmp_path / f'a.{suffix}'
    options = {'lossless': True} if suffix == 'webp' else {}
    Image.fromarray(RGB8).save(path, exif=exif_of(orientation), **options)
    check(path, np.ascontiguousarray(as_upright(RGB8, orientation if 1 <= orientation <= 8 else 1)))


def test_exif_orientation_of_a_jpeg(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / 'plain.jpg')
    Image.fromarray(RGB8).save(tmp_path / 'turned.jpg', exif=exif_of(6))
    check(tmp_path / 'turned.jpg', np.ascontiguousarray(np.rot90(read_picture(tmp_path / 'plain.jpg'), -1)))


@pytest.mark.parametrize('late', [False, True])
def test_exif_orientation_of_a_16_bit_png(tmp_path, late):
    cv2.imwrite(str(tmp_path / 'a.png'), RGB16[..., ::-1])
    raw = (tmp_path / 'a.png').read_bytes()
    body = b'eXIf' + exif_of(8).tobytes()[6:]  # without JPEG's 'Exif00'
    chunk = struct.pack('>I', len(body) - 4) + body + struct.pack('>I', zlib.crc32(body))
    place = raw.rindex(b'IEND') - 4 if late else 33
    (tmp_path / 'a.png').write_bytes(raw[:place] + chunk + raw[place:])
    check(tmp_path / 'a.png', as16(np.ascontiguousarray(np.rot90(RGB16))))


def test_damaged_exif_does_not_affect_the_picture(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / 'a.png', exif=b'Exif\0\0MM\0*\xff\xff\xff\xff')
    check(tmp_path / 'a.png', RGB8)


@pytest.mark.parametrize('shape', [(1, 1), (1, 40), (40, 1)])
def test_one_pixel_wide(tmp_path, shape):
    values = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / 'a.png')
    check(tmp_path / 'a.png', values)


def test_missing(tmp_path):
    check_error(tmp_path / 'a.png', 'no such file')


def test_empty(tmp_path):
    (tmp_path / 'a.png').touch()
    check_error(tmp_path / 'a.png', '0 bytes')


def test_folder(tmp_path):
    (tmp_path / 'a.png').mkdir()
    check_error(tmp_path / 'a.png', 'folder')


def test_text_named_jpg(tmp_path):
    (tmp_path / 'a.jpg').write_text('not a picture at all\n' * 50)
    check_error(tmp_path / 'a.jpg', 'not a picture of a known kind')


def test_permission(tmp_path, monkeypatch):
    def refuse(path):  # chmod would not stop a test that runs as root
        raise PermissionError(13, 'Permission denied', str(path))

    monkeypatch.setattr(reading, 'read', refuse)
    check_error(tmp_path / 'a.png', 'permission denied')


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'tif', 'gif', 'webp', 'ppm'])
@pytest.mark.parametrize('part', [0.98, 0.6, 0.1])
def test_cut_short(tmp_path, suffix, part):
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * part)])
    check_error(path)


@pytest.mark.parametrize('suffix', ['png', 'tif', 'ppm'])
@pytest.mark.parametrize('part', [0.98, 0.5])
def test_16_bit_cut_short(tmp_path, suffix, part):
    path = tmp_path / f'a.{suffix}'
    cv2.imwrite(str(path), RNG.integers(0, 65536, (64, 64, 3), dtype=np.uint16))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * part)])
    check_error(path)


def test_any_damage_is_a_picture_error_or_a_picture(tmp_path):
    """Bytes overwritten at random never give another exception, and never print."""
    rng = np.random.default_rng(3)
    values = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for suffix in ('jpg', 'png', 'tif', 'gif', 'webp', 'bmp'):
        path = tmp_path / f'a.{suffix}'
        Image.fromarray(values).save(path)
        raw = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(30):
            spoilt = raw.copy()
            spoilt[rng.integers(0, min(len(raw), 300), 8)] = rng.integers(0, 256, 8)
            path.write_bytes(spoilt.tobytes())
            with contextlib.suppress(PictureError):
                assert read_picture(path).shape[2:] == (3,)


def test_float_and_32_bit_integers_are_an_error(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / 'f.tif')
    check_error(tmp_path / 'f.tif', '32-bit', '8 or 16 bits')
    Image.fromarray(np.ones((4, 4), np.int32)).save(tmp_path / 'i.tif')
    check_error(tmp_path / 'i.tif', '32-bit', '8 or 16 bits')
    cv2.imwrite(str(tmp_path / 'rgb.tif'), np.ones((4, 4, 3), np.float32))
    check_error(tmp_path / 'rgb.tif', '32-bit', '8 or 16 bits')


def test_unusual_16_bit_tiffs_are_an_error(tmp_path):
    tifffile = pytest.importorskip('tifffile')
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, np.dstack([RGB16, RGB16[..., :1]]), photometric='separated')  # CMYK
    check_error(path, '16-bit TIFF', 'plain 16-bit RGB')
    tifffile.imwrite(path, np.ascontiguousarray(RGB16.transpose(2, 0, 1)), photometric='rgb', planarconfig='separate')
    check_error(path, '16-bit TIFF', 'plain 16-bit RGB')
    tifffile.imwrite(path, np.dstack([RGB16, RGB16[..., :1]]), photometric='rgb', extrasamples=['assocalpha'])
    check_error(path, '16-bit TIFF', 'plain 16-bit RGB')


def test_decompression_bomb(tmp_path):
    header = struct.pack('>IIBBBBB', 60000, 60000, 1, 0, 0, 0, 0)
    parts = [b'\x89PNG\r\n\x1a\n']
    for kind, body in ((b'IHDR', header), (b'IDAT', zlib.compress(bytes(1000))), (b'IEND', b'')):
        parts += [struct.pack('>I', len(body)), kind, body, struct.pack('>I', zlib.crc32(kind + body))]
    (tmp_path / 'a.png').write_bytes(b''.join(parts))
    check_error(tmp_path / 'a.png', '3600000000 pixels', '--max-pixels 3600000000')


def test_the_developers_pictures(shared):
    """One of each folder's kinds of files, against Pillow."""
    for folder in sorted(path for path in (shared / 'data').iterdir() if path.is_dir()):
        for path in list_pictures(folder, recursive=True)[:1]:
            check(path, np.asarray(Image.open(path).convert('RGB')))


def test_list_is_in_natural_order_without_hidden_and_other_files(tmp_path):
    for name in ('rain-10.png', 'rain-2.PNG', 'Rain-1.jpg', '.hidden.png', 'notes.txt'):
        (tmp_path / name).touch()
    (tmp_path / 'inner').mkdir()
    (tmp_path / 'inner' / 'b.tif').touch()
    (tmp_path / '.thumbs').mkdir()
    (tmp_path / '.thumbs' / 'c.png').touch()
    assert [path.name for path in list_pictures(tmp_path)] == ['Rain-1.jpg', 'rain-2.PNG', 'rain-10.png']
    assert [path.name for path in list_pictures(tmp_path, recursive=True)] == [
        'b.tif',
        'Rain-1.jpg',
        'rain-2.PNG',
        'rain-10.png',
    ]


def test_list_faults(tmp_path):
    (tmp_path / 'file').touch()
    faults = ((tmp_path / 'none', 'no such folder'), (tmp_path / 'file', 'not a folder'), (tmp_path, '.png'))
    for folder, words in faults:
        with pytest.raises(DataError) as caught:
            list_pictures(folder)
        assert str(folder) in str(caught.value)
        assert words in str(caught.value)
        assert '\n' not in str(caught.value)


def test_a_pipe_is_an_immediate_error(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    with pytest.raises(PictureError, match='no regular file'):
        read_picture(tmp_path / 'a.png')


def test_names_of_thousands_of_digits_are_sorted():
    names = ['9' * 5000, '10', '9', '010', '0', 'a2', 'a10', 'A3']
    order = ['0', '9', '010', '10', '9' * 5000, 'a2', 'A3', 'a10']
    assert [str(path) for path in sorted(map(Path, names), key=natural_order)] == order
