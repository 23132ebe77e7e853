"""Restoration of video files through PyAV; frame rate, time stamps, audio and colours are kept.

Frames are read, restored and encoded one at a time, and packets of audio and subtitles are copied. So memory does not
grow with the length. The display matrix is applied to the frames and removed; interlaced frames are deinterlaced. Video
is encoded as H.264 at visually lossless quality. Notes report what is not kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from restorebox.datasets.decoding import MAX_PIXELS
from restorebox.errors import PictureError
from restorebox.files import replacing
from restorebox.inference.clips import Clip, Note, need_av, open_clip, warn
from restorebox.inference.frames import (
    encodable,
    full_range,
    light_levels,
    pixel_format,
    stated_matrix,
    swaps_width_and_height,
    upright,
)

if TYPE_CHECKING:
    import os

    import av

CONTAINERS = {'.mp4': 'mp4', '.m4v': 'mp4', '.mov': 'mov', '.mkv': 'matroska'}  # support H.264 and variable frame rates
VIDEO_SUFFIXES = (*CONTAINERS, '.3gp', '.avi', '.flv', '.m2ts', '.mpeg', '.mpg', '.mts', '.ts', '.webm', '.wmv')
QUALITY = {'crf': '16', 'preset': 'medium'}
_FILE_TAGS = ('brand', 'brands', 'minor_version', 'encoder', 'duration')  # tags that describe the old file
_MOST_TAGS = 1000  # FFmpeg takes time quadratic in their number
_NAMED_TAGS = 20  # of those that are not kept
_TRACK_TAGS = ('language', 'title', 'handler_name')  # tags of a track that are kept; others describe the old encoding
Restore = Callable[[np.ndarray], np.ndarray]

__all__ = ['CONTAINERS', 'VIDEO_SUFFIXES', 'is_video', 'need_av', 'read_frames', 'restore_video']


def is_video(path: str | os.PathLike) -> bool:
    """Return whether a path has the suffix of a video file."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def read_frames(path: str | os.PathLike, note: Note = warn, max_pixels: int = MAX_PIXELS) -> Iterator[np.ndarray]:
    """Yield the frames of a video, upright and progressive.

    Args:
        path: the file.
        note: called with a line for each thing that is changed or not kept; by default a
            :class:`ClipWarning <restorebox.inference.clips.ClipWarning>`.
        max_pixels: maximum number of pixels of a frame, since a small file can declare any size.

    Yields:
        ``(H, W, 3)`` RGB, uint8; uint16 for more than 8 bits.

    Raises:
        PictureError: no such file, not a video, damaged or truncated (in part detected at the end only), or frames that
            are too large or change in size, depth or colour space.
        MissingPackageError: PyAV is not installed.
    """
    with open_clip(path, note, max_pixels) as clip:
        for frame in clip.read():
            yield upright(cast('av.VideoFrame', frame))  # no packets, since no streams are copied


def restore_video(
    path: str | os.PathLike,
    target: str | os.PathLike,
    restore: Restore,
    progress: Callable[[int, int], None] | None = None,
    note: Note = warn,
    check: Callable[[], None] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> int:
    """Restore a video into a file by an atomic write.

    Args:
        path: the video.
        target: output file, ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``. Audio is copied without re-encoding, as are
            subtitles that the container supports.
        restore: function ``(H, W, 3)`` RGB, uint8 or uint16 -> the same.
        progress: called with (done, total) frames; total is 0 if the file does not state it.
        note: see :func:`read_frames`.
        check: called after the last frame; if it raises an error, nothing is written.
        max_pixels: see :func:`read_frames`.

    Returns:
        Number of frames.

    Raises:
        PictureError: see :func:`read_frames`; or the target's suffix or container is not supported; or raised by
            ``restore``.
        OSError: the target can't be written; its ``filename`` is ``target``.
        MissingPackageError: PyAV is not installed.
    """
    target = Path(target)
    if target.suffix.lower() not in CONTAINERS:
        raise PictureError(f'{target}: videos are written as {", ".join(CONTAINERS)}')
    with open_clip(path, note, max_pixels) as clip, replacing(target) as temporary:
        done = _restore(clip, temporary, target, restore, progress)
        if check is not None:
            check()
        return done


def _restore(
    clip: Clip, temporary: Path, target: Path, restore: Restore, progress: Callable[[int, int], None] | None
) -> int:
    import av

    with _writing(target):
        sink = av.open(
            _local(temporary), 'w', format=CONTAINERS[target.suffix.lower()], metadata_errors='surrogateescape'
        )
    done = 0
    early: list[av.Packet] = []  # packets before the first frame, on which the header depends
    try:
        with _writing(target):
            written = sink.add_stream('libx264', rate=clip.rate)  # first track, as players expect
            copies = _copies(clip, sink)
            sink.metadata.update(dict(islice(_tags(clip).items(), _MOST_TAGS)))
            sink.set_chapters(clip.source.chapters())
        for item in clip.read([stream for stream in clip.source.streams if stream.index in copies]):
            if isinstance(item, av.Packet):
                item.stream = copies[item.stream.index]
                early.append(item)
            else:
                array = restore(upright(item))
                with _writing(target):
                    if not done:
                        _configure(written, clip, item, array)
                    frame = encodable(array, item, str(written.pix_fmt))
                    frame.pts, frame.time_base, frame.duration = item.pts, item.time_base, item.duration
                    sink.mux(written.encode(frame))
                done += 1
                if progress:
                    progress(done, clip.picture.frames)
            if done and early:
                with _writing(target):
                    try:
                        sink.mux(early)
                    except av.error.InvalidDataError as error:
                        raise PictureError(f'{clip.path}: its sound is damaged ({error.strerror})') from None
                early.clear()
        with _writing(target):
            sink.mux(written.encode(None))
    except BaseException:
        with suppress(Exception):  # the first error is raised
            sink.close()
        raise
    with _writing(target):
        sink.close()
        _report_lost_tags(clip, temporary)
    return done


def _local(path: Path) -> str:
    """Return a path for FFmpeg, which would take a relative one such as ``http:/a.mp4`` for a URL."""
    return f'file:{path}'


def _tags(clip: Clip) -> dict[str, str]:
    """Return the tags of a clip except those that describe its file."""
    return {key: value for key, value in clip.source.metadata.items() if not key.lower().endswith(_FILE_TAGS)}


def _report_lost_tags(clip: Clip, made: Path) -> None:
    """Issue a note about tags that the new file's container does not support, or that are too many."""
    import av

    with av.open(_local(made), metadata_errors='surrogateescape') as new:
        kept = {key.lower() for key in new.metadata}
    lost = [key for key in _tags(clip) if key.lower() not in kept]
    if lost:
        more = f' and {len(lost) - _NAMED_TAGS} more' if len(lost) > _NAMED_TAGS else ''
        clip.note(f'tags not kept: {", ".join(lost[:_NAMED_TAGS])}{more}')


def _copies(clip: Clip, sink: av.container.OutputContainer) -> dict[int, av.stream.Stream]:
    """Add streams for audio and supported subtitles, by the old stream's index; issue a note about other streams."""
    copies: dict[int, av.stream.Stream] = {}
    rest: Counter[str] = Counter()
    chapters = clip.source.chapters()
    for stream in clip.source.streams:
        context = stream.codec_context
        held = stream.type == 'subtitle' and context is not None and context.name in sink.supported_codecs
        if context is not None and (held or stream.type == 'audio'):
            new = copies[stream.index] = sink.add_stream_from_template(stream)
            new.metadata.update(stream.metadata)
            new.disposition = stream.disposition
        elif stream is not clip.picture and not (chapters and stream.type == 'data'):  # MP4 chapters are a data track
            rest['cover or further video' if stream.type == 'video' else stream.type] += 1
    if rest:
        clip.note('left out: ' + ', '.join(f'{count} {kind} track(s)' for kind, count in rest.items()))
    return copies


def _configure(stream: av.VideoStream, clip: Clip, frame: av.VideoFrame, array: np.ndarray) -> None:
    """Set the stream's size from an array, and its time base, pixel shape, colour space and tags from the clip."""
    context, old = stream.codec_context, clip.picture
    levels = light_levels(frame)
    context.options = QUALITY | ({'x264-params': levels} if levels else {})
    stream.height, stream.width = array.shape[:2]
    stream.pix_fmt = pixel_format(frame, array)
    stream.metadata.update({key: old.metadata[key] for key in _TRACK_TAGS if key in old.metadata})
    stream.disposition = old.disposition
    assert frame.time_base is not None  # set by Clip
    context.time_base = frame.time_base
    shape = old.sample_aspect_ratio
    if shape:
        context.sample_aspect_ratio = 1 / Fraction(shape) if swaps_width_and_height(frame) else shape
    context.color_range = 2 if full_range(frame) else 1
    context.colorspace = stated_matrix(frame)
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Convert FFmpeg's errors on writing: disk errors to ``OSError``, others to ``PictureError``."""
    import av

    try:
        yield
    except MemoryError:
        raise
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(target)) from None
        advice = '' if target.suffix.lower() == '.mkv' else '; name it .mkv, which holds all sound'
        raise PictureError(f"{target}: can't be written ({error.strerror}){advice}") from None
    except ValueError as error:  # PyAV's, such as a codec that the build or container does not support
        raise PictureError(f"{target}: can't be written ({error})") from None
