"""Video files in and out, frame by frame, through PyAV: rate, time stamps and sound are kept.

Frames are read, restored and encoded one at a time, and packets of sound pass through as they are: a clip of any
length takes the memory of a few frames. The rotation that a phone writes beside its frames is applied to them, and the
new file has none. Pictures are encoded as H.264 at a quality where the loss is hard to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from restorebox.errors import PictureError, missing_package
from restorebox.files import replacing

if TYPE_CHECKING:
    import os

    import av

CONTAINERS = {'.mp4': 'mp4', '.m4v': 'mp4', '.mov': 'mov', '.mkv': 'matroska'}  # that hold H.264 and any time stamps
VIDEO_SUFFIXES = (*CONTAINERS, '.avi', '.flv', '.mpeg', '.mpg', '.mts', '.webm', '.wmv')
QUALITY = {'crf': '16', 'preset': 'medium'}
SLACK = 0.5  # seconds of pictures that may be missing at the end before a clip is taken for cut
Restore = Callable[[np.ndarray], np.ndarray]


def is_video(path: str | os.PathLike) -> bool:
    """Whether a file's name is that of a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def need_av() -> None:
    """Raise early where PyAV is missing.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise missing_package('video', 'video', error) from None


def read_frames(path: str | os.PathLike) -> Iterator[np.ndarray]:
    """The frames of a clip, upright, one by one.

    Args:
        path: the file.

    Yields:
        ``(H, W, 3)`` RGB, uint8; uint16 where the clip has more than 8 bits.

    Raises:
        PictureError: no such file, no video, or damaged or cut; the last is found at its end.
        MissingPackageError: PyAV is not installed.
    """
    with _opened(path) as source:
        picture = source.streams.video[0]
        picture.thread_type = 'AUTO'
        end = _End(picture, path)
        for packet in _packets(source, [picture], path):
            for frame in _decoded(packet, path):
                end.saw(frame)
                yield _upright(frame)
        end.check()


def restore_video(
    path: str | os.PathLike,
    target: str | os.PathLike,
    restore: Restore,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Restore a clip into a file, whole or not at all.

    Args:
        path: the clip.
        target: the file to write, ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``. Sound is copied, not encoded anew.
        restore: ``(H, W, 3)`` RGB, uint8 or uint16 -> the same.
        progress: called with (done, total) frames; total is 0 where the clip does not say.

    Returns:
        How many frames.

    Raises:
        PictureError: no such file, no video, damaged or cut; a target of another suffix or that can't hold the sound.
        OSError: the target can't be written; its ``filename`` is ``target``.
        MissingPackageError: PyAV is not installed.
    """
    target = Path(target)
    if target.suffix.lower() not in CONTAINERS:
        raise PictureError(f'{target}: videos are written as {", ".join(CONTAINERS)}')
    with _opened(path) as source, replacing(target) as temporary:
        return _restore(source, path, temporary, target, restore, progress)


def _restore(
    source: av.container.InputContainer,
    path: str | os.PathLike,
    temporary: Path,
    target: Path,
    restore: Restore,
    progress: Callable[[int, int], None] | None,
) -> int:
    import av

    picture, sound = source.streams.video[0], source.streams.audio
    picture.thread_type = 'AUTO'
    with _writing(target):
        sink = av.open(str(temporary), 'w', format=CONTAINERS[target.suffix.lower()])
    written, done, end = None, 0, _End(picture, path)
    early: list[av.Packet] = []  # sound from before the first frame, which says what the file's head must say
    try:
        with _writing(target):
            copies = {stream.index: sink.add_stream_from_template(stream) for stream in sound}
            sink.metadata.update({k: v for k, v in source.metadata.items() if not k.endswith(('brand', 'brands'))})
        for packet in _packets(source, [picture, *sound], path):
            if packet.stream.index in copies:
                packet.stream = copies[packet.stream.index]
                early.append(packet)
            for frame in _decoded(packet, path) if packet.stream is picture else ():
                end.saw(frame)
                array = restore(_upright(frame))
                with _writing(target):
                    written = written or _video_stream(sink, picture, frame, array)
                    sink.mux(written.encode(_encodable(array, frame, written)))
                done += 1
                if progress:
                    progress(done, picture.frames)
            if written is not None and early:
                with _writing(target):
                    sink.mux(early)
                early.clear()
        end.check()
        with _writing(target):
            sink.mux(written.encode(None))
    except BaseException:
        with suppress(Exception):  # what was wrong first is what is said
            sink.close()
        raise
    with _writing(target):
        sink.close()
    return done


def _video_stream(
    sink: av.container.OutputContainer, picture: av.VideoStream, frame: av.VideoFrame, array: np.ndarray
) -> av.VideoStream:
    """A stream for frames of this size, with the rate, clock, pixel shape and colours of the clip's."""
    height, width = array.shape[:2]
    stream = sink.add_stream('libx264', rate=picture.average_rate or picture.guessed_rate or 25, options=dict(QUALITY))
    stream.width, stream.height = width, height
    chroma = '420' if height % 2 == width % 2 == 0 else '444'  # halved colours need even sides
    stream.pix_fmt = f'yuv{chroma}p10le' if array.dtype == np.uint16 else f'yuv{chroma}p'
    context, old = stream.codec_context, picture.codec_context
    context.time_base = frame.time_base
    shape = picture.sample_aspect_ratio
    if shape:
        context.sample_aspect_ratio = 1 / Fraction(shape) if _turns(frame) % 2 else shape
    context.color_range, context.colorspace = 1, frame.colorspace  # range as broadcast, which is what we encode
    context.color_primaries, context.color_trc = old.color_primaries, old.color_trc
    return stream


def _encodable(array: np.ndarray, frame: av.VideoFrame, stream: av.VideoStream) -> av.VideoFrame:
    """RGB -> a frame at the time of ``frame``, of the stream's format and the clip's colours."""
    import av

    new = av.VideoFrame.from_ndarray(array, format='rgb48le' if array.dtype == np.uint16 else 'rgb24')
    new = new.reformat(format=stream.pix_fmt, dst_colorspace=frame.colorspace, dst_color_range=1)
    new.pts, new.time_base = frame.pts, frame.time_base
    return new


def _turns(frame: av.VideoFrame) -> int:
    """Quarter turns, against the clock, that bring a frame upright."""
    return round(frame.rotation / 90) % 4


def _upright(frame: av.VideoFrame) -> np.ndarray:
    deep = max(component.bits for component in frame.format.components) > 8
    array = frame.to_ndarray(format='rgb48le' if deep else 'rgb24')
    return np.ascontiguousarray(np.rot90(array, _turns(frame)))


class _End:
    """Notices that the pictures end before the clip says."""

    def __init__(self, picture: av.VideoStream, path: str | os.PathLike) -> None:
        self.picture, self.path = picture, path
        self.count = 0
        self.last = 0.0

    def saw(self, frame: av.VideoFrame) -> None:
        self.count += 1
        if frame.pts is None:  # what has no time stamps is played at its rate
            rate = self.picture.average_rate or self.picture.guessed_rate or 25
            frame.time_base = 1 / Fraction(rate)
            frame.pts = self.count - 1
        self.last = max(self.last, float(frame.pts * frame.time_base))

    def check(self) -> None:
        """Raise where nothing was seen, or less than there should be."""
        if not self.count:
            raise PictureError(f'{self.path}: has no frame that can be read')
        picture = self.picture
        if picture.duration:
            end = float(((picture.start_time or 0) + picture.duration) * picture.time_base)
            if end - self.last > SLACK + 1 / float(picture.average_rate or 25):
                raise PictureError(f'{self.path}: is cut: its pictures end at {self.last:.1f} s of {end:.1f}')


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[av.container.InputContainer]:
    need_av()
    import av

    if not Path(path).is_file():
        raise PictureError(f'{path}: no such file')
    try:
        source = av.open(str(path))
    except av.FFmpegError as error:
        raise _unreadable(path, error) from None
    with source:
        if not source.streams.video:
            raise PictureError(f'{path}: has no pictures in it')
        yield source


def _packets(source: av.container.InputContainer, streams: list, path: str | os.PathLike) -> Iterator[av.Packet]:
    """Packets of these streams; those of sound that hold nothing are left out."""
    import av

    packets = source.demux(streams)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            raise _unreadable(path, error) from None
        if packet.dts is not None or packet.stream.type == 'video':
            yield packet


def _decoded(packet: av.Packet, path: str | os.PathLike) -> list[av.VideoFrame]:
    import av

    try:
        return packet.decode()
    except av.FFmpegError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str | os.PathLike, error: av.FFmpegError) -> PictureError:
    return PictureError(f"{path}: can't be read as a video ({error.strerror})")


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """FFmpeg's errors of writing, as ours: the disk's as ``OSError``, the format's as a picture's fault."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise PictureError(
            f"{target}: can't be written ({error.strerror}); name it .mkv, which holds all sound"
        ) from None
    except ValueError as error:  # PyAV's own, such as a codec that this build or this container has not
        raise PictureError(f"{target}: can't be written ({error})") from None
