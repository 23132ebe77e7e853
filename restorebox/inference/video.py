"""Video files in and out, frame by frame, through PyAV: rate, time stamps, sound and colours are kept.

Frames are read, restored and encoded one at a time, and packets of sound and subtitles pass through as they are: a clip
of any length takes the memory of a few frames. The display matrix that a phone writes beside its frames is applied to
them, and the new file has none; interlaced frames are deinterlaced. Pictures are encoded as H.264 at a quality where
the loss is hard to see. What a clip carries and the new one does not is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from restorebox.errors import PictureError
from restorebox.files import replacing
from restorebox.inference.clips import Clip, Note, need_av, open_clip, warn
from restorebox.inference.frames import (
    encodable,
    full_range,
    light_levels,
    pixel_format,
    stated_matrix,
    turned,
    upright,
)

if TYPE_CHECKING:
    import os

    import av

CONTAINERS = {'.mp4': 'mp4', '.m4v': 'mp4', '.mov': 'mov', '.mkv': 'matroska'}  # that hold H.264 and any time stamps
VIDEO_SUFFIXES = (*CONTAINERS, '.3gp', '.avi', '.flv', '.m2ts', '.mpeg', '.mpg', '.mts', '.ts', '.webm', '.wmv')
QUALITY = {'crf': '16', 'preset': 'medium'}
_OF_THE_FILE = ('brand', 'brands', 'minor_version', 'encoder', 'duration')  # tags about the old file alone
_NAMES = ('language', 'title', 'handler_name')  # of a track's metadata; the rest is about the old encoding
Restore = Callable[[np.ndarray], np.ndarray]

__all__ = ['CONTAINERS', 'VIDEO_SUFFIXES', 'is_video', 'need_av', 'read_frames', 'restore_video']


def is_video(path: str | os.PathLike) -> bool:
    """Whether a file's name is that of a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def read_frames(path: str | os.PathLike, note: Note = warn) -> Iterator[np.ndarray]:
    """The frames of a clip, upright and progressive, one by one.

    Args:
        path: the file.
        note: takes a line about each thing that was changed or left out; by default a
            :class:`ClipWarning <restorebox.inference.clips.ClipWarning>`.

    Yields:
        ``(H, W, 3)`` RGB, uint8; uint16 where the clip has more than 8 bits.

    Raises:
        PictureError: no such file, no video, damaged or cut (some of this is found at its end only), or frames that
            change in size, depth or colour space.
        MissingPackageError: PyAV is not installed.
    """
    with open_clip(path, note) as clip:
        yield from map(upright, clip.read())


def restore_video(
    path: str | os.PathLike,
    target: str | os.PathLike,
    restore: Restore,
    progress: Callable[[int, int], None] | None = None,
    note: Note = warn,
) -> int:
    """Restore a clip into a file, whole or not at all.

    Args:
        path: the clip.
        target: the file to write, ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``. Sound is copied, not encoded anew, and so
            are subtitles that such a file can hold.
        restore: ``(H, W, 3)`` RGB, uint8 or uint16 -> the same.
        progress: called with (done, total) frames; total is 0 where the clip does not say.
        note: see :func:`read_frames`.

    Returns:
        How many frames.

    Raises:
        PictureError: see :func:`read_frames`; or a target of another suffix or that can't hold the sound; or what
            ``restore`` raises.
        OSError: the target can't be written; its ``filename`` is ``target``.
        MissingPackageError: PyAV is not installed.
    """
    target = Path(target)
    if target.suffix.lower() not in CONTAINERS:
        raise PictureError(f'{target}: videos are written as {", ".join(CONTAINERS)}')
    with open_clip(path, note) as clip, replacing(target) as temporary:
        return _restore(clip, temporary, target, restore, progress)


def _restore(
    clip: Clip, temporary: Path, target: Path, restore: Restore, progress: Callable[[int, int], None] | None
) -> int:
    import av

    with _writing(target):
        sink = av.open(str(temporary), 'w', format=CONTAINERS[target.suffix.lower()], metadata_errors='surrogateescape')
    done = 0
    early: list[av.Packet] = []  # of other streams before the first frame, which says what the file's head must say
    try:
        with _writing(target):
            written = sink.add_stream('libx264', rate=clip.rate)  # the first track, as players expect it
            copies = _copies(clip, sink)
            sink.metadata.update({k: v for k, v in clip.source.metadata.items() if not k.endswith(_OF_THE_FILE)})
            sink.set_chapters(clip.source.chapters())
        for item in clip.read([stream for stream in clip.source.streams if stream.index in copies]):
            if isinstance(item, av.Packet):
                item.stream = copies[item.stream.index]
                early.append(item)
            else:
                array = restore(upright(item))
                with _writing(target):
                    if not done:
                        _set_up(written, clip, item, array)
                    frame = encodable(array, item, written.pix_fmt)
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
        with suppress(Exception):  # what was wrong first is what is said
            sink.close()
        raise
    with _writing(target):
        sink.close()
    _say_lost_tags(clip, temporary)
    return done


def _say_lost_tags(clip: Clip, made: Path) -> None:
    """Name the tags of a clip that the new file's container did not take."""
    import av

    with av.open(str(made), metadata_errors='surrogateescape') as new:
        kept = {key.lower() for key in new.metadata}
    lost = [key for key in clip.source.metadata if key.lower() not in kept and not key.endswith(_OF_THE_FILE)]
    if lost:
        clip.note(f'tags not kept: {", ".join(lost)}')


def _copies(clip: Clip, sink: av.container.OutputContainer) -> dict[int, av.stream.Stream]:
    """New streams for sound, and for subtitles that the container holds, by the old one's index. The rest is said."""
    copies, rest, chapters = {}, Counter(), clip.source.chapters()
    for stream in clip.source.streams:
        context = stream.codec_context
        held = stream.type == 'subtitle' and context is not None and context.name in sink.supported_codecs
        if context is not None and (held or stream.type == 'audio'):
            new = copies[stream.index] = sink.add_stream_from_template(stream)
            new.metadata.update(stream.metadata)
            new.disposition = stream.disposition
        elif stream is not clip.picture and not (chapters and stream.type == 'data'):  # MP4 has chapters in a track
            rest['cover or further video' if stream.type == 'video' else stream.type] += 1
    if rest:
        clip.note('left out: ' + ', '.join(f'{count} {kind} track(s)' for kind, count in rest.items()))
    return copies


def _set_up(stream: av.VideoStream, clip: Clip, frame: av.VideoFrame, array: np.ndarray) -> None:
    """Give the new stream the size of an array, and the clock, pixel shape, colours and names of the clip."""
    context, old = stream.codec_context, clip.picture
    levels = light_levels(frame)
    context.options = QUALITY | ({'x264-params': levels} if levels else {})
    stream.height, stream.width = array.shape[:2]
    stream.pix_fmt = pixel_format(frame, array)
    stream.metadata.update({key: old.metadata[key] for key in _NAMES if key in old.metadata})
    stream.disposition = old.disposition
    context.time_base = frame.time_base
    shape = old.sample_aspect_ratio
    if shape:
        context.sample_aspect_ratio = 1 / Fraction(shape) if turned(frame) else shape
    context.color_range = 2 if full_range(frame) else 1
    context.colorspace = stated_matrix(frame)
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """FFmpeg's errors of writing, as ours: the disk's as ``OSError``, the format's as a picture's fault."""
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
    except ValueError as error:  # PyAV's own, such as a codec that this build or this container has not
        raise PictureError(f"{target}: can't be written ({error})") from None
