"""Small clips of every container, made from nothing by PyAV, for the tests of videos."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip('av', reason='PyAV (requirements/video.txt) is not installed')
MILLISECOND = Fraction(1, 1000)
# kind -> suffix and how to make it
KINDS = {
    'mp4': ('.mp4', dict(sound='aac')),
    'mp4, index in front': ('.mp4', dict(sound='aac', options={'movflags': 'faststart'})),
    'mp4, fragments': ('.mp4', dict(gop=4, options={'movflags': 'frag_keyframe+empty_moov'})),
    'mov': ('.mov', {}),
    'mkv': ('.mkv', dict(sound='aac')),
    'mkv, live': ('.mkv', dict(options={'live': '1'})),
    'webm': ('.webm', dict(codec='libvpx-vp9', encoder={'cpu-used': '8', 'deadline': 'realtime'})),
    'avi': ('.avi', dict(codec='mpeg4', sound='libmp3lame')),
    'flv': ('.flv', dict(sound='aac')),
    'flv, no size': ('.flv', dict(options={'flvflags': 'no_duration_filesize'})),
    'ts': ('.ts', dict(sound='aac')),
    'm2ts': ('.mts', dict(form='mpegts', options={'mpegts_m2ts_mode': '1'})),
    'mpg': ('.mpg', dict(codec='mpeg2video', form='mpeg', sound='mp2')),
    'wmv': ('.wmv', dict(codec='msmpeg4v3', form='asf')),
}


def scene(i, height=48, width=64):
    """Frame ``i``: a ramp, and a bright block that moves to the right."""
    array = np.full((height, width, 3), 60, np.uint8)
    array[..., 2] = np.linspace(200, 30, width).astype(np.uint8)
    left = i * 4 % max(width - 16, 1)
    array[8:40, left : left + 14] = (220, 190, 50)
    return array


def woven(i, height=48, width=64):
    """Frame ``i`` of two fields, half a frame apart."""
    array = scene(2 * i, height, width)
    array[1::2] = scene(2 * i + 1, height, width)[1::2]
    return array


def make_clip(
    path,
    count=10,
    codec='libx264',
    form=None,
    size=(48, 64),
    pixels='yuv420p',
    sound=None,
    options=None,
    encoder=None,
    colours=None,
    times=None,
    gop=None,
    picture=scene,
    matrix=None,
    before=None,
    interlaced=False,
    shift=0,
    aspect=None,
):
    """A clip at 25 frames a second.

    Args:
        path: whose suffix, or ``form``, says the container.
        count: frames.
        codec, encoder, pixels, gop: of the pictures, and options of their encoder.
        size: (height, width).
        sound: a codec for a tone.
        options: of the container.
        colours: attributes of the codec's context, such as ``color_trc``; ``matrix`` and ``color_range`` are used.
        times: of the frames, in milliseconds.
        picture: (i, height, width) -> an array.
        before: called with (container, stream of pictures) before the first frame.
        shift: frames by which all times are moved.
    """
    colours = colours or {}
    if codec == 'libx264':
        encoder = {'crf': '10', 'preset': 'ultrafast'} | (encoder or {})
    if codec == 'libx265':
        encoder = {'x265-params': 'log-level=0'} | (encoder or {})
    with av.open(str(path), 'w', format=form, options=options or {}) as sink:
        video = sink.add_stream(codec, rate=25, options=encoder or {})
        video.height, video.width, video.pix_fmt = *size, pixels
        context = video.codec_context
        if codec not in ('libx264', 'libx265', 'ffv1', 'prores_ks'):
            video.bit_rate = 400000
        if gop:
            context.gop_size = gop
        if interlaced:
            context.flags |= 1 << 18 | 1 << 29
        if aspect:
            context.sample_aspect_ratio = aspect
        for name, value in colours.items():
            setattr(context, name, value)
        if times:
            context.time_base = MILLISECOND
        tone = sink.add_stream(sound, rate=48000, layout='stereo') if sound else None
        if before:
            before(sink, video)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(picture(i, *size))
            frame = frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=colours.get('color_range'))
            frame.pts, frame.time_base = (times[i], MILLISECOND) if times else (i + shift, Fraction(1, 25))
            sink.mux(video.encode(frame))
            if tone:
                wave = np.tile(np.sin(np.arange(1920) * 0.05 + i).astype(np.float32), (2, 1))
                piece = av.AudioFrame.from_ndarray(wave, format='fltp', layout='stereo')
                piece.sample_rate, piece.pts, piece.time_base = 48000, (i + shift) * 1920, Fraction(1, 48000)
                sink.mux(tone.encode(piece))
        for stream in (video, tone) if tone else (video,):
            sink.mux(stream.encode(None))
    return path


def make_kind(kind, folder):
    """The clip of a kind of :data:`KINDS`."""
    suffix, how = KINDS[kind]
    return make_clip(folder / f'clip{suffix}', **how)
