"""Colours come through unchanged whatever matrix and range a clip has; fields become frames; turns are applied."""

from fractions import Fraction

import numpy as np
import pytest

from restorebox.inference.frames import Deinterlacer, chroma, encodable, light_levels, pixel_format, upright
from restorebox.inference.video import read_frames, restore_video
from tests.inference.small_clips import av, make_clip, scene, woven

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
COLOUR = np.array([0.7, 0.35, 0.2])


def coded(colour, matrix, full, bits):
    """Luma and chroma of a colour by the definition of ITU-R BT.601, BT.709 and BT.2020."""
    red, blue = WEIGHTS[matrix]
    luma = red * colour[0] + (1 - red - blue) * colour[1] + blue * colour[2]
    chromas = (colour[2] - luma) / (2 * (1 - blue)), (colour[0] - luma) / (2 * (1 - red))
    unit = 1 << bits - 8
    if full:
        return [round(luma * (256 * unit - 1)), *(round(each * (256 * unit - 1) + 128 * unit) for each in chromas)]
    return [round((16 + 219 * luma) * unit), *(round((128 + 224 * each) * unit) for each in chromas)]


def constant(values, pixels, matrix, full, size=(48, 64)):
    frame = av.VideoFrame(size[1], size[0], pixels)
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    dtype = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    for plane, value in zip(frame.planes, values, strict=True):
        plane.update(np.full(plane.buffer_size // dtype().itemsize, value, dtype).tobytes())
    return frame


def means(frame):
    dtype = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    return [
        np.frombuffer(bytes(plane), dtype).reshape(plane.height, -1)[:, : plane.width].mean() for plane in frame.planes
    ]


@pytest.mark.parametrize('pixels', ['yuv420p', 'yuv422p', 'yuv444p', 'yuv420p10le', 'yuv422p10le', 'yuv444p10le'])
@pytest.mark.parametrize('full', [False, True])
@pytest.mark.parametrize('matrix', sorted(WEIGHTS))
def test_a_colour_is_what_the_standards_say_and_comes_back(matrix, full, pixels):
    bits = 10 if '10' in pixels else 8
    values = coded(COLOUR, matrix, full, bits)
    frame = constant(values, pixels, matrix, full)
    array = upright(frame)
    assert array.dtype == (np.uint16 if bits > 8 else np.uint8)
    found = array[5, 7] / np.iinfo(array.dtype).max
    np.testing.assert_allclose(found, COLOUR, atol=1.5 / 255)
    assert pixel_format(frame, array) == pixels
    np.testing.assert_allclose(means(encodable(array, frame, pixels)), values, atol=1 if bits == 8 else 2.5)


def test_an_unknown_matrix_is_that_of_the_size():
    large = constant(coded(COLOUR, 1, False, 8), 'yuv420p', 2, False, (720, 1280))
    small = constant(coded(COLOUR, 6, False, 8), 'yuv420p', 2, False)
    for frame in (large, small):
        np.testing.assert_allclose(upright(frame)[5, 7] / 255, COLOUR, atol=1.5 / 255)


def test_grey_of_limited_range_is_spread():
    for pixels, values in (('gray', (16, 126, 235)), ('gray10le', (64, 502, 940))):
        for value, expected in zip(values, (0, 0.5, 1), strict=True):
            array = upright(constant([value], pixels, 2, False))
            np.testing.assert_allclose(array[3, 3] / np.iinfo(array.dtype).max, expected, atol=0.005)


@pytest.mark.parametrize('suffix', ['.mkv', '.mp4'])
@pytest.mark.parametrize(
    'colours',
    [
        dict(colorspace=6, color_primaries=6, color_trc=6, color_range=1),
        dict(colorspace=1, color_primaries=1, color_trc=1, color_range=1),
        dict(colorspace=1, color_primaries=1, color_trc=1, color_range=2),
        dict(colorspace=9, color_primaries=9, color_trc=18, color_range=1),
        dict(color_range=2),
    ],
)
def test_a_clip_keeps_colours_and_tags(colours, suffix, tmp_path):
    def plain(i, height, width):
        return np.full((height, width, 3), (180, 90, 50), np.uint8)

    matrix = {6: 5, None: None}.get(colours.get('colorspace'), colours.get('colorspace'))
    path = make_clip(tmp_path / f'a{suffix}', 3, colours=colours, matrix=matrix, picture=plain, encoder={'crf': '1'})
    restore_video(path, tmp_path / f'b{suffix}', lambda array: array, note=pytest.fail)
    seen = []
    for each in (path, tmp_path / f'b{suffix}'):
        with av.open(str(each)) as source:
            frame = next(source.decode(video=0))
            tags = frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range, frame.format.name
            seen.append((tags, means(frame)))
    assert seen[0][0] == seen[1][0]
    np.testing.assert_allclose(seen[1][1], seen[0][1], atol=1)


def test_hdr_metadata_and_depth_are_kept(tmp_path):
    colours = dict(colorspace=9, color_primaries=9, color_trc=16, color_range=1)
    screen = 'G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)'
    encoder = {'x265-params': f'log-level=0:master-display={screen}:max-cll=1000,400'}
    path = make_clip(tmp_path / 'a.mkv', 2, 'libx265', pixels='yuv420p10le', colours=colours, matrix=9, encoder=encoder)
    restore_video(path, tmp_path / 'b.mkv', lambda array: array, note=pytest.fail)
    for name in ('a.mkv', 'b.mkv'):
        with av.open(str(tmp_path / name)) as source:
            frame = next(source.decode(video=0))
        assert frame.format.name == 'yuv420p10le'
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (9, 9, 16)
        assert light_levels(frame) == f'mastering-display={screen}:cll=1000,400', name


@pytest.mark.parametrize(
    ('codec', 'pixels', 'suffix', 'words', 'expected'),
    [
        ('prores_ks', 'yuva444p10le', '.mov', 'not kept: 2 of 12 bits, transparency', 'yuv444p10le'),
        ('libvpx-vp9', 'yuva420p', '.webm', 'not kept: transparency', 'yuv420p'),
        ('rawvideo', 'bgr24', '.avi', None, 'yuv444p'),
        ('ffv1', 'gray', '.mkv', None, 'yuv420p'),
        ('mjpeg', 'yuvj420p', '.avi', None, 'yuvj420p'),
    ],
)
def test_kinds_of_pixels(codec, pixels, suffix, words, expected, tmp_path):
    path = make_clip(tmp_path / f'a{suffix}', 3, codec, pixels=pixels)
    notes = []
    restore_video(path, tmp_path / 'b.mkv', lambda array: array, note=notes.append)
    assert [note.removeprefix(f'{path}: ') for note in notes] == [words] * bool(words)
    with av.open(str(tmp_path / 'b.mkv')) as source:
        assert next(source.decode(video=0)).format.name == expected
    for made, old in zip(read_frames(tmp_path / 'b.mkv'), read_frames(path, lambda line: None), strict=True):
        assert np.abs(made.astype(float) - old).mean() < 3 * np.iinfo(old.dtype).max / 255


def test_chroma_of_a_turned_frame():
    frame = constant([1, 2, 3], 'yuv422p', 1, False)
    assert chroma(frame) == '422'
    assert pixel_format(frame, np.zeros((48, 64, 3), np.uint8)) == 'yuv422p'
    assert pixel_format(frame, np.zeros((47, 64, 3), np.uint8)) == 'yuv422p'
    assert pixel_format(frame, np.zeros((48, 63, 3), np.uint8)) == 'yuv444p'


@pytest.mark.parametrize(
    ('matrix', 'expected'),
    [  # (a, b, c, d) of x' = ax + cy, y' = bx + dy
        ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
        ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
        ((0, -1, 1, 0), lambda x: np.rot90(x)),
        ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
        ((1, 0, 0, -1), lambda x: x[::-1]),
        ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
    ],
)
def test_display_matrices_are_applied(matrix, expected, tmp_path):
    a, b, c, d = (each << 16 for each in matrix)

    def turn(sink, video):
        video.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])

    path = make_clip(tmp_path / 'a.mp4', 1, before=turn, encoder={'crf': '1'})
    (found,) = read_frames(path)
    assert found.shape == expected(scene(0)).shape
    assert np.abs(found.astype(float) - expected(scene(0))).mean() < 4
    restore_video(path, tmp_path / 'b.mp4', lambda array: array, note=pytest.fail)
    with av.open(str(tmp_path / 'b.mp4')) as source:
        frame = next(source.decode(video=0))
    assert not [each for each in frame.side_data if each.type.name == 'DISPLAYMATRIX']
    assert np.abs(frame.to_ndarray(format='rgb24').astype(float) - found).mean() < 4


def test_an_oblique_rotation_is_reported(tmp_path):
    def turn(sink, video):
        video.set_display_rotation(45)

    notes = []
    path = make_clip(tmp_path / 'a.mp4', 1, before=turn)
    assert len(list(read_frames(path, notes.append))) == 1
    assert notes == [f'{path}: not kept: a turn by less than a quarter']


def combing(frames):
    """How much a line differs from its two neighbours' mean."""
    luma = [frame.astype(float).mean(-1) for frame in frames]
    return np.mean([np.abs(each[1:-1:2] - (each[:-2:2] + each[2::2]) / 2).mean() for each in luma])


@pytest.mark.parametrize('count', [1, 2, 8])
@pytest.mark.parametrize('field', ['tff', 'bff'])
def test_fields_become_frames_at_their_times(field, count, tmp_path):
    path = make_clip(tmp_path / 'a.mkv', count, interlaced=True, encoder={'x264-params': f'{field}=1'}, picture=woven)
    restore_video(path, tmp_path / 'b.mkv', lambda array: array, note=lambda line: None)
    with av.open(str(tmp_path / 'b.mkv')) as source:
        frames = list(source.decode(video=0))
    assert [round(frame.time, 3) for frame in frames] == [round(0.04 * i, 3) for i in range(count)]
    assert not any(frame.interlaced_frame for frame in frames)
    before, after = combing([woven(i) for i in range(count)]), combing(list(read_frames(tmp_path / 'b.mkv')))
    assert after < 0.4 * before
    progressive = make_clip(tmp_path / 'p.mkv', count)
    assert after < 2 * combing(list(read_frames(progressive)))


def test_frames_that_are_progressive_go_through_untouched():
    filtered = Deinterlacer()
    frames = []
    for i in range(3):
        frame = av.VideoFrame.from_ndarray(scene(i)).reformat(format='yuv420p')
        frame.pts, frame.time_base = i, Fraction(1, 25)
        frames += filtered(frame)
    frames += filtered(None)
    assert filtered.count == 0
    assert [frame.pts for frame in frames] == [0, 1, 2]
