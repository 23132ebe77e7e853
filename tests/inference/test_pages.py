"""Pages of a file and frames of an animation are all restored and kept; a file goes where its content fits."""

from __future__ import annotations

import struct
import tracemalloc

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from restorebox.errors import PictureError
from restorebox.inference.files import naming_note, read_file, target_name, write_file

RNG = np.random.default_rng(3)


def smooth(height=40, width=56, channels=3):
    small = RNG.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def darker(colours):
    """A network that shows where it has been."""
    return (colours // 2).astype(colours.dtype)


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('big', [False, True])
def test_every_page_of_a_tiff_keeps_its_kind_and_its_tags(tmp_path, order, big):
    pages = [
        smooth(),
        smooth(30, 20, 1)[..., 0].astype(np.uint16) * 257,
        smooth(channels=4),
        smooth(channels=1)[..., 0],
    ]
    with tifffile.TiffWriter(tmp_path / 'a.tif', byteorder=order, bigtiff=big) as writer:
        for number, page in enumerate(pages):
            alpha = {'extrasamples': ['unassalpha']} if page.shape[-1] == 4 else {}
            writer.write(
                page,
                photometric='rgb' if page.ndim == 3 else 'minisblack',
                metadata=None,
                description=f'Seite {number} für José'.encode(),
                resolution=(100 + number, 50),
                resolutionunit=3,
                extratags=[(285, 's', 0, f'page {number}', True), (274, 'H', 1, 6 if number == 1 else 1, True)],
                **alpha,
            )
    if big and order == '>':
        with pytest.raises(PictureError):  # Pillow opens BigTIFF with little-endian numbers only
            read_file(tmp_path / 'a.tif')
        return
    file = read_file(tmp_path / 'a.tif').restored(darker)
    assert write_file(file, tmp_path / 'b.tif') == []
    pages[1] = np.ascontiguousarray(np.rot90(pages[1], -1))
    with tifffile.TiffFile(tmp_path / 'b.tif') as tiff:
        assert len(tiff.pages) == 4
        for number, (page, before) in enumerate(zip(tiff.pages, pages, strict=True)):
            out = page.asarray()
            assert (out.dtype, out.shape) == (before.dtype, before.shape)
            np.testing.assert_array_equal(out[..., :3], before[..., :3] // 2)
            if before.shape[-1] == 4:
                np.testing.assert_array_equal(out[..., 3], before[..., 3])
            assert page.tags[270].value == f'Seite {number} für José'
            assert page.tags[285].value == f'page {number}'
            assert page.tags[296].value == 3
            across = (page.tags[282].value, page.tags[283].value)
            sides = [value[0] / value[1] for value in across]
            assert sides == ([50, 101] if number == 1 else [100 + number, 50])
    again = read_file(tmp_path / 'b.tif')
    assert [page.layers.shape for page in again.pages] == [page.layers.shape for page in file.pages]


def frames(alpha):
    """Three frames that differ, transparent ones where it is asked for."""
    made = []
    for i in range(3):
        picture = smooth(channels=4)
        picture[..., 3] = 255
        if alpha:
            picture[10 * i : 10 * i + 10, :20, 3] = 0
        made.append(Image.fromarray(picture if alpha else np.ascontiguousarray(picture[..., :3])))
    return made


@pytest.mark.parametrize('alpha', [False, True])
@pytest.mark.parametrize('loop', [None, 0, 3])
@pytest.mark.parametrize('suffix', ['.gif', '.png', '.webp', '.avif'])
def test_an_animation_keeps_its_frames_and_how_they_play(tmp_path, suffix, loop, alpha):
    first, *others = frames(alpha)
    options = {} if loop is None else {'loop': loop}
    options |= {'lossless': True} if suffix == '.webp' else {'disposal': 2} if suffix == '.gif' else {}
    durations = [40, 120, 200]
    first.save(tmp_path / f'a{suffix}', save_all=True, append_images=others, duration=durations, **options)
    target = tmp_path / target_name(f'b{suffix}')
    assert target.name == ('b.gif.png' if suffix == '.gif' else f'b{suffix}')
    file = read_file(tmp_path / f'a{suffix}')
    shown = []
    with Image.open(tmp_path / f'a{suffix}') as image:
        for number in range(3):
            image.seek(number)
            shown.append(np.asarray(image.convert('RGBA')))
    assert write_file(file.restored(darker), target) == []
    with Image.open(target) as image:
        assert image.n_frames == 3
        for number in range(3):
            image.seek(number)
            image.load()
            assert image.info['duration'] == durations[number]
            out = np.asarray(image.convert('RGBA')).astype(int)
            solid = shown[number][..., 3] == 255
            assert np.abs(out[solid][:, :3] - shown[number][solid][:, :3] // 2).mean() < 4
            assert np.array_equal(out[..., 3], shown[number][..., 3])
        if suffix == '.gif':  # which counts how often it is played again
            assert image.info['loop'] == {None: 1, 0: 0, 3: 4}[loop]
        elif suffix != '.avif':
            assert image.info['loop'] == (loop or 0)
    assert read_file(target).timing == file.timing


def test_a_still_that_stands_before_an_animation_stays_one(tmp_path):
    still, *moving = frames(False)
    options = {'duration': [30, 60], 'default_image': True, 'loop': 2}
    still.save(tmp_path / 'a.png', save_all=True, append_images=moving, **options)
    write_file(read_file(tmp_path / 'a.png').restored(darker), tmp_path / 'b.png')
    with Image.open(tmp_path / 'b.png') as image:
        assert image.n_frames == 3
        assert image.default_image
        assert np.array_equal(np.asarray(image), np.asarray(still) // 2)
        image.seek(1)
        assert image.info['duration'] == 30


@pytest.mark.parametrize('count', [1, 2])
@pytest.mark.parametrize('suffix', ['.webp', '.avif', '.tif'])
def test_a_format_without_still_pictures_holds_the_animation(tmp_path, suffix, count):
    still, *moving = frames(False)
    options = {'duration': [30, 60][:count], 'default_image': True, 'xmp': b'<x:xmpmeta/>'}
    still.save(tmp_path / 'a.png', save_all=True, append_images=moving[:count], **options)
    picture = read_file(tmp_path / 'a.png')
    assert picture.timing.still_first
    if suffix == '.tif':
        with pytest.raises(PictureError, match=f'hold the {count + 1} frames'):
            write_file(picture, tmp_path / 'b.tif')
        return
    lost = [f'{suffix} files hold no still picture beside an animation: left out']
    assert write_file(picture, tmp_path / f'b{suffix}') == lost
    written = read_file(tmp_path / f'b{suffix}')
    assert len(written.pages) == count
    assert written.timing is None or written.timing.durations == (30, 60)
    assert written.metadata.xmp == picture.metadata.xmp
    for page, before in zip(written.pages, moving, strict=False):
        assert np.abs(page.colours.astype(int) - np.asarray(before)).mean() < 4


@pytest.mark.parametrize(('loop', 'lost'), [(0, []), (3, ['.avif files hold no loop count: left out'])])
def test_the_loop_count_is_named_where_it_is_lost(tmp_path, loop, lost):
    first, *others = frames(False)
    first.save(tmp_path / 'a.png', save_all=True, append_images=others, loop=loop)
    picture = read_file(tmp_path / 'a.png')
    assert write_file(picture, tmp_path / 'b.avif') == lost
    assert write_file(picture, tmp_path / 'b.webp') == []
    assert read_file(tmp_path / 'b.webp').timing.plays == loop


def test_pictures_inside_a_jpeg(tmp_path):
    first, second, preview = frames(False)
    first.save(tmp_path / 'a.jpg', 'MPO', save_all=True, append_images=[second, preview.resize((16, 12))], quality=98)
    file = read_file(tmp_path / 'a.jpg')
    assert file.notes == ['1 previews or gain maps inside are left out']
    write_file(file, tmp_path / 'b.jpg')
    with Image.open(tmp_path / 'b.jpg') as image:
        assert (image.format, image.n_frames) == ('MPO', 2)
        image.seek(1)
        assert np.abs(np.asarray(image).astype(int) - np.asarray(second)).mean() < 4


def test_a_format_without_pages_is_refused(tmp_path):
    first, *others = frames(False)
    first.save(tmp_path / 'a.tif', save_all=True, append_images=others)
    with pytest.raises(PictureError, match=r"b\.png: \.png files can't hold the 3 pages that it has; name it \.tif"):
        write_file(read_file(tmp_path / 'a.tif'), tmp_path / 'b.png')
    first.save(tmp_path / 'a.webp', save_all=True, append_images=others)
    with pytest.raises(PictureError, match=r"can't hold the 3 frames that it has; name it \.png"):
        write_file(read_file(tmp_path / 'a.webp'), tmp_path / 'b.jpg')
    assert not list(tmp_path.glob('b*'))


def test_all_pages_count_as_a_files_pixels(tmp_path):
    first, *others = frames(False)
    for suffix in ('.tif', '.webp', '.gif', '.png'):
        first.save(tmp_path / f'a{suffix}', save_all=True, append_images=others)
        with pytest.raises(PictureError, match='has 6720 pixels'):
            read_file(tmp_path / f'a{suffix}', max_pixels=6719)
        assert len(read_file(tmp_path / f'a{suffix}', max_pixels=6720).pages) == 3


def test_pages_share_one_copy_of_their_file(tmp_path):
    """Reading takes no copy of the file for each page, neither of compressed ones nor of those with 16 bits."""
    pages = [smooth(8, 8), smooth(8, 8, 1)[..., 0].astype(np.uint16) * 257, smooth(8, 8)]
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        for number in range(120):
            compression = 'zlib' if number % 3 == 2 else None
            writer.write(pages[number % 3], metadata=None, compression=compression)
    with (tmp_path / 'a.tif').open('ab') as file:
        file.write(bytes(2_000_000))
    tracemalloc.start()
    read = read_file(tmp_path / 'a.tif').pages
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    for number, page in enumerate(read):
        wanted = pages[number % 3]
        np.testing.assert_array_equal(page.colours[..., : 3 if wanted.ndim == 3 else 1].squeeze(), wanted)


def test_pages_that_share_a_large_field_are_refused(tmp_path):
    """Each of 1,000 pages has the same megabyte of XMP, which would be read as many times."""
    fields = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 0)]
    fields += [(277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 1), (700, 1, 10**6, 200_000)]
    data, step = bytearray(b'II*\0' + struct.pack('<I', 8)), 2 + 12 * len(fields) + 4
    for number in range(1000):
        following = len(data) + step if number < 999 else 0
        table = b''.join(struct.pack('<HHII', *field) for field in fields)
        data += struct.pack('<H', len(fields)) + table + struct.pack('<I', following)
    (tmp_path / 'a.tif').write_bytes(data.ljust(1_200_000, b'\0'))
    tracemalloc.start()
    with pytest.raises(PictureError, match=r'a\.tif: is not read: its 1000 pages share fields of 1000\d{6} bytes'):
        read_file(tmp_path / 'a.tif')
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_damaged_page_is_named(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        for _ in range(3):
            writer.write(smooth(), photometric='rgb', metadata=None, compression='zlib')
    with tifffile.TiffFile(tmp_path / 'a.tif') as tiff:
        start = tiff.pages[1].dataoffsets[0]
    data = bytearray((tmp_path / 'a.tif').read_bytes())
    data[start : start + 40] = bytes(40)
    (tmp_path / 'a.tif').write_bytes(data)
    with pytest.raises(PictureError, match=r'a\.tif: page 2 of 3: '):
        read_file(tmp_path / 'a.tif')


JPEG, PNG, GIF = b'\xff\xd8\xff\xe0', b'\x89PNG\r\n\x1a\n', b'GIF89a'
WEBP, TIFF, BMP = b'RIFF\0\0\0\0WEBP', b'II*\0', b'BM'
AVIF, HEIC = b'\0\0\0\x18ftypavif', b'\0\0\0\x18ftypmif1\0\0\0\0mif1heic'


@pytest.mark.parametrize(
    ('name', 'head', 'target'),
    [
        ('a.jpg', JPEG, 'a.jpg'),
        ('a.jfif', JPEG, 'a.jfif'),
        ('a.jpg', PNG, 'a.jpg.png'),
        ('a.jpg', GIF, 'a.jpg.png'),
        ('a.jpg', WEBP, 'a.jpg.webp'),
        ('a.jpg', TIFF, 'a.jpg.tif'),
        ('a.jpg', AVIF, 'a.jpg.avif'),
        ('a.JPG', HEIC, 'a.JPG.png'),
        ('a.jpg', BMP, 'a.jpg.bmp'),
        ('a.png', JPEG, 'a.png'),
        ('a.png', WEBP, 'a.png'),
        ('a.png', TIFF, 'a.png.tif'),
        ('a.png', GIF, 'a.png'),
        ('a.tif', JPEG, 'a.tif'),
        ('a.tif', PNG, 'a.tif.png'),
        ('a.bmp', JPEG, 'a.bmp.jpg'),
        ('a.webp', GIF, 'a.webp'),
        ('a.gif', GIF, 'a.gif.png'),
        ('a.gif', JPEG, 'a.gif.jpg'),
        ('a.heic', HEIC, 'a.heic.png'),
        ('a.heic', JPEG, 'a.heic.jpg'),
        ('a', JPEG, 'a.png'),
        ('a.dat', TIFF, 'a.dat.tif'),
        ('a.jpg', b'', 'a.jpg'),
        ('a.jpg', b'no picture', 'a.jpg'),
        ('a', b'', 'a.png'),
    ],
)
def test_where_a_file_goes(name, head, target):
    assert target_name(name, head) == target
    note = naming_note(name, head, target)
    wrong = (name[-3:].lower(), head) not in (
        *(('jpg', JPEG), ('fif', JPEG), ('gif', GIF), ('eic', HEIC), ('jpg', b''), ('jpg', b'no picture')),
    )
    assert (note is not None) == (wrong and '.' in name and 'dat' not in name)
    assert note is None or target in note


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.avif', '.tif', '.bmp', '.tga', '.jp2', '.gif', '.ppm'])
@pytest.mark.parametrize('named', ['.jpg', '.png', '.webp', '.tif', '.gif', '.bmp'])
def test_a_picture_by_any_name_is_written_as_what_its_new_name_says(tmp_path, suffix, named):
    array = smooth()
    Image.fromarray(array).save(tmp_path / f'a{suffix}')
    if suffix == '.tga' and named != suffix:
        pytest.skip('has no signature')
    wrong = tmp_path / f'b{named}'
    (tmp_path / f'a{suffix}').rename(wrong)
    target = tmp_path / 'out' / target_name(wrong.name, wrong.read_bytes()[:4096])
    write_file(read_file(wrong), target)
    with Image.open(target) as image:
        assert target.suffix in [each for each, kind in Image.registered_extensions().items() if kind == image.format]
        assert np.abs(np.asarray(image.convert('RGB')).astype(int) - read_file(wrong).colours).mean() < 8
