"""Supported picture formats, their detection, and the same formats for all users of the reader."""

from __future__ import annotations

import os
import socket
import zlib
from collections import Counter

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from restorebox.datasets import decoding, deep
from restorebox.datasets.formats import FORMATS, HEIF, left_out, sniff, suffix_kind
from restorebox.datasets.reading import list_pictures, read_frames, read_picture
from restorebox.datasets.walking import SkippedFiles
from restorebox.errors import DataError, PictureError
from tests.heic import HEIC8, HEIC10, HEIC_TWO

RNG = np.random.default_rng(11)
RGB = np.kron(RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8), np.ones((6, 6, 1), np.uint8))
needs_heif = pytest.mark.skipif(not HEIF, reason="needs pip install 'restorebox[heif]'")


def refusal(path, **options):
    with pytest.raises(PictureError) as caught:
        read_picture(path, **options)
    line = str(caught.value)
    assert line.startswith(f'{path}: ')
    assert '\n' not in line
    assert len(line) < 500
    return line


@pytest.mark.parametrize('suffix', sorted(s for each in FORMATS.values() for s in each.suffixes if each.written))
def test_each_suffix_is_listed_read_and_known_by_its_first_bytes(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    kind = suffix_kind(suffix)
    mode = {'.pgm': 'L', '.pbm': '1'}.get(suffix, 'RGB')
    options = {'no_jp2': True} if suffix in ('.j2k', '.j2c', '.jpc') else {}
    Image.fromarray(RGB).convert(mode).save(path, kind, **options)
    assert list_pictures(tmp_path) == [path]
    assert sniff(path.read_bytes()[:64], suffix) == kind
    assert read_picture(path).shape == RGB.shape
    if kind not in ('JPEG', 'WEBP', 'AVIF') and mode == 'RGB':
        np.testing.assert_array_equal(read_picture(path), RGB)


def test_only_named_formats_are_opened(tmp_path, monkeypatch):
    """An EPS is a program for Ghostscript, whatever it is called."""
    from PIL import EpsImagePlugin

    started = []
    monkeypatch.setattr(EpsImagePlugin, 'Ghostscript', lambda *args, **options: started.append(args))
    Image.fromarray(RGB).save(tmp_path / 'a.eps')
    for other in ('a.png', 'a.jpg', 'a.tga', 'a', 'a.tif'):
        (tmp_path / other).write_bytes((tmp_path / 'a.eps').read_bytes())
        refusal(tmp_path / other)
    assert 'save them as PNG or TIFF' in refusal(tmp_path / 'a.eps')
    for kind in ('ICO', 'PCX', 'SGI', 'IM', 'PDF', 'DDS'):
        Image.fromarray(RGB).save(tmp_path / 'b.png', kind)
        assert 'no' in refusal(tmp_path / 'b.png')
    assert started == []


def test_raw_files_are_an_error_with_a_hint(tmp_path):
    tifffile.imwrite(tmp_path / 'a.nef', RGB, photometric='rgb')  # most are TIFFs, of which the first page is a preview
    assert 'develop' in refusal(tmp_path / 'a.nef')
    tifffile.imwrite(tmp_path / 'b.tif', RGB, photometric='rgb', extratags=[(50706, 'B', 4, b'\1\4\0\0', True)])
    assert 'develop' in refusal(tmp_path / 'b.tif')  # DNG


@pytest.mark.parametrize(
    'text',
    [
        'P5\n' + '9' * 6000 + ' 4\n255\nabcd',
        'P5\n2 2\n' + '9' * 6000 + '\nabcd',
        'P5\n99999999 99999999\n255\nabcd',
        'P5\n99999999999 9\n255\nabcd',
        'P5\n2 2\n0\nabcd',
        'P6\n2 2\n70000\n' + 'a' * 24,
        'P2\n2 2\n70000\n1 2 3 4',
        'P5\n-2 2\n255\nabcd',
        'P5\n0 2\n255\n',
        'P5\n2 2\n',
        'P3\n2 2\n255\n1 2 x',
        'P5 2 2 255\nabcdP5 2 2 255\nabcd',
        'P4 2 2\nabP4 2 2\nab',
    ],
)
def test_absurd_pnm_is_one_line(tmp_path, text):
    (tmp_path / 'a.pnm').write_text(text)
    refusal(tmp_path / 'a.pnm')


def test_pnm_in_words_keeps_16_bits(tmp_path):
    (tmp_path / 'a.ppm').write_text('P3\n2 1\n65535\n1 2 3 40000 50000 60000\n')
    expected = np.float32([[[1, 2, 3], [40000, 50000, 60000]]]) / 65535
    np.testing.assert_array_equal(read_picture(tmp_path / 'a.ppm'), expected)


@pytest.mark.parametrize('what', ['pipe', 'socket', 'device', 'link to a device', 'folder'])
def test_a_special_file_is_an_immediate_error(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    if what == 'pipe':
        os.mkfifo('a.png')
    elif what == 'socket':
        with socket.socket(socket.AF_UNIX) as here:
            here.bind('a.png')
    elif what == 'folder':
        os.mkdir('a.png')
    elif what == 'link to a device':
        os.symlink('/dev/zero', 'a.png')
    refusal('/dev/zero' if what == 'device' else 'a.png')


@pytest.mark.parametrize(
    'error',
    [
        MemoryError(),
        OSError('out of memory error when reading image file'),
        RuntimeError('Failed to decode frame 0: Out of memory'),
        cv2.error('OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes'),
    ],
)
def test_a_lack_of_memory_is_never_damage(tmp_path, monkeypatch, error):
    def fail(*args, **options):
        raise error

    Image.fromarray(RGB).save(tmp_path / 'a.png')
    monkeypatch.setattr(decoding.Image, 'open', fail)
    with pytest.raises(MemoryError, match=r'a\.png: the memory is not enough'):
        read_picture(tmp_path / 'a.png')


def test_opencvs_silence_is_a_lack_of_memory_where_there_is_none(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / 'a.png'), RGB.astype(np.uint16) * 257)
    monkeypatch.setattr(deep.cv2, 'imdecode', lambda *args: None)
    assert 'damaged or not supported' in refusal(tmp_path / 'a.png')

    def full(*args):
        raise MemoryError

    monkeypatch.setattr(deep.np, 'empty', full)
    with pytest.raises(MemoryError, match=r'a\.png: the memory'):
        read_picture(tmp_path / 'a.png')


def test_how_many_pixels_are_read_is_the_users_to_say(tmp_path):
    Image.fromarray(RGB).save(tmp_path / 'a.png')
    line = refusal(tmp_path / 'a.png', max_pixels=700)
    assert 'has 720 pixels, more than the limit of 700' in line
    assert '--max-pixels 720' in line
    assert read_picture(tmp_path / 'a.png', max_pixels=720).shape == RGB.shape


def test_a_picture_beyond_pillows_guard_is_read_when_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding.Image, 'MAX_IMAGE_PIXELS', 100)
    monkeypatch.setattr(decoding, 'MAX_PIXELS', 200)
    for suffix in ('png', 'tif', 'jpg', 'bmp'):
        Image.fromarray(RGB).save(tmp_path / f'a.{suffix}')
        assert '--max-pixels 720' in refusal(tmp_path / f'a.{suffix}', max_pixels=200)
        assert read_picture(tmp_path / f'a.{suffix}', max_pixels=720).shape == RGB.shape
        monkeypatch.setattr(decoding.Image, 'MAX_IMAGE_PIXELS', 100)


@pytest.mark.parametrize('suffix', ['.tif', '.gif', '.png', '.webp'])
def test_a_file_of_several_pictures_is_an_error_for_a_single_picture(tmp_path, suffix):
    frames = [Image.fromarray(np.roll(RGB, i, 0)) for i in range(3)]
    frames[0].save(tmp_path / f'a{suffix}', save_all=True, append_images=frames[1:])
    assert 'holds 3 pages or frames' in refusal(tmp_path / f'a{suffix}')


@pytest.mark.parametrize('first', [False, True])
def test_a_smaller_copy_inside_a_tiff_is_no_page(tmp_path, first):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        for small in (True, False) if first else (False, True):
            data = np.ascontiguousarray(RGB[::4, ::4]) if small else RGB
            writer.write(data, photometric='rgb', metadata=None, subfiletype=int(small))
    np.testing.assert_array_equal(read_picture(tmp_path / 'a.tif'), RGB)


def test_pages_that_are_cut_off_or_go_in_a_circle_are_named(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        for _ in range(2):
            writer.write(RGB, photometric='rgb', metadata=None)
    data = (tmp_path / 'a.tif').read_bytes()
    start = int.from_bytes(data[4:8], 'little')
    after = start + 2 + 12 * int.from_bytes(data[start : start + 2], 'little')
    second = int.from_bytes(data[after : after + 4], 'little')
    (tmp_path / 'cut.tif').write_bytes(data[: second + 9])
    assert 'damaged or cut short' in refusal(tmp_path / 'cut.tif')
    (tmp_path / 'circle.tif').write_bytes(data[:after] + data[4:8] + data[after + 4 :])
    assert 'cyclic' in refusal(tmp_path / 'circle.tif')


def ink_profile():
    """A profile for CMYK with a table of two points per ink: white paper, ink k darkens by its own amount."""
    import itertools
    import struct

    inks = {0: (55, -37, -50), 1: (48, 74, -3), 2: (89, -5, 93), 3: (16, 0, 0)}
    table = bytearray()
    for on in itertools.product((0, 1), repeat=4):
        lightness, a, b = 95.0, 0.0, -2.0
        for ink in (i for i in range(4) if on[i]):
            lightness, a, b = lightness * inks[ink][0] / 95, a / 2 + inks[ink][1], b / 2 + inks[ink][2]
        table += bytes([round(lightness * 2.55), *(min(255, max(0, round(each + 128))) for each in (a, b))])
    identity = struct.pack('>9i', *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b'mft1' + bytes(4) + bytes([4, 3, 2, 0]) + identity + bytes(range(256)) * 4 + table + bytes(range(256)) * 3
    white = b'XYZ ' + bytes(4) + struct.pack('>3i', 63190, 65536, 54061)
    name = b'desc' + bytes(4) + struct.pack('>I', 5) + b'inks\0' + bytes(78)
    tags, body = b'', b''
    parts = ((b'desc', name), (b'wtpt', white), (b'A2B0', lut))
    for tag, data in parts:
        tags += struct.pack('>4sII', tag, 132 + 12 * len(parts) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 132 + len(tags) + len(body)
    head = struct.pack('>I4sI4s4s4s', size, b'lcms', 0x02400000, b'prtr', b'CMYK', b'Lab ') + bytes(12) + b'acsp'
    head += bytes(28) + struct.pack('>3i', 63190, 65536, 54061) + bytes(48)
    return head + struct.pack('>I', len(parts)) + tags + body


@pytest.mark.parametrize('suffix', ['.tif', '.jpg'])
def test_cmyk_is_converted_with_its_colour_profile(tmp_path, suffix):
    import io

    inks = np.zeros((16, 64, 4), np.uint8)
    for i in range(4):
        inks[:, 16 * i : 16 * i + 16, i] = 255
    image = Image.fromarray(inks, 'CMYK')
    profile = ink_profile()
    image.save(tmp_path / f'a{suffix}', icc_profile=profile, **({'quality': 98} if suffix == '.jpg' else {}))
    with Image.open(tmp_path / f'a{suffix}') as stored:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        shown = ImageCms.profileToProfile(stored, source, ImageCms.createProfile('sRGB'), outputMode='RGB')
    picture = read_picture(tmp_path / f'a{suffix}')
    np.testing.assert_array_equal(picture, np.asarray(shown))
    assert np.abs(picture[8, 8].astype(int) - [0, 255, 255]).max() > 20, 'a guess without the profile'


def test_lab_becomes_rgb(tmp_path):
    sides = ImageCms.createProfile('sRGB'), ImageCms.createProfile('LAB')
    ImageCms.profileToProfile(Image.fromarray(RGB), *sides, outputMode='LAB').save(tmp_path / 'a.tif')
    assert np.abs(read_picture(tmp_path / 'a.tif').astype(int) - RGB).mean() < 2  # Lab with 8 bits is coarse


def test_jpeg_2000_and_avif_with_more_than_8_bits(tmp_path):
    values = np.kron(RNG.integers(0, 4096, (4, 5, 3), dtype=np.uint16), np.ones((8, 8, 1), np.uint16))
    cv2.imwrite(str(tmp_path / 'a.jp2'), values * 16, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    picture = read_picture(tmp_path / 'a.jp2')
    assert picture.dtype == np.float32
    assert np.abs(picture - values[..., ::-1] * 16 / 65535).mean() < 0.01
    options = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100]
    if cv2.imwrite(str(tmp_path / 'a.avif'), values // 4, options):
        picture = read_picture(tmp_path / 'a.avif')
        assert picture.dtype == np.float32
        assert np.abs(picture - values[..., ::-1] // 4 / 1023).mean() < 0.02


@needs_heif
def test_heic(tmp_path):
    (tmp_path / 'a.heic').write_bytes(HEIC8)
    (tmp_path / 'b.HEIC').write_bytes(HEIC10)
    assert len(list_pictures(tmp_path)) == 2
    eight, ten = (read_picture(path) for path in list_pictures(tmp_path))
    assert (eight.dtype, ten.dtype) == (np.uint8, np.float32)
    assert eight.shape == ten.shape == (16, 24, 3)
    assert np.abs(eight / 255 - ten).mean() < 0.05
    assert ((ten * 65535).round() % 257 != 0).any(), 'not eight bits made wide'
    (tmp_path / 'c.heic').write_bytes(HEIC_TWO)
    assert 'holds 2 ' in refusal(tmp_path / 'c.heic')


@needs_heif
def test_pixels_of_heic_are_copied_before_they_are_freed(tmp_path):
    (tmp_path / 'a.heic').write_bytes(HEIC10)
    first, kept = read_picture(tmp_path / 'a.heic'), []
    for _ in range(50):
        again = read_picture(tmp_path / 'a.heic')
        kept.append(np.full(again.size, 7, np.uint16))  # takes the place of what was freed
        assert np.array_equal(again, first)


def test_heic_without_its_package_is_an_error_with_a_hint(tmp_path, monkeypatch):
    from restorebox.datasets import formats

    monkeypatch.setattr(formats, 'HEIF', False)
    for name in ('a.heic', 'a.jpg'):
        (tmp_path / name).write_bytes(HEIC8)
        assert "pip install 'restorebox[heif]'" in refusal(tmp_path / name)
    assert left_out({'.heic': 2}) == ["left out: .heic 2: pip install 'restorebox[heif]'"]


def test_skipped_files_are_counted_and_named(tmp_path):
    for name in ('a.png', 'a.xmp', 'b.TXT', 'c.txt', 'd.nef', 'e.CR2', 'f.psd', 'README', '.hidden', 'Thumbs.db'):
        (tmp_path / name).touch()
    (tmp_path / 'inner').mkdir()
    (tmp_path / 'inner' / 'g.nef').touch()
    skipped = SkippedFiles()
    assert [path.name for path in list_pictures(tmp_path, True, skipped=skipped)] == ['a.png']
    assert skipped.suffixes == Counter({'.txt': 2, '.nef': 2, '.xmp': 1, '.cr2': 1, '.psd': 1, '': 1, '.db': 1})
    assert left_out(skipped.suffixes) == [
        'left out: .nef 2, .cr2 1: develop raw files to TIFF or PNG first',
        'left out: .psd 1: save them as PNG or TIFF first',
        'not pictures: 5 (.txt 2, no suffix 1, .db 1, .xmp 1)',
    ]
    assert len(left_out(skipped.suffixes, others=False)) == 2
    (tmp_path / 'a.png').unlink()
    with pytest.raises(DataError, match=r'no pictures in this folder.*\.nef 1.*develop raw files') as error:
        list_pictures(tmp_path)
    assert str(error.value).endswith('; its sub-folders are not searched: inner')
    with pytest.raises(DataError) as error:
        list_pictures(tmp_path, recursive=True)
    assert 'not searched' not in str(error.value)


def test_an_animation_with_two_thousand_million_frames_is_an_immediate_error(tmp_path):
    frames = [Image.fromarray(np.roll(RGB, i, 0)) for i in range(2)]
    frames[0].save(tmp_path / 'a.png', save_all=True, append_images=frames[1:])
    data = (tmp_path / 'a.png').read_bytes()
    place = data.index(b'acTL')
    body = data[place : place + 4] + (0x7FFFFFFF).to_bytes(4, 'big') + data[place + 8 : place + 12]
    (tmp_path / 'a.png').write_bytes(data[:place] + body + zlib.crc32(body).to_bytes(4, 'big') + data[place + 16 :])
    assert 'holds 2147483647 pages or frames' in refusal(tmp_path / 'a.png')
    with pytest.raises(PictureError, match='has 1546188225840 pixels'):
        read_frames(tmp_path / 'a.png')


@pytest.mark.parametrize('cut', [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize('kind', ['small', 'photograph', 'animation'])
def test_a_png_whose_end_is_zeros_is_damaged(tmp_path, kind, cut):
    """As a crash or an unfinished download leaves it; the decoder may have found all rows by then."""
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(240), np.arange(320))[..., None] % 256 + rng.integers(0, 8, (240, 320, 3))
    picture = Image.fromarray((ramp if kind != 'small' else ramp[:9, :9]).clip(0, 255).astype(np.uint8))
    frames = [picture.rotate(angle) for angle in (90, 180)] if kind == 'animation' else []
    picture.save(tmp_path / 'a.png', save_all=bool(frames), append_images=frames)
    data = (tmp_path / 'a.png').read_bytes()
    (tmp_path / 'cut.png').write_bytes(data[: int(len(data) * cut) - 16].ljust(len(data), b'\0'))
    assert 'damaged or cut short' in refusal(tmp_path / 'cut.png')
