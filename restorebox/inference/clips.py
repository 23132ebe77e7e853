"""Reading of video files through PyAV, with checks that frames are complete, in order and of one format."""

from __future__ import annotations

import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebox.datasets.decoding import MAX_PIXELS
from restorebox.errors import PictureError, missing_package
from restorebox.inference.containers import demuxers, find_fault
from restorebox.inference.frames import Deinterlacer, bits, chroma, left_out, matrix, side_data

if TYPE_CHECKING:
    import av

_READ_TIMEOUT = 60  # seconds without a packet
_MAX_EMPTY_PACKETS = 600  # consecutive video packets without a frame
_END_TOLERANCE = 0.5  # seconds (or a tenth of the clip) that may be missing at the end of a complete clip
# codecs with one frame per packet, unless packets are single fields of an interlaced clip
_ONE_FRAME_PER_PACKET = ('av1', 'h264', 'hevc', 'libdav1d', 'mjpeg', 'mpeg2video', 'prores')
_SIDE_DATA_INTERVAL = 100  # frames between two reads of side data
_PACKET_BYTES = 8  # of packets per byte of the file; an index may name the same bytes again and again
_AUDIO_PREROLL = 0.1  # seconds of audio kept before the start of an edit list, for the decoder's start-up
Note = Callable[[str], None]


class ClipWarning(UserWarning):
    """A clip is restored, but some of its data is changed or not kept."""


class FrameSizeError(PictureError):
    """The frames of a video have more pixels than the limit.

    Args:
        path: the video.
        size: (width, height) of its frames; (0, 0): not stated, since none was decoded below the limit.
        limit: maximum number of pixels.
    """

    def __init__(self, path: str | os.PathLike, size: tuple[int, int], limit: int) -> None:
        self.size = size
        frames = f'frames of {size[0]}x{size[1]} have' if all(size) else "frames can't be decoded, or have"
        super().__init__(
            f'{path}: its {frames} more pixels than the limit of {limit}, which --max-pixels (max_pixels in Python) '
            'sets'
        )


def warn(line: str) -> None:
    """Issue a note as a Python warning, see :data:`Note`."""
    warnings.warn(line, ClipWarning, stacklevel=3)


def need_av() -> None:
    """Check that PyAV is installed.

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
        source: the open container.
        path: its file.
        note: called with a line for each thing that is changed or not kept.
        max_pixels: maximum number of pixels of a frame.

    Attributes:
        picture: the video stream to restore: the first that is not a cover picture.
        rate: frames per second, for frames without time stamps.

    Raises:
        PictureError: there is no video stream, or only a cover; or its frames are too large.
    """

    def __init__(
        self, source: av.container.InputContainer, path: str | os.PathLike, note: Note, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.source, self.path, self._note = source, path, note
        pictures = [stream for stream in source.streams.video if not _is_cover(stream)]
        if not pictures:
            raise PictureError(f'{path}: has no pictures in it' + (' but a cover' if source.streams.video else ''))
        self.picture: av.VideoStream = pictures[0]
        if self.picture.codec_context is None:
            raise PictureError(f"{path}: its pictures can't be decoded (FFmpeg does not know their codec)")
        self.picture.thread_type = 'AUTO'
        self._max_pixels = max_pixels
        self._check_size(self.picture.codec_context)
        options = _size_limit(max_pixels)  # for sizes that change later
        if self.picture.codec_context.name == 'h264':  # report slices with excess bits as damaged
            options['err_detect'] = 'aggressive'
        self.picture.codec_context.options = options
        self.rate = Fraction(self.picture.average_rate or self.picture.guessed_rate or 25)
        self._frames = 0
        self._last: Fraction | None = None  # time of the last frame
        self._end = 0.0  # end time of the last packet of any stream that is read
        self._untimed = self._breaks = 0
        self._gap = 1.0  # largest frame interval, in units of the mean interval
        self._kind: dict[str, str] | None = None
        self._yielded = 0
        self._side_data: dict[str, bytes] = {}
        self._lost: set[str] = set()
        if self.picture.metadata.get('alpha_mode', '0') != '0':  # VP8 and VP9, whose decoders drop it
            self._lost.add('transparency')

    def _check_size(self, of: av.VideoFrame | av.VideoCodecContext) -> None:
        if of.width * of.height > self._max_pixels:
            raise FrameSizeError(self.path, (of.width, of.height), self._max_pixels)

    def note(self, fact: str) -> None:
        """Issue a note about this clip."""
        self._note(f'{self.path}: {fact}')

    def read(self, copied: Sequence[av.stream.Stream] = ()) -> Iterator[av.VideoFrame | av.Packet]:
        """Yield the frames of :attr:`picture` and the packets of other streams.

        Frames are progressive, of one format and at increasing times.

        Args:
            copied: the other streams.

        Raises:
            PictureError: the file is damaged or truncated, reading makes no progress, or a frame differs from the first
                in size, depth, pixel shape or colour space.
        """
        deinterlace, empty, packets, key = Deinterlacer(), 0, 0, False
        early: list[Fraction] = []  # times of packets before the first decoded frame
        untimed: Counter[int] = Counter()  # packets of the other streams, by index
        broken: Counter[int] = Counter()
        stamps: deque[int] | None = deque() if self.source.format.name == 'avi' else None
        streams = [self.picture, *copied]
        packet: Any  # PyAV's stubs make times optional also where `pts` is known
        for packet in self._packets(streams):
            if packet.stream is not self.picture:
                if packet.is_discard and packet.pts * packet.time_base < -_AUDIO_PREROLL:  # excluded by an edit list
                    continue
                index = packet.stream.index
                broken[index] += packet.is_corrupt
                untimed[index] += packet.dts is None and packet.size > 0
                if packet.dts is not None:
                    yield packet
                continue
            if not packet.size and packet.dts is not None:  # AVI repeats a frame by an empty packet
                continue
            key = key or packet.is_keyframe
            if packet.size and not packet.is_discard:
                packets += 1
                if not self._frames and packet.pts is not None:
                    early.append(packet.pts * packet.time_base)
            frames = self._decoded(packet) if key or not packet.size else []
            empty = 0 if frames else empty + 1
            if empty > _MAX_EMPTY_PACKETS:
                raise PictureError(f'{self.path}: {empty} packets in a row give no picture')
            if stamps is not None and packet.size:  # AVI has only chunk times, in decoding order
                stamps.append(packet.dts)
            for frame in frames:
                if stamps:
                    frame.pts = stamps.popleft()
                self._count(frame)
                if self._frames == 1:
                    first = self._last or Fraction(0)  # set by _count
                    early = [time for time in early if time < first]
                for ready in deinterlace(frame):
                    yield self._check_frame(ready)
        for ready in deinterlace(None):
            yield self._check_frame(ready)
        every = (*self.source.streams.video, *self.source.streams.audio)
        self._check_end(all_read=all(stream in streams for stream in every))
        one_each = self.picture.codec_context.name in _ONE_FRAME_PER_PACKET and not (deinterlace.count or self._untimed)
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
        left = _PACKET_BYTES * os.path.getsize(self.path) + 2**20
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                raise _unreadable(self.path, error) from None
            left -= packet.size
            if left < 0:
                more = f'more than {_PACKET_BYTES} times as many bytes as the file'
                raise PictureError(f'{self.path}: is damaged: its packets have {more}')
            if packet.pts is not None:
                self._end = max(self._end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            yield packet

    def _decoded(self, packet: av.Packet) -> list[av.VideoFrame]:
        import av

        if packet.is_corrupt:  # a discontinuity, as in joined MPEG-TS files; decoding shows whether data is lost
            self._breaks += 1
            packet.is_corrupt = False
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            if not self._frames and not self.picture.codec_context.width:  # also not by FFmpeg when it opened the file
                raise FrameSizeError(self.path, (0, 0), self._max_pixels) from None
            raise self._damaged(str(error.strerror), packet) from None
        for frame in frames:
            if frame.is_corrupt:
                raise self._damaged('a frame is not whole', packet)
        return frames

    def _damaged(self, why: str, packet: av.Packet) -> PictureError:
        at = '' if self._last is None else f' after {float(self._last):.2f} s'
        return PictureError(f"{self.path}: is damaged{at}: frame {self._frames + 1} can't be decoded ({why})")

    def _count(self, frame: av.VideoFrame) -> None:
        """Count a decoded frame, and set its time if it is missing or not after the previous one."""
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

    def _check_frame(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame after checking that its format is that of the first one."""
        self._check_size(frame)
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
        if self._yielded % _SIDE_DATA_INTERVAL == 0:
            self._side_data = side_data(frame)
        self._yielded += 1
        frame.opaque = dict(self._side_data)  # a copy each: PyAV releases the object with the first frame
        self._lost |= left_out(frame)
        return frame

    def _check_end(self, all_read: bool) -> None:
        """Check that there were frames and that they reach the stated duration.

        Args:
            all_read: whether all streams were read, so that the container's duration applies.
        """
        picture: Any = self.picture  # PyAV's stubs make the time base optional
        if not self._frames or self._last is None:
            raise PictureError(f'{self.path}: has no frame that can be read')
        last, step = float(self._last), 1 / float(self.rate)
        if picture.duration:
            end = float(((picture.start_time or 0) + picture.duration) * picture.time_base)
        elif self.source.duration and all_read:
            end, last = self.source.duration / 1e6, self._end
        else:
            return
        if end - last > min(_END_TOLERANCE, end / 10) + 1.01 * step:
            raise PictureError(f'{self.path}: is cut: its pictures end at {last:.1f} s of {end:.1f}')


@contextmanager
def open_clip(path: str | os.PathLike, note: Note, max_pixels: int = MAX_PIXELS) -> Iterator[Clip]:
    """Open a video file.

    Args:
        path: the file.
        note, max_pixels: see :class:`Clip`.

    Raises:
        PictureError: no such file, not a video, truncated, or with frames that are too large.
        MissingPackageError: PyAV is not installed.
    """
    need_av()
    import av

    if not Path(path).is_file():
        raise PictureError(f'{path}: no such file')
    try:
        fault, end_stated = find_fault(path)
        allowed = demuxers(path)
    except OSError as error:
        raise PictureError(f"{path}: can't be read ({error.strerror})") from None
    if fault:
        raise PictureError(f'{path}: {fault}')
    try:
        source = av.open(
            f'file:{os.fspath(path)}',  # so that the name is never parsed as a URL
            # FFmpeg decodes frames of some codecs to find their size
            options={'format_whitelist': allowed, 'protocol_whitelist': 'file', **_size_limit(max_pixels)},
            metadata_errors='surrogateescape',
            timeout=_READ_TIMEOUT,
        )
    except av.FFmpegError as error:
        raise _unreadable(path, error) from None
    with source:
        clip = Clip(source, path, note, max_pixels)
        if not end_stated:
            clip.note("its container does not say where it ends; if its end was cut off, that can't be seen")
        yield clip


def _size_limit(max_pixels: int) -> dict[str, str]:
    """Return the decoder's option for at most ``max_pixels`` per frame; FFmpeg counts the pixels of aligned rows."""
    return {'max_pixels': str(min(2 * max_pixels + 2**16, 2**31 - 1))}


def _is_cover(stream: av.VideoStream) -> bool:
    """Return whether a video stream is a cover picture or thumbnails."""
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _unreadable(path: str | os.PathLike, error: av.FFmpegError) -> PictureError:
    import av

    if isinstance(error, MemoryError):
        return PictureError(f"{path}: can't be read: it asks for more memory than there is")
    if isinstance(error, av.error.ExitError):
        return PictureError(f'{path}: gives nothing for {_READ_TIMEOUT} s')
    return PictureError(f"{path}: can't be read as a video ({error.strerror})")
