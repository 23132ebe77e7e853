"""Video files read through PyAV: the frames in order, each whole and at its time, or a line that says why not."""

from __future__ import annotations

import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from restorebox.errors import PictureError, missing_package
from restorebox.inference.containers import find_fault
from restorebox.inference.frames import Deinterlacer, bits, chroma, left_out, matrix, side_data

if TYPE_CHECKING:
    import av

# FFmpeg's readers of the containers that we know; others, such as playlists, open further files and addresses
_READERS = 'mov,matroska,avi,flv,mpeg,mpegts,mpegvideo,asf'
_STALLED = 60  # seconds without a packet after which a file is given up
_BARREN = 600  # packets of pictures in a row without a frame after which a file is given up
_SLACK = 0.5  # seconds of pictures that may be missing at the end before a clip is taken for cut; or a tenth of it
# codecs of which each packet gives one frame, unless it is half a frame of an interlaced clip
_ONE_EACH = ('av1', 'h264', 'hevc', 'libdav1d', 'mjpeg', 'mpeg2video', 'prores')
_SAMPLED = 100  # of so many frames one is asked for what it carries beside its pixels
_LEAD = 0.1  # seconds of sound that are kept before what an edit list plays, from which its decoder starts
Note = Callable[[str], None]


class ClipWarning(UserWarning):
    """A clip is restored, but something that it carries is not kept or was changed."""


def warn(line: str) -> None:
    """The :data:`Note` that is a Python warning."""
    warnings.warn(line, ClipWarning, stacklevel=3)


def need_av() -> None:
    """Raise early where PyAV is missing.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise missing_package('video', 'video', error) from None


class Clip:
    """An open video file, see :func:`open_clip`.

    Args:
        source: the container.
        path: its file.
        note: takes lines about what is changed or not kept.

    Attributes:
        picture: the stream that is restored: the first that is no cover picture.
        rate: frames a second, where the clip's frames have no times.

    Raises:
        PictureError: there are no pictures, or only a cover.
    """

    def __init__(self, source: av.container.InputContainer, path: str | os.PathLike, note: Note) -> None:
        self.source, self.path, self._note = source, path, note
        pictures = [stream for stream in source.streams.video if not _still(stream)]
        if not pictures:
            raise PictureError(f'{path}: has no pictures in it' + (' but a cover' if source.streams.video else ''))
        self.picture: av.VideoStream = pictures[0]
        if self.picture.codec_context is None:
            raise PictureError(f"{path}: its pictures can't be decoded (FFmpeg does not know their codec)")
        self.picture.thread_type = 'AUTO'
        if self.picture.codec_context.name == 'h264':  # a slice with bits left over is damaged, which is else let pass
            self.picture.codec_context.options = {'err_detect': 'aggressive'}
        self.rate = Fraction(self.picture.average_rate or self.picture.guessed_rate or 25)
        self._frames = 0
        self._last: Fraction | None = None  # time of the last frame
        self._end = 0.0  # of the last packet of any stream that is read
        self._untimed = self._breaks = 0
        self._gap = 1.0  # the largest distance of two frames, in mean ones
        self._kind: dict[str, str] | None = None
        self._given, self._carried = 0, {}
        self._lost: set[str] = set()
        if self.picture.metadata.get('alpha_mode', '0') != '0':  # VP8 and VP9, whose decoders leave it out
            self._lost.add('transparency')

    def note(self, fact: str) -> None:
        """Say something about this clip."""
        self._note(f'{self.path}: {fact}')

    def read(self, copied: Sequence[av.stream.Stream] = ()) -> Iterator[av.VideoFrame | av.Packet]:
        """The frames of :attr:`picture`, progressive, of one kind and at rising times, and packets of other streams.

        Args:
            copied: the other streams.

        Raises:
            PictureError: damaged, cut, without progress, or frames of another size, depth, pixel shape or colour space
                than the first.
        """
        deinterlace, barren, packets, early, key = Deinterlacer(), 0, 0, [], False
        untimed, broken = Counter(), Counter()  # packets of the other streams, by index
        stamps: deque[int] | None = deque() if self.source.format.name == 'avi' else None
        streams = [self.picture, *copied]
        for packet in self._packets(streams):
            if packet.stream is not self.picture:
                if packet.is_discard and packet.pts * packet.time_base < -_LEAD:  # an edit list leaves it out
                    continue
                index = packet.stream.index
                broken[index] += packet.is_corrupt
                untimed[index] += packet.dts is None and packet.size > 0
                if packet.dts is not None:
                    yield packet
                continue
            if not packet.size and packet.dts is not None:  # AVI has one where the last frame stays
                continue
            key = key or packet.is_keyframe
            if packet.size and not packet.is_discard:
                packets += 1
                if not self._frames and packet.pts is not None:
                    early.append(packet.pts * packet.time_base)
            frames = self._decoded(packet) if key or not packet.size else []
            barren = 0 if frames else barren + 1
            if barren > _BARREN:
                raise PictureError(f'{self.path}: {barren} packets in a row give no picture')
            if stamps is not None and packet.size:  # AVI has no times but that of each chunk, in the order of decoding
                stamps.append(packet.dts)
            for frame in frames:
                if stamps:
                    frame.pts = stamps.popleft()
                self._take(frame)
                if self._frames == 1:
                    early = [time for time in early if frame.pts is not None and time < frame.pts * frame.time_base]
                for ready in deinterlace(frame):
                    yield self._checked(ready)
        for ready in deinterlace(None):
            yield self._checked(ready)
        every = (*self.source.streams.video, *self.source.streams.audio)
        self._check_end(all_read=all(stream in streams for stream in every))
        one_each = self.picture.codec_context.name in _ONE_EACH and not (deinterlace.count or self._untimed)
        if one_each and self._frames + len(early) < packets:
            lost = packets - len(early) - self._frames
            raise PictureError(f"{self.path}: is damaged: {lost} of {packets} frames can't be decoded")
        if early:
            self.note(f"its first {len(early)} frames have no key frame before them, can't be decoded and are left out")
        if deinterlace.count:
            self.note(f'{deinterlace.count} of {self._frames} frames were interlaced; they are deinterlaced')
        elif self.picture.codec_context.field_order > 1:
            self.note('its header says interlaced and its frames say progressive; it is not deinterlaced')
        if self._untimed:
            self.note(f'{self._untimed} frames had no time, or one not after the last; they follow at the rate')
        if self._breaks:
            self.note(f'{self._breaks} breaks between its packets; no frame at them is damaged')
        if self._gap > 1.75:
            self.note(f'its frames are at uneven times, up to {self._gap:.1f} times the mean apart, which are kept')
        if self._lost:
            self.note(f'not kept: {", ".join(sorted(self._lost))}')
        for index, count in (+untimed).items():
            self.note(f'{count} packets of track {index} have no time and are left out')
        for index, count in (+broken).items():
            self.note(f'{count} packets of track {index} are damaged and copied as they are')

    def _packets(self, streams: list) -> Iterator[av.Packet]:
        import av

        packets = self.source.demux(streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                raise _unreadable(self.path, error) from None
            if packet.pts is not None:
                self._end = max(self._end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            yield packet

    def _decoded(self, packet: av.Packet) -> list[av.VideoFrame]:
        import av

        if packet.is_corrupt:  # at a break, which joined MPEG-TS files have without a loss; decoding tells
            self._breaks += 1
            packet.is_corrupt = False
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            raise self._damaged(error.strerror, packet) from None
        for frame in frames:
            if frame.is_corrupt:
                raise self._damaged('a frame is not whole', packet)
        return frames

    def _damaged(self, why: str, packet: av.Packet) -> PictureError:
        at = '' if self._last is None else f' after {float(self._last):.2f} s'
        return PictureError(f"{self.path}: is damaged{at}: frame {self._frames + 1} can't be decoded ({why})")

    def _take(self, frame: av.VideoFrame) -> None:
        """Count a frame as it is decoded and give it a time where it has none after the last one's."""
        self._frames += 1
        if frame.pts is None:
            frame.pts = frame.dts
        step = 1 / self.rate
        if not frame.time_base:
            frame.time_base = step
        time = None if frame.pts is None else frame.pts * frame.time_base
        if time is None or (self._last is not None and time <= self._last):
            self._untimed += 1
            after = Fraction(0) if self._last is None else self._last + step
            frame.pts = round(after / frame.time_base)
            if self._last is not None and frame.pts * frame.time_base <= self._last:
                frame.pts = self._last // frame.time_base + 1
            time = frame.pts * frame.time_base
        if self._last is not None:
            self._gap = max(self._gap, float((time - self._last) / step))
        self._last = time

    def _checked(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A frame that is of the first one's kind."""
        if matrix(frame) is None:
            raise PictureError(
                f"{self.path}: its colours are stored by FFmpeg's matrix {frame.colorspace}, which can't be converted"
            )
        shape = self.picture.codec_context.sample_aspect_ratio or Fraction(1)
        kind = {
            'size': f'{frame.width}x{frame.height}',
            'turn': str(frame.rotation),
            'depth': f'{max(bits(frame), 8)} bits',
            'chroma': chroma(frame),
            'pixel shape': f'{shape.numerator}:{shape.denominator}',
            'primaries': str(frame.color_primaries),
            'transfer function': str(frame.color_trc),
        }
        if self._kind is None:
            self._kind = kind
        for what, old in self._kind.items():
            if kind[what] != old:
                raise PictureError(
                    f'{self.path}: its {what} changes from {old} to {kind[what]} at {frame.time:.2f} s; cut it there '
                    'into clips of one kind'
                )
        if self._given % _SAMPLED == 0:
            self._carried = side_data(frame)
        self._given += 1
        frame.opaque = dict(self._carried)  # one each: PyAV drops an object with the first frame that has it
        self._lost |= left_out(frame)
        return frame

    def _check_end(self, all_read: bool) -> None:
        """Raise where nothing was seen, or less than there should be.

        Args:
            all_read: whether all streams were, so that the container's duration is that of what was read.
        """
        picture = self.picture
        if not self._frames:
            raise PictureError(f'{self.path}: has no frame that can be read')
        last, step = float(self._last), 1 / float(self.rate)
        if picture.duration:
            end = float(((picture.start_time or 0) + picture.duration) * picture.time_base)
        elif self.source.duration and all_read:
            end, last = self.source.duration / 1e6, self._end
        else:
            return
        if end - last > min(_SLACK, end / 10) + 1.01 * step:
            raise PictureError(f'{self.path}: is cut: its pictures end at {last:.1f} s of {end:.1f}')


@contextmanager
def open_clip(path: str | os.PathLike, note: Note) -> Iterator[Clip]:
    """Open a video file.

    Args:
        path: the file.
        note: see :class:`Clip`.

    Raises:
        PictureError: no such file, no video, or cut.
        MissingPackageError: PyAV is not installed.
    """
    need_av()
    import av

    if not Path(path).is_file():
        raise PictureError(f'{path}: no such file')
    try:
        fault, end_stated = find_fault(path)
    except OSError as error:
        raise PictureError(f"{path}: can't be read ({error.strerror})") from None
    if fault:
        raise PictureError(f'{path}: {fault}')
    try:
        source = av.open(
            f'file:{os.fspath(path)}',  # whatever its name looks like
            options={'format_whitelist': _READERS, 'protocol_whitelist': 'file'},
            metadata_errors='surrogateescape',
            timeout=_STALLED,
        )
    except av.FFmpegError as error:
        raise _unreadable(path, error) from None
    with source:
        clip = Clip(source, path, note)
        if not end_stated:
            clip.note("its container does not say where it ends; if its end was cut off, that can't be seen")
        yield clip


def _still(stream: av.VideoStream) -> bool:
    """Whether a stream of pictures is a cover or thumbnails."""
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _unreadable(path: str | os.PathLike, error: av.FFmpegError) -> PictureError:
    import av

    if isinstance(error, MemoryError):
        return PictureError(f"{path}: can't be read: it asks for more memory than there is")
    if isinstance(error, av.error.ExitError):
        return PictureError(f'{path}: gives nothing for {_STALLED} s')
    return PictureError(f"{path}: can't be read as a video ({error.strerror})")
