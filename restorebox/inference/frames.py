"""Conversion of video frames to RGB and back, deinterlacing, and side data of frames."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av

UNKNOWN = 2  # FFmpeg's code of an unspecified matrix, primaries or transfer function
BT709, BT601 = 1, 5  # codes of the scaler
_FULL = 2  # FFmpeg's code of full range: 0 to 255 instead of 16 to 235
# FFmpeg's code of a colour matrix -> code of its scaler; the scaler does not support others
_MATRICES = {0: BT709, 1: BT709, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: 9}
# scaler flags: bilinear; for 8 bits also accurate rounding and full chroma, without which errors reach 3 of 255.
# With more bits the default is exact, and these flags give wrong colours in FFmpeg 8
_BILINEAR, _EXACT = 2, 2 | 0x40000 | 0x2000
# side data of frames that is not kept
_LEFT_OUT = {
    'A53_CC': 'closed captions',
    'AFD': 'the active format description',
    'AMBIENT_VIEWING_ENVIRONMENT': 'the ambient viewing environment',
    'DOVI_METADATA': 'Dolby Vision metadata',
    'DOVI_RPU_BUFFER': 'Dolby Vision metadata',
    'DYNAMIC_HDR_PLUS': 'dynamic HDR metadata',
    'DYNAMIC_HDR_VIVID': 'dynamic HDR metadata',
    'GOP_TIMECODE': 'time codes',
    'ICC_PROFILE': 'an ICC profile',
    'S12M_TIMECODE': 'time codes',
    'SPHERICAL': 'the mark of a spherical video',
    'STEREO3D': 'the mark of a stereoscopic video',
}


def bits(frame: av.VideoFrame) -> int:
    """Return the bit depth of a frame."""
    return max(component.bits for component in frame.format.components)


def matrix(frame: av.VideoFrame) -> int | None:
    """Return the scaler's code of a frame's colour matrix, None if unsupported; unspecified ones depend on the size."""
    if frame.colorspace == UNKNOWN:
        return BT709 if frame.width >= 1280 or frame.height > 576 else BT601
    return None if frame.colorspace is None else _MATRICES.get(frame.colorspace)


def stated_matrix(frame: av.VideoFrame) -> int:
    """Return FFmpeg's code of the colour matrix for the header of a clip encoded by :func:`encodable`."""
    if frame.format.is_rgb or frame.colorspace == 0:
        return 6 if matrix(frame) == BT601 else 1
    return frame.colorspace


def full_range(frame: av.VideoFrame) -> bool:
    """Return whether a YUV frame uses the full range instead of 16 to 235."""
    return frame.format.name.startswith('yuvj') or (frame.color_range == _FULL and not frame.format.is_rgb)


def upright(frame: av.VideoFrame) -> np.ndarray:
    """Convert a frame to RGB, rotated and mirrored according to its display matrix.

    Returns:
        ``(H, W, 3)`` RGB, uint8; uint16 where the frame has more than 8 bits.
    """
    deep = bits(frame) > 8
    array: np.ndarray = frame.to_ndarray(
        format='rgb48le' if deep else 'rgb24',
        src_colorspace=matrix(frame),
        dst_colorspace=matrix(frame),
        src_color_range=_FULL if full_range(frame) else None,
        interpolation=_BILINEAR if deep else _EXACT,
    )
    if frame.format.name.startswith('gray') and frame.color_range == 1:  # the scaler assumes full range for grey
        top = 65535 if deep else 255
        array = np.rint((array / top - 16 / 255) * (top * 255 / 219)).clip(0, top).astype(array.dtype)
    a, b, c, d = _orientation(frame)
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    if turned:
        array, a, d = array.swapaxes(0, 1), c, b
    return np.ascontiguousarray(array[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def encodable(array: np.ndarray, like: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """Convert RGB ``(H, W, 3)`` to a frame of a pixel format, with the matrix and range of ``like``."""
    import av

    deep = array.dtype == np.uint16
    return av.VideoFrame.from_ndarray(array, format='rgb48le' if deep else 'rgb24').reformat(
        format=pix_fmt,
        dst_colorspace=matrix(like),
        dst_color_range=_FULL if full_range(like) else 1,
        interpolation=_BILINEAR if deep else _EXACT,
    )


def chroma(frame: av.VideoFrame) -> str:
    """Return the chroma subsampling: ``'420'``, ``'422'``, ``'440'``, ``'444'``, or ``'400'`` for grey."""
    layout = frame.format
    if len(layout.components) < 3 and not layout.is_rgb and not layout.has_palette:
        return '400'
    across, down = layout.chroma_width(64) < 64, layout.chroma_height(64) < 64
    return {(True, True): '420', (True, False): '422', (False, True): '440', (False, False): '444'}[across, down]


def pixel_format(frame: av.VideoFrame, array: np.ndarray) -> str:
    """Return the encoder's pixel format of 8 or 10 bits that keeps the chroma resolution.

    Args:
        frame: decoded frame.
        array: its restored picture, ``(H, W, 3)``.
    """
    height, width = array.shape[:2]
    kind = chroma(frame)
    if swaps_width_and_height(frame):
        kind = {'422': '440', '440': '422'}.get(kind, kind)
    if kind == '440' or width % 2 or (height % 2 and kind != '422'):  # subsampled chroma needs even sizes
        kind = '444'
    kind = kind.replace('400', '420')
    return f'yuv{kind}p10le' if array.dtype == np.uint16 else f'yuv{kind}p'


def swaps_width_and_height(frame: av.VideoFrame) -> bool:
    """Return whether the display matrix exchanges width and height."""
    a, b, c, d = _orientation(frame)
    return abs(b) + abs(c) > abs(a) + abs(d)


def has_oblique_rotation(frame: av.VideoFrame) -> bool:
    """Return whether the display matrix rotates by other than multiples of 90 degrees, which is not supported."""
    a, b, c, d = (abs(each) for each in _orientation(frame))
    return min(a + d, b + c) > 0.01 * max(a + d, b + c)


def _orientation(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Return (a, b, c, d) of the display matrix: x' = ax + cy, y' = bx + dy."""
    data = side_data(frame).get('DISPLAYMATRIX')
    if data is None or len(data) < 36:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack('9i', data[:36])
    return a, b, c, d


def side_data(frame: av.VideoFrame) -> dict[str, bytes]:
    """Return a frame's side data by FFmpeg's names; a dict in ``opaque`` takes precedence.

    Reading side data creates a reference cycle in PyAV, which keeps the frame until garbage collection. So
    :class:`~restorebox.inference.clips.Clip` reads it at intervals and passes it to other frames as ``opaque``.
    """
    if isinstance(frame.opaque, dict):
        return frame.opaque
    found: dict[str, bytes] = {}
    each: Any  # PyAV's stubs say str
    for each in frame.side_data:
        try:
            found[each.type.name] = bytes(each)
        except ValueError:  # a type that this PyAV does not support
            continue
    return found


def left_out(frame: av.VideoFrame) -> set[str]:
    """Return descriptions of a frame's data that is not kept."""
    found = {_LEFT_OUT[each] for each in side_data(frame) if each in _LEFT_OUT}
    if any(component.is_alpha for component in frame.format.components):
        found.add('transparency')
    if has_oblique_rotation(frame):
        found.add('a turn by less than a quarter')
    if bits(frame) > 10:
        found.add(f'{bits(frame) - 10} of {bits(frame)} bits')
    return found


def light_levels(frame: av.VideoFrame) -> str | None:
    """Return static HDR metadata (mastering display, content light level) as x264 parameters, or None."""
    data, words = side_data(frame), []
    mastering = data.get('MASTERING_DISPLAY_METADATA', b'')
    if len(mastering) >= 88:
        *pairs, has_primaries, has_luminance = struct.unpack('22i', mastering[:88])
        values = [n / d if d else math.nan for n, d in zip(pairs[::2], pairs[1::2], strict=True)]
        if has_primaries and has_luminance and all(map(math.isfinite, values)):
            red, green, blue, white = (
                f'({round(x * 50000)},{round(y * 50000)})' for x, y in zip(values[:8:2], values[1:8:2], strict=True)
            )
            low, high = (round(each * 10000) for each in values[8:])
            words.append(f'mastering-display=G{green}B{blue}R{red}WP{white}L({high},{low})')
    light = data.get('CONTENT_LIGHT_LEVEL', b'')
    if len(light) >= 8:
        words.append('cll={},{}'.format(*struct.unpack('2I', light[:8])))
    return ':'.join(words) or None


class Deinterlacer:
    """Deinterlacing of frames marked as interlaced by FFmpeg's bwdif filter, one output frame per input frame.

    Attributes:
        count: number of deinterlaced frames.
    """

    def __init__(self) -> None:
        self.count = 0
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None
        self._clock: Fraction | None = None
        self._single: av.VideoFrame | None = None  # the frame, if the graph has received one only

    def __call__(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """Push a frame, None at the end, and yield finished frames in order; the filter has a delay."""
        kind = None if frame is None else (frame.width, frame.height, frame.format.name)
        if self._graph is not None and kind != self._kind:
            if self._single is not None:  # the filter does not process a single frame, so it is pushed twice
                assert self._single.pts is not None  # set by Clip
                self._single.pts += 1
                self._graph.push(self._single)
            self._graph.push(None)
            frames = list(self._ready(self._graph))
            yield from frames[:1] if self._single is not None else frames
            self._graph = self._single = None
        if frame is None:
            return
        self.count += frame.interlaced_frame
        if self._graph is None and not frame.interlaced_frame:
            yield frame
            return
        self._single = None
        if self._graph is None:
            self._graph, self._kind, self._clock = _bwdif(frame), kind, frame.time_base
            self._single = frame
        self._graph.push(frame)
        yield from self._ready(self._graph)

    def _ready(self, graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
        import av

        while True:
            try:
                frame: Any = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            # the filter halves the time base
            frame.pts, frame.time_base = round(frame.pts * frame.time_base / self._clock), self._clock
            frame.duration //= 2
            yield frame


def _bwdif(frame: av.VideoFrame) -> av.filter.Graph:
    import av

    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add('bwdif', 'mode=send_frame:deint=interlaced'), graph.add('buffersink'))
    graph.configure()
    return graph
