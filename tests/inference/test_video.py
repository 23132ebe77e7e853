"""Clips keep their number of frames, rate, time stamps and sound; damage is reported."""

import socket
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from restorebox.engine.measuring import peak_memory_since_reset, reset_peak_memory
from restorebox.errors import ConfigError, PictureError
from restorebox.inference.inputs import plan_jobs
from restorebox.inference.video import read_frames, restore_video
from tests.inference.small_clips import KINDS, MILLISECOND, av, make_clip, make_kind, scene

pytestmark = pytest.mark.slow

RATE, SECONDS = Fraction(30000, 1001), 10
COUNT = round(RATE * SECONDS)


def picture(i, height=48, width=64):
    """A ramp, darker at the right, with a white square at the top left; brighter with every frame."""
    array = np.full((height, width, 3), 40 + i % 100, np.uint8)
    array[..., 2] = np.linspace(200, 30, width).astype(np.uint8)
    array[:16, :16] = 255
    return array


def write_clip(path, count=COUNT, rotation=0, times=None, size=(48, 64), sound='aac', options=None):
    """A clip with a tone, as a camera or a phone would leave it."""
    with av.open(str(path), 'w', options=options or {}) as sink:
        video = sink.add_stream('libx264', rate=RATE, options={'preset': 'ultrafast', 'crf': '10'})
        video.width, video.height, video.pix_fmt = size[1], size[0], 'yuv420p'
        audio = sink.add_stream(sound, rate=44100, layout='stereo') if sound else None
        if rotation:
            video.set_display_rotation(rotation)
        video.codec_context.time_base = Fraction(1001, 30000)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(picture(i, *size))
            frame.pts = i if times is None else times[i]
            frame.time_base = Fraction(1001, 30000)
            sink.mux(video.encode(frame))
        sink.mux(video.encode(None))
        if audio:
            tone = np.sin(np.arange(44100 * SECONDS) * 0.05).astype(np.float32)
            for first in range(0, len(tone), 1024):
                piece = np.tile(tone[first : first + 1024], (2, 1))
                frame = av.AudioFrame.from_ndarray(piece, format='fltp', layout='stereo')
                frame.sample_rate, frame.pts = 44100, first
                sink.mux(audio.encode(frame))
            sink.mux(audio.encode(None))
    return path


def facts(path):
    """Rate, sound packet by packet, and time of each frame."""
    with av.open(str(path)) as source:
        video = source.streams.video[0]
        sound, times = [], []
        for packet in source.demux(video, *source.streams.audio):
            if packet.stream.type == 'audio' and packet.size:
                sound.append((float(packet.pts * packet.time_base), bytes(packet)))
            elif packet.stream.type == 'video':
                times += [frame.time for frame in packet.decode()]
        return video.average_rate, sound, times


def test_ten_seconds_with_sound(tmp_path):
    clip = write_clip(tmp_path / 'clip.mp4')
    seen = []
    count = restore_video(clip, tmp_path / 'out' / 'clip.mp4', lambda x: 255 - x, lambda *each: seen.append(each))
    assert count == COUNT
    assert seen[-1] == (COUNT, COUNT)
    rate, sound, times = facts(clip)
    new_rate, new_sound, new_times = facts(tmp_path / 'out' / 'clip.mp4')
    assert new_rate == rate == RATE
    assert len(sound) > 400
    assert [data for _, data in new_sound] == [data for _, data in sound]
    np.testing.assert_allclose([time for time, _ in new_sound], [time for time, _ in sound], atol=1e-3)
    assert len(new_times) == COUNT
    np.testing.assert_allclose(new_times, times, atol=1e-4)
    for i, (made, old) in enumerate(zip(read_frames(tmp_path / 'out/clip.mp4'), read_frames(clip), strict=True)):
        assert np.abs(made.astype(int) - (255 - old.astype(int))).mean() < 3, i
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['clip.mp4']


def test_a_longer_clip_takes_no_more_memory(tmp_path):
    """400 further frames would be 200 MiB."""
    size, peaks = (360, 480), []
    for count in (100, 100, 500):  # the first fills what encoder and allocator keep
        clip = write_clip(tmp_path / f'{count}.mp4', count, size=size, sound=None)
        try:
            before = reset_peak_memory()
        except ConfigError as error:
            pytest.skip(str(error))
        restore_video(clip, tmp_path / f'out_{count}.mp4', lambda x: 255 - x)
        peaks.append((peak_memory_since_reset() - before) / 2**20)
    assert peaks[2] < peaks[1] + 60


@pytest.mark.parametrize('suffix', ['.mov', '.mkv'])
def test_uneven_times_are_kept(suffix, tmp_path):
    times = [0, 1, 2, 5, 6, 11, 12, 20, 21, 22]
    clip = write_clip(tmp_path / f'clip{suffix}', 10, times=times, sound=None)
    restore_video(clip, tmp_path / f'new{suffix}', lambda x: x, note=lambda line: None)
    np.testing.assert_allclose(facts(tmp_path / f'new{suffix}')[2], facts(clip)[2], atol=2e-3)


@pytest.mark.parametrize('rotation', [0, 90, 180, -90])
def test_rotation_is_applied_once(rotation, tmp_path):
    clip = write_clip(tmp_path / 'clip.mp4', 3, rotation=rotation, sound=None)
    expected = np.rot90(picture(0), rotation // 90)
    restore_video(clip, tmp_path / 'new.mp4', lambda x: x)
    with av.open(str(tmp_path / 'new.mp4')) as source:
        frame = next(source.decode(video=0))
        assert frame.rotation == 0
        stored = frame.to_ndarray(format='rgb24')
    for seen in (stored, next(read_frames(clip))):
        assert seen.shape == expected.shape
        assert np.abs(seen.astype(int) - expected).mean() < 6


def test_ten_bits_odd_sides_and_colours_stay(tmp_path):
    with av.open(str(tmp_path / 'deep.mkv'), 'w') as sink:
        video = sink.add_stream('libx264', rate=24, options={'crf': '1'})
        video.width, video.height, video.pix_fmt = 35, 21, 'yuv444p10le'
        video.codec_context.colorspace = 1  # BT.709
        ramp = np.linspace(5000, 60000, 35).astype(np.uint16)
        array = np.stack([np.tile(ramp, (21, 1)), np.full((21, 35), 9000, np.uint16), np.tile(ramp[::-1], (21, 1))], -1)
        frame = av.VideoFrame.from_ndarray(array, format='rgb48le')
        frame = frame.reformat(format='yuv444p10le', dst_colorspace=1)
        frame.pts = 0
        sink.mux(video.encode(frame))
        sink.mux(video.encode(None))
    kinds = []
    restore_video(tmp_path / 'deep.mkv', tmp_path / 'new.mkv', lambda x: kinds.append(x.dtype) or x)
    assert kinds == [np.uint16]
    for name in ('deep.mkv', 'new.mkv'):
        (made,) = read_frames(tmp_path / name)
        assert made.shape == (21, 35, 3)
        assert np.abs(made.astype(int) - array).mean() < 1500, name


def test_damaged_clips_are_a_line_and_leave_nothing(tmp_path):
    clip = write_clip(tmp_path / 'clip.mp4')
    data = clip.read_bytes()
    (tmp_path / 'half.mp4').write_bytes(data[: len(data) // 2])  # its index, which is at the end, is gone
    write_clip(tmp_path / 'front.mp4', options={'movflags': 'faststart'})
    data = (tmp_path / 'front.mp4').read_bytes()
    (tmp_path / 'front.mp4').write_bytes(data[: len(data) // 2])
    (tmp_path / 'text.mp4').write_text('no video')
    (tmp_path / 'empty.mkv').touch()
    for name, words in (
        ('half.mp4', 'is cut: it ends at byte'),
        ('front.mp4', 'is cut: it ends at byte'),
        ('text.mp4', "can't be read as a video"),
        ('empty.mkv', "can't be read as a video"),
        ('none.mp4', 'no such file'),
    ):
        with pytest.raises(PictureError, match=f'{name}: .*({words})'):
            restore_video(tmp_path / name, tmp_path / 'out' / 'a.mp4', lambda x: x)
    assert not list((tmp_path / 'out').glob('*'))
    with pytest.raises(PictureError, match='videos are written as'):
        restore_video(clip, tmp_path / 'a.avi', lambda x: x)
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'file/a\.mp4'):
        restore_video(clip, tmp_path / 'file' / 'a.mp4', lambda x: x)


@pytest.mark.parametrize('kind', KINDS)
def test_every_container_comes_out_whole(kind, tmp_path):
    path, notes, target = make_kind(kind, tmp_path), [], tmp_path / 'out' / 'new.mkv'
    assert restore_video(path, target, lambda x: x, note=notes.append) == 10
    pairs = zip(read_frames(target, lambda line: None), read_frames(path, lambda line: None), strict=True)
    assert max(np.abs(made.astype(int) - old).mean() for made, old in pairs) < 4
    _, sound, _ = facts(path)
    assert [data for _, data in facts(target)[1]] == [data for _, data in sound] or kind == 'ts'  # ADTS is taken off
    assert len(facts(target)[1]) == len(sound)
    gap = 'its frames are at uneven times, up to 2.0 times the mean apart, which are kept'  # from FFmpeg's AVI writer
    expected = {'mpg': ['not kept: time codes'], 'avi': [gap]}.get(kind, [])
    assert [note.removeprefix(f'{path}: ') for note in notes if 'where it ends' not in note] == expected


def test_chapters_subtitles_names_and_tags(tmp_path):
    (tmp_path / 'a.srt').write_text('1\n00:00:00,040 --> 00:00:00,200\nHello\n\n')
    chapters = [dict(id=1, start=0, end=200, time_base=MILLISECOND, metadata={'title': 'One'})]

    def add(sink, video):
        video.metadata.update(language='deu', title='main')
        sink.metadata.update(title='T', comment='C')
        sink.set_chapters(chapters)
        with av.open(str(tmp_path / 'a.srt')) as source:
            track = sink.add_stream_from_template(source.streams[0])
            track.metadata['language'] = 'eng'
            packets = [packet for packet in source.demux() if packet.size]
        sink.add_attachment('font.ttf', 'font/ttf', b'12345')
        for packet in packets:
            packet.stream = track
            sink.mux(packet)

    path = make_clip(tmp_path / 'a.mkv', before=add)
    for suffix, words in (
        ('.mkv', ['left out: 1 attachment track(s)']),
        ('.mp4', ['left out: 1 subtitle track(s), 1 attachment track(s)']),  # it holds subtitles of another kind only
    ):
        notes = []
        restore_video(path, tmp_path / f'b{suffix}', lambda x: x, note=notes.append)
        assert [note.removeprefix(f'{path}: ') for note in notes] == words
        with av.open(str(tmp_path / f'b{suffix}')) as source:
            assert source.streams[0].type == 'video'
            assert source.streams.video[0].metadata['language'] == 'deu'
            tags = {key.lower(): value for key, value in source.metadata.items()}
            assert (tags['title'], tags['comment']) == ('T', 'C')
            (chapter,) = source.chapters()
            assert chapter['metadata'] == {'title': 'One'}
            found = [bytes(packet) for packet in source.demux() if packet.stream.type == 'subtitle' and packet.size]
            assert found == ([b'Hello'] if suffix == '.mkv' else [])


def test_tags_that_are_lost_and_bytes_that_are_no_text(tmp_path):
    def add(sink, video):
        sink.metadata.update({'title': 'ABCDEFGH', 'com.example.key': 'z'})

    path = make_clip(tmp_path / 'a.mp4', before=add, options={'movflags': 'use_metadata_tags'})
    path.write_bytes(path.read_bytes().replace(b'ABCDEFGH', b'AB\xff\xfe\xc3GH!'))
    notes = []
    restore_video(path, tmp_path / 'b.mp4', lambda x: x, note=notes.append)
    assert notes == [f'{path}: tags not kept: com.example.key']
    with av.open(str(tmp_path / 'b.mp4'), metadata_errors='surrogateescape') as source:
        assert source.metadata['title'].encode(errors='surrogateescape') == b'AB\xff\xfe\xc3GH!'


def test_at_most_a_thousand_tags_are_kept(tmp_path):
    def add(sink, video):
        sink.metadata.update({f'com.example.key{i}': 'z' for i in range(1030)})

    path = make_clip(tmp_path / 'a.mkv', before=add)
    notes = []
    restore_video(path, tmp_path / 'b.mkv', lambda x: x, note=notes.append)
    assert len(notes) == 1
    assert notes[0].endswith(' and 10 more')
    assert notes[0].count('COM.EXAMPLE.KEY') == 20
    with av.open(str(tmp_path / 'b.mkv')) as made:
        assert sum(key.startswith('COM.EXAMPLE.KEY') for key in made.metadata) == 1000


def test_outputs_are_files_and_not_addresses(tmp_path, monkeypatch):
    """As FFmpeg reads it, http:/127.0.0.1:PORT/b.mp4 is an address."""
    monkeypatch.chdir(tmp_path)
    path = make_clip(tmp_path / 'a.mp4')
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(0)
        for folder in (f'http:/127.0.0.1:{server.getsockname()[1]}', 'a:b', 'pipe:'):
            Path(folder).mkdir(parents=True)
            restore_video(path, Path(folder) / 'b.mp4', lambda x: x, note=lambda line: None)
            assert len(list(read_frames(Path(folder) / 'b.mp4'))) == 10
        with pytest.raises(BlockingIOError):  # nobody came
            server.accept()


def test_a_cover_and_further_pictures_are_left_out(tmp_path):
    for first in (False, True):
        path = tmp_path / f'{first}.mp4'
        with av.open(str(path), 'w') as sink:
            streams = {}
            for name in ('cover', 'main') if first else ('main', 'cover'):
                streams[name] = sink.add_stream('mjpeg' if name == 'cover' else 'libx264', rate=25)
                streams[name].height, streams[name].width = (32, 32) if name == 'cover' else (48, 64)
                streams[name].pix_fmt = 'yuvj420p' if name == 'cover' else 'yuv420p'
            streams['cover'].disposition = av.stream.Disposition.attached_pic
            for name, count in (('cover', 1), ('main', 5)):
                for i in range(count):
                    frame = av.VideoFrame.from_ndarray(scene(i, *((32, 32) if name == 'cover' else (48, 64))))
                    frame.pts, frame.time_base = i, Fraction(1, 25)
                    sink.mux(streams[name].encode(frame))
                sink.mux(streams[name].encode(None))
        notes = []
        assert restore_video(path, tmp_path / f'new_{first}.mp4', lambda x: x, note=notes.append) == 5
        assert notes == [f'{path}: left out: 1 cover or further video track(s)']
        assert next(read_frames(tmp_path / f'new_{first}.mp4')).shape == (48, 64, 3)


@pytest.mark.parametrize('error', [PictureError('the network gave NaN'), MemoryError(), KeyboardInterrupt()])
def test_a_frame_that_fails_leaves_nothing(error, tmp_path):
    path = make_clip(tmp_path / 'a.mp4', sound='aac')
    done = []

    def restore(array):
        done.append(array)
        if len(done) == 7:
            raise error
        return array

    with pytest.raises(type(error)) as caught:
        restore_video(path, tmp_path / 'out' / 'a.mp4', restore)
    assert caught.value is error
    assert not list((tmp_path / 'out').iterdir())


def test_the_last_frame_lasts_as_long_as_it_did(tmp_path):
    path = make_clip(tmp_path / 'a.mp4', 4, times=[0, 40, 80, 120])
    restore_video(path, tmp_path / 'b.mp4', lambda x: x)
    for each in (path, tmp_path / 'b.mp4'):
        with av.open(str(each)) as source:
            assert source.duration == 160000


def test_what_an_edit_list_leaves_out_stays_out(tmp_path):
    """A clip trimmed by a phone: all is still in the file, and 0.6 s at the beginning are not played."""
    path = make_clip(tmp_path / 'a.mp4', 40, sound='aac', gop=5)
    data, at = bytearray(path.read_bytes()), 0
    while (at := data.find(b'elst', at + 1)) > 0:
        length, first = struct.unpack('>Ii', data[at + 12 : at + 20])
        data[at + 12 : at + 20] = struct.pack('>Ii', length - 600, first + int(0.6 * (48000 if first else 12800)))
    path.write_bytes(data)
    for suffix in ('.mp4', '.mkv'):
        assert restore_video(path, tmp_path / f'b{suffix}', lambda x: x, note=pytest.fail) == 25
        _, sound, times = facts(tmp_path / f'b{suffix}')
        assert abs(sound[0][0] - times[0]) < 0.13


def test_clips_in_folders_are_found_and_named(tmp_path):
    for name in ('a.png', 'b.mp4', 'c.avi', 'd.txt'):
        (tmp_path / name).touch()
    jobs = plan_jobs(tmp_path, tmp_path / 'out')
    assert [job.target.name for job in jobs] == ['a.png', 'b.mp4', 'c.avi.mkv']
