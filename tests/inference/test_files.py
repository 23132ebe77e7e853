"""What a file has besides its colours is kept."""

import io

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from restorebox.datasets.formats import FORMATS
from restorebox.errors import PictureError
from restorebox.inference.files import read_file, target_name, write_file
from restorebox.inference.metadata import png_chunk

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
RNG = np.random.default_rng(0)


def smooth(height=40, width=56, channels=3):
    small = RNG.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def deep(channels=3):
    return smooth(channels=channels).astype(np.uint16) * 256 + RNG.integers(0, 256, (40, 56, channels), dtype=np.uint16)


def exif(orientation=6):
    tags = Image.Exif()
    tags[274], tags[271], tags[315] = orientation, 'Maker', 'Somebody'
    tags[34665] = {36867: '2020:01:02 03:04:05'}
    return tags.tobytes()


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
@pytest.mark.parametrize('orientation', [1, 6, 8])
def test_orientation_is_applied_once_and_the_tag_reset(inferencer, tmp_path, suffix, orientation):
    path, target = tmp_path / f'a{suffix}', tmp_path / f'b{suffix}'
    upright = np.ascontiguousarray(smooth())
    turns = {1: 0, 6: 1, 8: -1}[orientation]  # 6: to be turned clockwise, so it is stored turned the other way
    lossless = {'lossless': True} if suffix == '.webp' else {'quality': 100} if suffix == '.jpg' else {}
    Image.fromarray(np.ascontiguousarray(np.rot90(upright, turns))).save(path, exif=exif(orientation), **lossless)
    inferencer.restore_file(path, target)
    expected = inferencer(upright).astype(int)
    with Image.open(target) as image:
        assert image.getexif().get(274, 1) == 1
        assert image.size == (56, 40)
        assert np.abs(np.asarray(image).astype(int) - expected).mean() < 3
        assert image.getexif()[271] == 'Maker'
        assert image.getexif()[315] == 'Somebody'
        assert image.getexif().get_ifd(34665)[36867] == '2020:01:02 03:04:05'


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
def test_the_profile_is_kept(inferencer, tmp_path, suffix):
    Image.fromarray(smooth()).save(tmp_path / f'a{suffix}', icc_profile=PROFILE)
    inferencer.restore_file(tmp_path / f'a{suffix}', tmp_path / f'b{suffix}')
    with Image.open(tmp_path / f'b{suffix}') as image:
        assert image.info['icc_profile'] == PROFILE


def test_a_profile_of_inks_is_not_put_on_rgb(tmp_path):
    Image.fromarray(smooth()).convert('CMYK').save(tmp_path / 'a.jpg', icc_profile=b'inks')
    assert read_file(tmp_path / 'a.jpg').profile is None


@pytest.mark.parametrize('suffix', ['.png', '.webp', '.tif'])
def test_alpha_is_passed_through(inferencer, tmp_path, suffix):
    rgba = smooth(channels=4)
    lossless = {'lossless': True, 'exact': True} if suffix == '.webp' else {}
    Image.fromarray(rgba).save(tmp_path / f'a{suffix}', **lossless)
    inferencer.restore_file(tmp_path / f'a{suffix}', tmp_path / f'b{suffix}')
    with Image.open(tmp_path / f'b{suffix}') as image:
        out = np.asarray(image)
    assert np.array_equal(out[..., 3], rgba[..., 3])
    difference = np.abs(out[..., :3].astype(int) - inferencer(np.ascontiguousarray(rgba[..., :3])))
    assert difference.mean() < (4 if suffix == '.webp' else 1e-9)


@pytest.mark.parametrize('kind', [name for name, each in FORMATS.items() if each.written])
@pytest.mark.parametrize('channels', [2, 4])
def test_alpha_is_read_back_by_another_program_or_refused(tmp_path, kind, channels):
    picture, path = smooth(channels=channels), tmp_path / f'b{FORMATS[kind].suffixes[0]}'
    Image.fromarray(picture).save(tmp_path / 'a.png')
    source = read_file(tmp_path / 'a.png')
    if 'alpha' not in FORMATS[kind].holds:
        with pytest.raises(PictureError, match="can't hold the alpha"):
            write_file(source, path)
        assert not path.exists()
        return
    assert write_file(source, path, quality=100) == []
    alpha = np.array(Image.open(path).convert('RGBA'))[..., 3]
    assert np.abs(alpha.astype(int) - picture[..., -1]).max() <= (0 if kind != 'JPEG2000' else 3)


def test_alpha_of_palettes_and_grey(inferencer, tmp_path):
    Image.fromarray(smooth()).quantize(16).save(tmp_path / 'p.png', transparency=3)
    grey = smooth(channels=2)
    Image.fromarray(grey, 'LA').save(tmp_path / 'la.png')
    assert inferencer(tmp_path / 'p.png').shape == (40, 56, 4)
    out = inferencer(tmp_path / 'la.png')
    assert out.shape == (40, 56, 2)
    assert np.array_equal(out[..., 1], grey[..., 1])


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_sixteen_bits_are_kept(inferencer, tmp_path, suffix, channels):
    array = deep(channels)
    path, target = tmp_path / f'a{suffix}', tmp_path / f'b{suffix}'
    if suffix == '.png':
        cv2.imwrite(str(path), array[..., 0] if channels == 1 else array[..., [2, 1, 0, 3][:channels]])
        data = path.read_bytes()
        tags = png_chunk(b'eXIf', exif(1).removeprefix(b'Exif\0\0'))
        path.write_bytes(data[:33] + tags + data[33:])
    else:
        tifffile.imwrite(
            path,
            array[..., 0] if channels == 1 else array,
            photometric='minisblack' if channels == 1 else 'rgb',
            iccprofile=PROFILE,
            extratags=[(271, 's', 0, 'Maker', True)],
            metadata=None,
        )
    inferencer.restore_file(path, target)
    out = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert out.dtype == np.uint16
    expected = inferencer(array)
    assert np.array_equal(out if channels == 1 else out[..., [2, 1, 0, 3][:channels]], np.squeeze(expected))
    assert (out % 257 != 0).any(), 'not eight bits made wide'
    back = read_file(target)
    tags = Image.Exif()
    tags.load(back.metadata.exif)
    assert tags[271] == 'Maker'
    assert back.grey == (channels == 1)
    if suffix == '.tif':
        assert back.profile == PROFILE


def test_the_profile_of_a_deep_png_is_kept(inferencer, tmp_path):
    file = read_file_of(deep(), tmp_path)
    file.profile = PROFILE
    write_file(file, tmp_path / 'p.png')
    inferencer.restore_file(tmp_path / 'p.png', tmp_path / 'q.png')
    with Image.open(tmp_path / 'q.png') as image:
        image.load()
        assert image.info['icc_profile'] == PROFILE


def read_file_of(array, folder):
    cv2.imwrite(str(folder / 'x.png'), array[..., ::-1])
    return read_file(folder / 'x.png')


@pytest.mark.parametrize('suffix', ['.bmp', '.ppm', '.pgm', '.jpeg', '.tiff', '.webp'])
def test_other_formats_are_written_according_to_their_suffix(inferencer, tmp_path, suffix):
    array = smooth(channels=1)[..., 0] if suffix == '.pgm' else smooth()
    Image.fromarray(array).save(tmp_path / f'a{suffix}')
    inferencer.restore_file(tmp_path / f'a{suffix}', tmp_path / f'b{suffix}')
    with Image.open(tmp_path / f'a{suffix}') as before, Image.open(tmp_path / f'b{suffix}') as after:
        assert (before.format, before.mode, before.size) == (after.format, after.mode, after.size)


def test_content_that_a_format_does_not_support(tmp_path):
    file = read_file_of(deep(), tmp_path)
    with pytest.raises(PictureError, match=r'out\.jpg: \.jpg files hold 8 bits and the picture has 16; name it \.png'):
        write_file(file, tmp_path / 'out.jpg')
    Image.fromarray(smooth(channels=4)).save(tmp_path / 'a.png')
    with pytest.raises(PictureError, match=r"can't hold the alpha"):
        write_file(read_file(tmp_path / 'a.png'), tmp_path / 'out.ppm')
    Image.new('L', (16400, 1)).save(tmp_path / 'wide.png')
    with pytest.raises(PictureError, match=r"wide\.webp: can't be written as \.webp"):
        write_file(read_file(tmp_path / 'wide.png'), tmp_path / 'wide.webp')
    assert not (tmp_path / 'out.jpg').exists()
    assert target_name('a.JPG') == 'a.JPG'
    assert target_name('a.gif') == 'a.gif.png'
    assert target_name('a') == 'a.png'


def test_broken_exif_harms_nothing(inferencer, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(smooth()).save(buffer, 'JPEG', exif=b'Exif\0\0MM\0*\0\0\0\x08\xff\xff')
    (tmp_path / 'a.jpg').write_bytes(buffer.getvalue())
    inferencer.restore_file(tmp_path / 'a.jpg', tmp_path / 'b.jpg')
    assert (tmp_path / 'b.jpg').exists()
