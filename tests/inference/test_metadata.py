"""What a picture file carries comes out of it true of the restored picture: formats x what they carry x orientations.

Read back by Pillow and tifffile, and where these decode, as raw bytes.
"""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from restorebox.datasets.reading import picture_size, read_picture
from restorebox.datasets.tiff import IFDEntry, read_directory, read_pages, write_directory
from restorebox.errors import PictureError
from restorebox.inference.files import read_file, write_file
from restorebox.inference.metadata import png_chunk, png_chunks, update_exif, update_xmp

WIDTH, HEIGHT = 56, 40  # as stored
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d" exif:PixelXDimension="56">'
    b'<tiff:ImageLength>40</tiff:ImageLength><dc:title>Z\xc3\xbcrich</dc:title>'
    b'<xmp:Thumbnails><rdf:Alt>old</rdf:Alt></xmp:Thumbnails></rdf:Description></x:xmpmeta>'
)
ARTIST, TITLE, LENS = 'José Müller', 'Ausflug nach 東京', 'Objektiv für Nähe'
NOTES = b'Maker\0\x01\x02\xff'


def picture(deep=False, grey=False):
    rng = np.random.default_rng(5)
    if deep:
        return rng.integers(0, 65536, (HEIGHT, WIDTH) if grey else (HEIGHT, WIDTH, 3), dtype=np.uint16)
    return np.kron(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))


def text(tag, words):
    return IFDEntry(tag, 2, len(words.encode()) + 1, words.encode() + b'\0')


def entries(order, orientation):
    """The fields of a camera's EXIF, text in UTF-8."""

    def numbers(tag, kind, code, *values):
        return IFDEntry(
            tag, kind, len(values) // (2 if kind == 5 else 1), struct.pack(order + code * len(values), *values)
        )

    interop = IFDEntry(40965, 4, 1, b'', directory=[text(1, 'R98')])
    camera = [
        numbers(33434, 5, 'I', 1, 250),
        numbers(37396, 3, 'H', 5, 6, 8, 4),
        IFDEntry(37500, 7, len(NOTES), NOTES),
        numbers(40962, 3, 'H', WIDTH),
        numbers(40963, 3, 'H', HEIGHT),
        interop,
        text(42036, LENS),
    ]
    place = [text(1, 'N'), numbers(2, 5, 'I', 48, 1, 8, 1, 3000, 100)]
    return [
        text(270, TITLE),
        numbers(274, 3, 'H', orientation),
        numbers(282, 5, 'I', 300, 1),
        numbers(283, 5, 'I', 200, 1),
        numbers(296, 3, 'H', 2),
        text(315, ARTIST),
        numbers(18246, 3, 'H', 4),
        IFDEntry(34665, 4, 1, b'', directory=camera),
        IFDEntry(34853, 4, 1, b'', directory=place),
    ]


def block(order='<', orientation=6):
    """EXIF with a thumbnail."""
    head = (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(order + 'I', 8)
    first = [*entries(order, orientation), IFDEntry(256, 4, 1, struct.pack(order + 'I', WIDTH))]
    data = bytearray(head + write_directory(first, head, 8))
    data += b'\0' * (len(data) % 2)
    thumbnail = io.BytesIO()
    Image.new('RGB', (8, 6)).save(thumbnail, 'JPEG')
    small = thumbnail.getvalue()
    at = len(data)

    def second(start):
        return [
            IFDEntry(513, 4, 1, struct.pack(order + 'I', start)),
            IFDEntry(514, 4, 1, struct.pack(order + 'I', len(small))),
        ]

    data += write_directory(second(at + len(write_directory(second(0), head, at))), head, at) + small
    struct.pack_into(order + 'I', data, read_directory(bytes(data), 8)[2], at)
    return bytes(data)


def save(path, order='<', orientation=6, deep=False):
    """A file with all that its format can carry."""
    xmp, exif, image = XMP % orientation, block(order, orientation), None if deep else Image.fromarray(picture())
    kind = path.suffix
    if kind == '.jpg':
        options = {'comment': 'grüß'.encode(), 'dpi': (300, 200), 'xmp': xmp, 'quality': 98}
        image.save(path, exif=b'Exif\0\0' + exif, icc_profile=PROFILE, **options)
    elif kind == '.png':
        import cv2

        data = cv2.imencode('.png', (picture(deep)[..., ::-1]))[1].tobytes()
        extra = png_chunk(b'gAMA', struct.pack('>I', 45455)) + png_chunk(b'eXIf', exif)
        extra += png_chunk(b'pHYs', struct.pack('>IIB', 11811, 7874, 1)) + png_chunk(b'tEXt', b'Author\0Jos\xe9')
        extra += png_chunk(b'iTXt', b'XML:com.adobe.xmp' + bytes(5) + xmp)
        path.write_bytes(data[:33] + extra + data[33:])
    elif kind in ('.webp', '.avif'):
        image.save(path, exif=exif, xmp=xmp, icc_profile=PROFILE, quality=95)
    else:
        tifffile.imwrite(path, picture(deep), photometric='rgb', byteorder=order, metadata=None, iccprofile=PROFILE)
        data = bytearray(path.read_bytes())
        found, _, _ = read_directory(data, struct.unpack_from(order + 'I', data, 4)[0])
        mine = entries(order, orientation)
        mine = mine + [IFDEntry(700, 1, len(xmp), xmp)]
        kept = [entry for entry in found if entry.tag not in {each.tag for each in mine}]
        data += b'\0' * (len(data) % 2)
        struct.pack_into(order + 'I', data, 4, len(data))
        path.write_bytes(bytes(data) + write_directory(kept + mine, bytes(data[:8]), len(data)))


def utf8(value):
    """What Pillow took for Latin-1."""
    return value.encode('latin-1').decode() if isinstance(value, str) else value


KINDS = [('.jpg', False), ('.png', False), ('.png', True), ('.webp', False), ('.tif', False), ('.tif', True)]


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize(('suffix', 'deep'), KINDS)
@pytest.mark.parametrize('order', '<>')
def test_what_a_camera_writes(tmp_path, suffix, deep, order, orientation):
    source, target = tmp_path / f'a{suffix}', tmp_path / f'b{suffix}'
    save(source, order, orientation, deep)
    file = read_file(source)
    assert file.notes == []
    assert write_file(file, target) == []
    width, height = (WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)
    with Image.open(target) as image:
        tags, info = image.getexif(), image.info
        camera, place = tags.get_ifd(34665), tags.get_ifd(34853)
        assert image.size == (width, height)
        assert tags.get(274, 1) == 1
        assert (utf8(tags[315]), utf8(tags[270]), utf8(camera[42036])) == (ARTIST, TITLE, LENS)
        assert (camera[40962], camera[40963]) == (width, height)
        assert tags.get(256, width) == width
        assert (float(camera[33434]), camera[37500], tags[18246]) == (1 / 250, NOTES, 4)
        assert tags.get_ifd(40965) == {1: 'R98'}
        assert (place[1], tuple(map(float, place[2]))) == ('N', (48, 8, 30))
        across = (300, 200) if orientation < 5 else (200, 300)
        assert (float(tags[282]), float(tags[283])) == across
        if 'dpi' in info:
            assert [round(each) for each in info['dpi']] == list(across)
        else:
            assert suffix == '.webp'
        x, y, *extent = camera[37396]
        assert extent == ([8, 4] if orientation < 5 else [4, 8])
        assert (x, y) == {
            1: (5, 6), 2: (50, 6), 3: (50, 33), 4: (5, 33), 5: (6, 5), 6: (33, 5), 7: (33, 50), 8: (6, 50)
        }[orientation]  # fmt: skip
        xmp = info['xmp']
        assert b'tiff:Orientation="1"' in xmp
        assert b'exif:PixelXDimension="%d"' % width in xmp
        assert b'<tiff:ImageLength>%d<' % height in xmp
        assert 'Zürich'.encode() in xmp
        assert b'Thumbnails' not in xmp
        assert b'\xff\xd8\xff' not in info.get('exif', b'')  # the thumbnail shows the old picture
        if suffix == '.jpg':
            assert info['comment'] == 'grüß'.encode()
        if suffix == '.png':
            assert (info['Author'], info['gamma']) == ('José', 0.45455)
        else:
            assert info['icc_profile'] == PROFILE
    again = read_file(target)  # a second time nothing changes
    assert again.colours.shape == (height, width, 3)
    if suffix != '.tif':  # each of them lays TIFF's fields out anew
        assert again.metadata.exif == file.metadata.exif
    assert (again.metadata.xmp, again.profile) == (file.metadata.xmp, file.profile)


def test_avif_carries_text_in_utf8(tmp_path):
    tags = block('>', 1)
    Image.fromarray(picture()).save(tmp_path / 'a.avif', exif=update_exif(tags, (WIDTH, HEIGHT)), xmp=XMP % 1)
    file = read_file(tmp_path / 'a.avif')
    write_file(file, tmp_path / 'b.avif')
    with Image.open(tmp_path / 'b.avif') as image:
        assert utf8(image.getexif()[315]) == ARTIST
        assert image.getexif().get_ifd(34665)[37500] == NOTES
        assert image.info['xmp'] == file.metadata.xmp


@pytest.mark.parametrize('order', '<>')
def test_exif_goes_from_one_format_into_another(tmp_path, order):
    save(tmp_path / 'a.jpg', order)
    for suffix in ('.tif', '.png', '.webp'):
        file = read_file(tmp_path / 'a.jpg')
        lost = write_file(file, tmp_path / f'b{suffix}')
        assert bool(lost) == (suffix != '.png')  # comments
        with Image.open(tmp_path / f'b{suffix}') as image:
            assert utf8(image.getexif()[315]) == ARTIST
            assert image.getexif().get_ifd(34853)[1] == 'N'
            if suffix == '.png':
                assert image.text['Comment'] == 'grüß'
    with tifffile.TiffFile(tmp_path / 'b.tif') as tiff:
        assert tiff.pages[0].tags[315].value == ARTIST
        assert tiff.pages[0].tags[282].value == (200, 1)


def test_the_makers_notes_keep_their_place(tmp_path):
    """They hold offsets from the beginning of the block."""
    tags = block('<', 3)
    assert update_exif(tags, (WIDTH, HEIGHT), 3).index(NOTES) == tags.index(NOTES)


@pytest.mark.parametrize('place', range(0, 330, 3))
def test_damaged_exif_is_dropped_or_read_and_never_more(tmp_path, place):
    tags = bytearray(block())
    tags[place : place + 2] = b'\xff\xfe'
    Image.fromarray(picture()).save(tmp_path / 'a.jpg', exif=b'Exif\0\0' + bytes(tags))
    file = read_file(tmp_path / 'a.jpg')
    write_file(file, tmp_path / 'b.tif')
    assert write_file(file, tmp_path / 'b.png') == []
    assert Image.open(tmp_path / 'b.tif').size in ((WIDTH, HEIGHT), (HEIGHT, WIDTH))


def test_exif_without_a_beginning_is_named(tmp_path):
    Image.fromarray(picture()).save(tmp_path / 'a.jpg', exif=b'Exif\0\0no header')
    assert read_file(tmp_path / 'a.jpg').notes == ['its EXIF is damaged and left out']


def test_iptc_and_several_comments_of_a_jpeg(tmp_path):
    record = b'\x1c\x02\x19\x00\x05Regen'
    resource = b'8BIM\x04\x04\0\0' + struct.pack('>I', len(record)) + record
    segments = [(0xFE, b'one'), (0xED, b'Photoshop 3.0\0' + resource), (0xFE, b'two')]
    extra = b''.join(struct.pack('>BBH', 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    Image.fromarray(picture()).save(tmp_path / 'a.jpg', extra=extra)
    write_file(read_file(tmp_path / 'a.jpg'), tmp_path / 'b.jpg')
    again = read_file(tmp_path / 'b.jpg').metadata
    assert (again.comments, again.iptc) == ([b'one', b'two'], record)
    write_file(read_file(tmp_path / 'b.jpg'), tmp_path / 'b.tif')
    with tifffile.TiffFile(tmp_path / 'b.tif') as tiff:
        assert bytes(tiff.pages[0].tags[33723].value) == record


@pytest.mark.parametrize(('unit', 'sides'), [(0, (2, 1)), (1, (72, 72)), (2, (118, 59))])
def test_resolution_of_a_jpeg_in_its_own_unit(tmp_path, unit, sides):
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, 'JPEG')
    data = buffer.getvalue()
    (tmp_path / 'a.jpg').write_bytes(data[:13] + struct.pack('>BHH', unit, *sides) + data[18:])
    write_file(read_file(tmp_path / 'a.jpg'), tmp_path / 'b.jpg')
    with Image.open(tmp_path / 'b.jpg') as image:
        assert (image.info['jfif_unit'], image.info['jfif_density']) == (unit, sides)


def test_resolution_of_bmp_and_of_a_png_without_a_unit(tmp_path):
    Image.fromarray(picture()).save(tmp_path / 'a.bmp', dpi=(300, 150))
    write_file(read_file(tmp_path / 'a.bmp'), tmp_path / 'b.bmp')
    assert Image.open(tmp_path / 'b.bmp').info['dpi'] == Image.open(tmp_path / 'a.bmp').info['dpi']
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, 'PNG')
    data = buffer.getvalue()
    body = struct.pack('>IIB', 2, 3, 0)
    (tmp_path / 'a.png').write_bytes(data[:33] + png_chunk(b'pHYs', body) + data[33:])
    write_file(read_file(tmp_path / 'a.png'), tmp_path / 'b.png')
    assert dict(png_chunks((tmp_path / 'b.png').read_bytes()))[b'pHYs'] == body


def test_the_removed_video_of_a_motion_photo_is_reported():
    xmp, notes = update_xmp(b'<rdf:Description GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"/>', (4, 4))
    assert b'GCamera:MotionPhoto="0" GCamera:MotionPhotoVersion="1"' in xmp
    assert len(notes) == 1


def test_imagemagicks_exif_of_a_png_is_not_applied_twice(tmp_path):
    raw = b'Exif\0\0' + block('>', 6)
    profile = f'\nexif\n{len(raw):8d}\n' + raw.hex() + '\n'
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, 'PNG')
    data = buffer.getvalue()
    chunk = png_chunk(b'tEXt', b'Raw profile type exif\0' + profile.encode())
    (tmp_path / 'a.png').write_bytes(data[:33] + chunk + data[33:])
    write_file(read_file(tmp_path / 'a.png'), tmp_path / 'b.png')
    with Image.open(tmp_path / 'b.png') as image:
        assert image.size == (HEIGHT, WIDTH)
        assert image.getexif().get(274, 1) == 1
        assert utf8(image.getexif()[315]) == ARTIST
        assert 'Raw profile type exif' not in image.info


def test_an_xmp_packet_takes_time_in_proportion_to_its_size():
    """Thumbnails that are opened and never closed; a regular expression would take minutes, without the GIL."""
    opened = b'<xmp:Thumbnails ' * 500_000
    assert update_xmp(opened, (8, 8))[0] == opened
    longer = b'<xmp:ThumbnailsX>' * 500_000
    thumbnail = b'<xmp:Thumbnails a="1">x</xmp:Thumbnails><xap:Thumbnails>y</xap:Thumbnails>'
    assert update_xmp(longer + b'a' + thumbnail + b'b', (8, 8))[0] == longer + b'ab'


def directories(fields: int, length: int) -> bytes:
    """A TIFF header and a directory whose fields all have the same bytes as their values."""
    table = b''.join(struct.pack('<HHII', 40000 + i, 1, length, 8 + 2 + 12 * fields + 4) for i in range(fields))
    return b'II*\0' + struct.pack('<IH', 8, fields) + table + bytes(4 + length)


def test_fields_that_overlap_are_not_copied(tmp_path):
    """A few hundred kB would take gigabytes: as a TIFF, and as the EXIF of a PNG, in Pillow as well."""
    tiff, png = tmp_path / 'a.tif', tmp_path / 'a.png'
    tiff.write_bytes(directories(2000, 200_000))
    with pytest.raises(PictureError, match='its directories or fields overlap'):
        read_picture(tiff)
    assert picture_size(tiff) is None
    Image.new('RGB', (4, 3)).save(png, exif=directories(2000, 200_000))
    assert read_picture(png).shape == (3, 4, 3)
    text = PngInfo()  # as ImageMagick writes it
    text.add_text('Raw profile type exif', f'\nexif\n8\n{directories(2000, 200_000).hex()}', zip=True)
    Image.new('RGB', (4, 3)).save(png, pnginfo=text)
    tracemalloc.start()
    assert read_picture(png).shape == (3, 4, 3)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    with pytest.raises(ValueError, match='overlap'):
        update_exif(directories(2000, 200_000), (4, 3), 1)
    assert len(read_directory(directories(1, 200_000), 8)[0]) == 1


def test_directories_that_overlap_end_the_list_of_pages(tmp_path):
    """Each of 500 directories reads the fields of the following ones as its own."""
    step, count, fields = 12, 500, 2000
    data = bytearray(b'II*\0' + struct.pack('<I', 8) + bytes(step * (count + fields) + 64))
    for i in range(count):
        at = 8 + i * step
        struct.pack_into('<H', data, at, fields)
        struct.pack_into('<I', data, at + 2 + 12 * fields, at + step if i + 1 < count else 0)
    (tmp_path / 'a.tif').write_bytes(data)
    with pytest.raises(ValueError, match='overlap'):
        read_pages(bytes(data))
    with pytest.raises(PictureError, match='overlap'):
        read_picture(tmp_path / 'a.tif')
