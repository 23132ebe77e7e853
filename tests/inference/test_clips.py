"""Frames are complete, in order and of one format, or there is an error; other content of a clip is reported."""

import gc
import struct
import subprocess
import sys
import zlib
from fractions import Fraction

import numpy as np
import pytest

from restorebox.errors import PictureError
from restorebox.inference import clips
from restorebox.inference.clips import ClipWarning, FrameSizeError, open_clip
from restorebox.inference.frames import upright
from restorebox.inference.video import read_frames, restore_video
from tests.inference.small_clips import av, make_clip, make_kind, woven

ENDLESS = 'its container does not say where it ends'


def read(path):
    """(frames, notes without the file's name)."""
    notes = []
    frames = list(read_frames(path, notes.append))
    assert all(note.startswith(f'{path}: ') for note in notes)
    return frames, [note.removeprefix(f'{path}: ') for note in notes if ENDLESS not in note]


def times(path):
    with open_clip(path, lambda line: None) as clip:
        return [round(frame.time, 4) for frame in clip.read()]


def join(tmp_path, first, second, shift=6):
    """Two MPEG-TS clips one behind the other, as recorders and ``cat`` make them."""
    path = tmp_path / 'joined.ts'
    data = make_clip(tmp_path / 'a.ts', 6, **first).read_bytes()
    path.write_bytes(data + make_clip(tmp_path / 'b.ts', 6, shift=shift, **second).read_bytes())
    return path


@pytest.mark.parametrize(
    ('first', 'second', 'words'),
    [
        ({}, dict(size=(36, 48)), 'its size changes from 64x48 to 48x36 at 0.24 s'),
        ({}, dict(pixels='yuv444p'), 'its chroma changes from 420 to 444 at 0.24 s'),
        ({}, dict(pixels='yuv420p10le'), 'its depth changes from 8 bits to 10 bits at 0.24 s'),
        ({}, dict(aspect=Fraction(4, 3)), 'its pixel shape changes from 1:1 to 4:3 at 0.24 s'),
        (
            dict(colours=dict(color_primaries=1, color_trc=1)),
            dict(colours=dict(color_primaries=9, color_trc=1)),
            'its primaries changes? from 1 to 9 at 0.24 s',
        ),
        (
            dict(colours=dict(color_primaries=1, color_trc=1)),
            dict(colours=dict(color_primaries=1, color_trc=16)),
            'its transfer function changes from 1 to 16 at 0.24 s',
        ),
    ],
)
def test_a_clip_that_changes_is_refused(first, second, words, tmp_path):
    with pytest.raises(PictureError, match=f'joined.ts: {words}; cut it there'):
        read(join(tmp_path, first, second))


def test_a_matrix_or_range_that_changes_is_converted_with_each_frames_own(tmp_path):
    grey = dict(picture=lambda i, h, w: np.full((h, w, 3), (200, 90, 40), np.uint8))
    first = dict(colours=dict(colorspace=6, color_range=1), matrix=5, **grey)
    for second in (
        dict(colours=dict(colorspace=1, color_range=1), matrix=1),
        dict(colours=dict(color_range=2), matrix=5),
    ):
        frames, notes = read(join(tmp_path, first, second | grey))
        assert len(frames) == 12
        assert max(np.abs(frame.astype(int) - (200, 90, 40)).max() for frame in frames) <= 3
        assert notes == ['1 breaks between its packets; no frame at them is damaged']


def test_times_that_go_back_follow_at_the_rate(tmp_path):
    path = join(tmp_path, {}, {}, shift=0)
    _, notes = read(path)
    assert '6 frames had no time, or one not after the last; they follow at the rate' in notes
    np.testing.assert_allclose(np.diff(times(path)), 0.04, atol=1e-3)


def test_a_clip_cut_at_its_start_begins_at_a_key_frame(tmp_path):
    for codec, encoder in (
        ('libx264', {'preset': 'medium', 'x264-params': 'open-gop=1:keyint=6:bframes=2'}),
        ('mpeg2video', {}),
    ):
        whole = make_clip(tmp_path / 'whole.ts', 24, codec, encoder=encoder, gop=6)
        expected, notes = read(whole)
        data = whole.read_bytes()
        cut = tmp_path / 'cut.ts'
        cut.write_bytes(data[len(data) * 2 // 5 // 188 * 188 :])
        frames, notes = read(cut)
        assert 6 <= len(frames) <= 18
        assert any('frames have no key frame before them' in note for note in notes), notes
        for made, old in zip(frames[::-1], expected[::-1], strict=False):
            np.testing.assert_array_equal(made, old)


def test_avi_with_reordered_frames_plays_evenly(tmp_path):
    for codec, encoder in (('libx264', {'preset': 'medium', 'x264-params': 'bframes=2'}), ('mpeg4', {'bf': '2'})):
        path = make_clip(tmp_path / 'a.avi', 12, codec, encoder=encoder)
        np.testing.assert_allclose(times(path), np.arange(12) * 0.04, atol=1e-4, err_msg=codec)
        assert read(path)[1] == []


def test_frames_with_large_gaps_are_reported_and_kept(tmp_path):
    at = [0, 40, 80, 200, 240, 600, 640]
    path = make_clip(tmp_path / 'a.mkv', 7, times=at)
    assert read(path)[1] == ['its frames are at uneven times, up to 9.0 times the mean apart, which are kept']
    np.testing.assert_allclose(times(path), np.array(at) / 1000)


@pytest.mark.parametrize('kind', ['mp4', 'mkv', 'ts', 'flv'])
def test_a_damaged_frame_ends_the_clip(kind, tmp_path):
    path = make_kind(kind, tmp_path)
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) * 2 // 3, 97):
        data[at] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(PictureError, match=f'{path.name}: (is damaged|is cut)'):
        read(path)


def test_frames_that_are_lost_in_decoding_are_counted(tmp_path, monkeypatch):
    path = make_clip(tmp_path / 'a.mp4')
    decoded = clips.Clip._decoded

    def losing(self, packet):
        return decoded(self, packet)[:-1] if not packet.size else decoded(self, packet)

    monkeypatch.setattr(clips.Clip, '_decoded', losing)
    with pytest.raises(PictureError, match=r"a\.mp4: is damaged: 1 of 10 frames can't be decoded"):
        read(path)


def test_no_progress_is_bounded(tmp_path, monkeypatch):
    path = make_clip(tmp_path / 'a.mp4', 30)
    monkeypatch.setattr(clips, '_MAX_EMPTY_PACKETS', 20)
    monkeypatch.setattr(clips.Clip, '_decoded', lambda self, packet: [])
    with pytest.raises(PictureError, match=r'a\.mp4: 21 packets in a row give no picture'):
        read(path)


def test_interlaced_frames_are_reported(tmp_path):
    path = make_clip(tmp_path / 'a.mkv', 6, interlaced=True, encoder={'x264-params': 'tff=1'}, picture=woven)
    assert read(path)[1] == ['6 of 6 frames were interlaced; they are deinterlaced']


def test_files_that_are_no_clips(tmp_path):
    make_clip(tmp_path / 'segment.ts')
    (tmp_path / 'list.mp4').write_text('#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsegment.ts\n#EXT-X-ENDLIST\n')
    (tmp_path / 'concat.mp4').write_text('ffconcat version 1.0\nfile segment.ts\n')
    with av.open(str(tmp_path / 'sound.mp4'), 'w') as sink:
        tone = sink.add_stream('aac', rate=48000, layout='mono')
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format='fltp', layout='mono')
        frame.sample_rate = 48000
        sink.mux(tone.encode(frame))
        sink.mux(tone.encode(None))
    for name in ('none.mkv', 'none.mp4'):
        with av.open(str(tmp_path / name), 'w') as sink:
            video = sink.add_stream('libx264', rate=25)
            video.height, video.width, video.pix_fmt = 48, 64, 'yuv420p'
            sink.start_encoding()
    for name, words in (
        ('list.mp4', "can't be read as a video"),
        ('concat.mp4', "can't be read as a video"),
        ('sound.mp4', 'has no pictures in it$'),
        ('none.mkv', "can't be read as a video"),
        ('none.mp4', 'has no pictures in it$'),
    ):
        with pytest.raises(PictureError, match=f'{name}: {words}'):
            read(tmp_path / name)


def test_names_are_files_and_not_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = make_clip(tmp_path / 'a.mp4', 2).read_bytes()
    for name in ('a:b.mp4', 'pipe:0.mp4', 'concat:x.mp4', '%03d.mp4', '-x.mp4'):
        (tmp_path / name).write_bytes(clip)
        assert len(read(name)[0]) == 2, name


@pytest.mark.parametrize('kind', ['mp4', 'avi', 'mkv'])
def test_large_frames_are_refused_before_they_are_decoded(kind, tmp_path, monkeypatch):
    path = make_kind(kind, tmp_path)
    assert len(list(read_frames(path, lambda line: None, max_pixels=48 * 64))) == 10
    monkeypatch.setattr(clips.Clip, '_decoded', lambda *_: pytest.fail('decoded'))
    with pytest.raises(FrameSizeError, match=r'frames of 64x48 have more pixels than the limit of 3071, which --max'):
        list(read_frames(path, lambda line: None, max_pixels=48 * 64 - 1))


def test_large_frames_are_not_decoded_to_find_their_size(tmp_path):
    """FFmpeg decodes a frame of some codecs when it opens a file."""

    def chunk(kind, body):
        return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))

    side = 12000
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0))
    picture = b'\x89PNG\r\n\x1a\n' + head + chunk(b'IDAT', zlib.compress(bytes(3 * side + 1))) + chunk(b'IEND', b'')
    path = tmp_path / 'a.avi'
    with av.open(str(path), 'w') as made:
        stream = made.add_stream('png', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'rgb24'
        for i in range(3):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 25)
            made.mux(packet)
    script = (
        'import resource, sys\n'
        'from restorebox.inference.clips import FrameSizeError, open_clip\n'
        'with open_clip(sys.argv[1], print) as clip: pass\n'  # loads what is loaded at the first use
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'try:\n'
        '    with open_clip(sys.argv[2], print, 10**6) as clip: list(clip.read())\n'
        'except FrameSizeError as error: print(error)\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n'
    )
    small = make_clip(tmp_path / 'small.avi', codec='mpeg4')
    run = subprocess.run([sys.executable, '-c', script, small, path], capture_output=True, text=True, check=True)
    *_, message, kilobytes = run.stdout.splitlines()
    assert "its frames can't be decoded, or have more pixels than the limit of 1000000" in message
    assert int(kilobytes) < 100 * 1024  # decoded: 430 MB


def test_frames_that_become_too_large_are_refused(tmp_path):
    path = join(tmp_path, {}, {'size': (96, 128)})
    with pytest.raises(PictureError, match=r'joined\.ts: (is damaged|its frames of 128x96)'):
        list(read_frames(path, lambda line: None, max_pixels=48 * 64))


def test_sound_that_is_stored_once_and_read_often_is_refused(tmp_path):
    """The packets of 200 samples are the same 100 kB: the index gives the place of the first for each."""
    path = make_clip(tmp_path / 'a.mp4', 100, sound='aac')
    data = bytearray(path.read_bytes()) + bytes(100_000)
    at = data.rfind(b'stsz') + 8  # of the sound
    number = struct.unpack_from('>I', data, at + 4)[0]
    struct.pack_into(f'>{number}I', data, at + 8, *[100_000] * number)
    at = data.rfind(b'stco') + 8
    offsets = struct.unpack_from('>I', data, at)[0]
    struct.pack_into(f'>{offsets}I', data, at + 4, *[1000] * offsets)
    struct.pack_into('>I4s', data, len(data) - 100_000, 100_000, b'free')
    path.write_bytes(data)
    with pytest.raises(PictureError, match=r'a\.mp4: is damaged: its packets have more than 8 times as many bytes'):
        restore_video(path, tmp_path / 'b.mp4', lambda array: array, note=lambda line: None)
    assert not (tmp_path / 'b.mp4').exists()


def test_a_note_is_a_warning_by_default(tmp_path):
    path = make_clip(tmp_path / 'a.mkv', 2, 'ffv1', pixels='yuva420p')
    with pytest.warns(ClipWarning, match=r'a\.mkv: not kept: transparency'):
        list(read_frames(path))


def frames_alive():
    return sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())


def test_frames_are_let_go_without_the_collector(tmp_path):
    path = make_clip(tmp_path / 'a.mp4', 150)
    gc.collect()
    before = frames_alive()  # what other tests' errors hold
    gc.disable()
    try:
        with open_clip(path, lambda line: None) as clip:
            for frame in clip.read():
                upright(frame)
        after = frames_alive()
    finally:
        gc.enable()
    assert after - before < 5
