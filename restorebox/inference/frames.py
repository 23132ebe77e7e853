"""Frames of a clip to RGB and back, by the clip's own matrix and range; deinterlacing; what a frame carries besides."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av

UNKNOWN = 2  # of FFmpeg's numbers for matrices, primaries and transfers
BT709, BT601 = 1, 5
_FULL = 2  # of FFmpeg's numbers for ranges: all values of a byte, not 16 to 235
# FFmpeg's number of a matrix -> that of its scaler; all others have no matrix that the scaler knows
_MATRICES = {0: BT709, 1: BT709, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: 9}
# its bilinear scaler; in 8 bits with correct rounding and chroma at full width, without which it is off by up to 3 of
# 255. With more bits its default is right, and these give wrong colours in FFmpeg 8
_BILINEAR, _EXACT = 2, 2 | 0x40000 | 0x2000
# what frames may carry beside their pixels and the new clip does not
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
    """Bits of a channel."""
    return max(component.bits for component in frame.format.components)


def matrix(frame: av.VideoFrame) -> int | None:
    """The scaler's number of a frame's matrix, None for one that it lacks; an unknown one is guessed as players do."""
    if frame.colorspace == UNKNOWN:
        return BT709 if frame.width >= 1280 or frame.height > 576 else BT601
    return _MATRICES.get(frame.colorspace)


def stated_matrix(frame: av.VideoFrame) -> int:
    """FFmpeg's number of the matrix that :func:`encodable` uses, or that none is stated, as in the clip."""
    if frame.format.is_rgb or frame.colorspace == 0:
        return {BT709: 1, BT601: 6}.get(matrix(frame), 1)
    return frame.colorspace


def full_range(frame: av.VideoFrame) -> bool:
    """Whether a frame of luma and chroma uses all values, not those from 16 to 235."""
    return frame.format.name.startswith('yuvj') or (frame.color_range == _FULL and not frame.format.is_rgb)


def upright(frame: av.VideoFrame) -> np.ndarray:
    """A frame's colours, turned and mirrored as its display matrix says.

    Returns:
        ``(H, W, 3)`` RGB, uint8; uint16 where the frame has more than 8 bits.
    """
    deep = bits(frame) > 8
    array = frame.to_ndarray(
        format='rgb48le' if deep else 'rgb24',
        src_colorspace=matrix(frame),
        dst_colorspace=matrix(frame),
        src_color_range=_FULL if full_range(frame) else None,
        interpolation=_BILINEAR if deep else _EXACT,
    )
    if frame.format.name.startswith('gray') and frame.color_range == 1:  # the scaler takes all grey for full range
        top = 65535 if deep else 255
        array = np.rint((array / top - 16 / 255) * (top * 255 / 219)).clip(0, top).astype(array.dtype)
    a, b, c, d = _orientation(frame)
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    if turned:
        array, a, d = array.swapaxes(0, 1), c, b
    return np.ascontiguousarray(array[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def encodable(array: np.ndarray, like: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """RGB -> a frame of a format, with the matrix and range of ``like``."""
    import av

    deep = array.dtype == np.uint16
    return av.VideoFrame.from_ndarray(array, format='rgb48le' if deep else 'rgb24').reformat(
        format=pix_fmt,
        dst_colorspace=matrix(like),
        dst_color_range=_FULL if full_range(like) else 1,
        interpolation=_BILINEAR if deep else _EXACT,
    )


def chroma(frame: av.VideoFrame) -> str:
    """The resolution of a frame's chroma, as stored: ``'420'``, ``'422'``, ``'440'``, ``'444'``; ``'400'`` for grey."""
    layout = frame.format
    if len(layout.components) < 3 and not layout.is_rgb and not layout.has_palette:
        return '400'
    across, down = layout.chroma_width(64) < 64, layout.chroma_height(64) < 64
    return {(True, True): '420', (True, False): '422', (False, True): '440', (False, False): '444'}[across, down]


def pixel_format(frame: av.VideoFrame, array: np.ndarray) -> str:
    """The encoder's format that loses no chroma resolution, in 8 or 10 bits.

    Args:
        frame: as decoded.
        array: what becomes of it, ``(H, W, 3)``.
    """
    height, width = array.shape[:2]
    kind = chroma(frame)
    if turned(frame):
        kind = {'422': '440', '440': '422'}.get(kind, kind)
    if kind == '440' or width % 2 or (height % 2 and kind != '422'):  # halved chroma needs even sides
        kind = '444'
    kind = kind.replace('400', '420')
    return f'yuv{kind}p10le' if array.dtype == np.uint16 else f'yuv{kind}p'


def turned(frame: av.VideoFrame) -> bool:
    """Whether the display matrix exchanges width and height."""
    a, b, c, d = _orientation(frame)
    return abs(b) + abs(c) > abs(a) + abs(d)


def oblique(frame: av.VideoFrame) -> bool:
    """Whether the display matrix turns by an angle that is no quarter turn, which :func:`upright` does not."""
    a, b, c, d = (abs(each) for each in _orientation(frame))
    return min(a + d, b + c) > 0.01 * max(a + d, b + c)


def _orientation(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of x' = ax + cy, y' = bx + dy, by which a stored pixel is shown."""
    data = side_data(frame).get('DISPLAYMATRIX')
    if data is None or len(data) < 36:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack('9i', data[:36])
    return a, b, c, d


def side_data(frame: av.VideoFrame) -> dict[str, bytes]:
    """What a frame carries beside its pixels, by FFmpeg's names, or what its ``opaque`` says that it carries.

    PyAV ties a frame whose side data was read to itself, so that it stays until Python's collector comes by. Whoever
    goes through a clip reads them now and then and gives them to the other frames as ``opaque``.
    """
    if isinstance(frame.opaque, dict):
        return frame.opaque
    found = {}
    for each in frame.side_data:
        try:
            found[each.type.name] = bytes(each)
        except ValueError:  # a kind that is newer than PyAV
            continue
    return found


def left_out(frame: av.VideoFrame) -> set[str]:
    """What a frame carries that the new clip has not, in words."""
    found = {_LEFT_OUT[each] for each in side_data(frame) if each in _LEFT_OUT}
    if any(component.is_alpha for component in frame.format.components):
        found.add('transparency')
    if oblique(frame):
        found.add('a turn by less than a quarter')
    if bits(frame) > 10:
        found.add(f'{bits(frame) - 10} of {bits(frame)} bits')
    return found


def light_levels(frame: av.VideoFrame) -> str | None:
    """HDR's static metadata (mastering display, content light level) as x264's parameters, or None without any."""
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
    """FFmpeg's bwdif for the frames that say that they are interlaced: one progressive frame for each, at its time.

    Attributes:
        count: frames that were deinterlaced.
    """

    def __init__(self) -> None:
        self.count = 0
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None
        self._clock: Fraction | None = None
        self._single: av.VideoFrame | None = None  # the only one so far that the graph got

    def __call__(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """Frames that are ready, in order; None for the end. The filter needs each frame's neighbours."""
        kind = None if frame is None else (frame.width, frame.height, frame.format.name)
        if self._graph is not None and kind != self._kind:
            if self._single is not None:  # the filter lets a frame pass that is all alone
                self._single.pts += 1
                self._graph.push(self._single)
            self._graph.push(None)
            frames = list(self._ready())  # one, or two
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
        yield from self._ready()

    def _ready(self) -> Iterator[av.VideoFrame]:
        import av

        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            frame.pts, frame.time_base = round(frame.pts * frame.time_base / self._clock), self._clock  # it halves both
            frame.duration //= 2
            yield frame


def _bwdif(frame: av.VideoFrame) -> av.filter.Graph:
    import av

    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add('bwdif', 'mode=send_frame:deint=interlaced'), graph.add('buffersink'))
    graph.configure()
    return graph
