"""Reading and writing of picture files with their metadata.

Colours go through the network; alpha channel, ICC profile, EXIF and other metadata are copied. Grey files stay grey;
all pages and frames are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from restorebox.datasets.decoding import MAX_PIXELS, Frame
from restorebox.datasets.formats import FORMATS, is_deep, sniff, suffix_kind
from restorebox.datasets.reading import picture_size, read_frames
from restorebox.errors import PictureError, out_of_memory
from restorebox.inference.encoding import QUALITY, encode
from restorebox.inference.metadata import Metadata, read_metadata
from restorebox.pixels import to_uint8, to_uint16
from restorebox.storage import RemotePath, write

__all__ = ['PictureFile', 'Timing', 'naming_note', 'picture_size', 'read_file', 'target_name', 'write_file']

_PIXELS = frozenset({'exact', 'deep', 'alpha', 'pages', 'frames'})
_NAMES = {'exif': 'EXIF', 'xmp': 'XMP', 'iptc': 'IPTC', 'density': 'resolution', 'profile': 'ICC profile'}
_NAMES |= {'loop': 'loop count', 'still': 'still picture beside an animation'}


@dataclass(frozen=True)
class Timing:
    """Timing of an animation.

    Attributes:
        durations: of the frames, in milliseconds.
        plays: number of repetitions; 0 for infinite.
        still_first: whether the first picture is a fallback for viewers without animation.
    """

    durations: tuple[float, ...]
    plays: int = 0
    still_first: bool = False

    def names(self) -> set[str]:
        """Return the names of what only some formats hold, as in :class:`~restorebox.datasets.formats.Format`."""
        return ({'loop'} if self.plays else set()) | ({'still'} if self.still_first else set())


@dataclass
class PictureFile:
    """Picture with the metadata of its file.

    Attributes:
        colours: ``(H, W, 3)`` RGB, upright; uint8 or uint16 from files, float32 in [0, 1] from arrays.
        alpha: ``(H, W)`` of the same dtype, or None.
        grey: whether the file has a single colour channel.
        profile: ICC profile, or None.
        metadata: EXIF, XMP, resolution, comments etc., valid for the upright picture.
        more: further pages or frames.
        timing: timing of an animation, or None.
        kind: file format, a key of :data:`~restorebox.datasets.formats.FORMATS`; '' for arrays.
        notes: one line for each thing that could not be kept.
    """

    colours: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    profile: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    more: list[PictureFile] = field(default_factory=list)
    timing: Timing | None = None
    kind: str = ''
    notes: list[str] = field(default_factory=list)

    @property
    def layers(self) -> np.ndarray:
        """Array of all channels: ``(H, W)`` grey, ``(H, W, 2)`` grey and alpha, ``(H, W, 3)`` or ``(H, W, 4)``."""
        colours = self.colours
        if self.grey:
            mean = colours.mean(-1, keepdims=True, dtype=np.float32)
            colours = mean if colours.dtype == np.float32 else np.rint(mean).astype(colours.dtype)
        if self.alpha is not None:
            colours = np.concatenate((colours, self.alpha[..., None]), -1)
        return colours[..., 0] if colours.shape[-1] == 1 else colours

    @property
    def pages(self) -> list[PictureFile]:
        """All pages or frames, this one first."""
        return [self, *self.more]

    def restored(self, network: Callable[[np.ndarray], np.ndarray]) -> PictureFile:
        """Return a copy with a function ``(H, W, 3)`` -> ``(H, W, 3)`` applied to the colours of each page."""
        more = [replace(page, colours=network(page.colours)) for page in self.more]
        return replace(self, colours=network(self.colours), more=more)

    def in_8_bits(self) -> PictureFile:
        """Return a copy of which all pages have 8 bits per channel."""

        def page(picture: PictureFile) -> PictureFile:
            alpha = None if picture.alpha is None else to_uint8(picture.alpha)
            return replace(picture, colours=to_uint8(picture.colours), alpha=alpha)

        return replace(page(self), more=[page(each) for each in self.more])


def read_file(path: str | Path | RemotePath, max_pixels: int = MAX_PIXELS) -> PictureFile:
    """Read a picture file with its metadata and all its pages or frames.

    Args:
        path: the file.
        max_pixels: maximum number of pixels over all pages.

    Raises:
        PictureError: see :func:`restorebox.datasets.reading.read_picture`.
    """
    kind, frames = read_frames(path, max_pixels)
    clear = 'frames' in FORMATS[kind].holds and any(frame.picture.shape[-1] == 4 for frame in frames)
    pages = [_page(frame, kind, clear) for frame in frames]
    first = pages[0]
    first.more = pages[1:]
    first.notes = list(dict.fromkeys(note for page in pages for note in page.notes))
    if first.more and 'frames' in FORMATS[kind].holds:
        first.timing = _timing(frames, kind)
    return first


def _page(frame: Frame, kind: str, clear: bool) -> PictureFile:
    """Convert a decoded frame; ``clear`` adds an alpha channel, as other frames of the animation have one."""
    picture = frame.picture
    if picture.dtype != np.uint8:
        picture = to_uint16(picture)
    alpha = np.ascontiguousarray(picture[..., 3]) if picture.shape[-1] == 4 else None
    if clear and alpha is None:
        alpha = np.full(picture.shape[:2], np.iinfo(picture.dtype).max, picture.dtype)
    what, notes = read_metadata(frame, kind)
    return PictureFile(
        colours=np.ascontiguousarray(picture[..., :3]),
        alpha=alpha,
        grey=frame.mode in ('1', 'L', 'LA', 'I') or frame.mode.startswith('I;16'),
        profile=frame.profile,
        metadata=what,
        kind=kind,
        notes=[*frame.notes, *notes],
    )


def _timing(frames: list[Frame], kind: str) -> Timing:
    """Return the timing of an animation; GIF counts repetitions after the first, PNG and WebP count all."""
    first = frames[0].info
    still = kind == 'PNG' and bool(first.get('default_image'))
    plays = first.get('loop', 1 if kind == 'GIF' else 0)
    if kind == 'GIF' and 'loop' in first and plays:
        plays += 1
    moving = frames[1:] if still else frames
    return Timing(tuple(float(frame.info.get('duration') or 0) for frame in moving), int(plays), still)


def target_name(name: str, head: bytes = b'') -> str:
    """Return the name of the output file: the input's name if its format can hold the result, else with a suffix added.

    Args:
        name: file name without folders.
        head: first bytes of the file, from which its format is detected; without them the name is trusted.

    Returns:
        ``name``, or ``name`` with the suffix of the detected format added. ``.png`` is added for formats that are not
        written: GIF (limited to 256 colours), HEIF (read only) and unknown ones.
    """
    suffix = Path(name).suffix
    named = suffix_kind(suffix)
    kind = sniff(head, suffix) or named
    deeper = kind is not None and is_deep(head, kind)
    if kind == named:
        return name if named is not None and FORMATS[named].written and not deeper else f'{name}.png'
    assert kind is not None  # otherwise `named` is None as well
    needs = (FORMATS[kind].holds & (_PIXELS | {'exif', 'profile'})) | ({'deep'} if deeper else set())
    if kind == 'JPEG':  # multi-picture JPEGs are rare; write_file reports what the other format can't hold
        needs -= {'pages'}
    if named is not None and FORMATS[named].written and needs <= FORMATS[named].holds:
        return name
    if not FORMATS[kind].written or deeper or (named is None and needs <= FORMATS['PNG'].holds):
        return f'{name}.png'
    return f'{name}{FORMATS[kind].suffixes[0]}'


def naming_note(name: str, head: bytes, target: str) -> str | None:
    """Return a line about a file whose format differs from its suffix, or None."""
    named, kind = suffix_kind(Path(name).suffix), sniff(head, Path(name).suffix)
    return None if kind in (None, named) or named is None else f'is a {kind} inside; written as {target}'


def write_file(picture: PictureFile, path: str | Path | RemotePath, quality: int = QUALITY) -> list[str]:
    """Write a picture with all pages or frames in the format of the suffix, by an atomic write.

    Args:
        picture: the picture.
        path: the file.
        quality: of JPEG, WebP and AVIF, 1 to 100.

    Returns:
        One line for each kind of metadata that the format can't hold.

    Raises:
        PictureError: the format can't hold 16 bits, alpha, several pages or frames, or so large a picture.
        OSError: the disk is full or not writable; its ``filename`` is ``path``.
    """
    suffix = Path(path).suffix.lower()
    kind = suffix_kind(suffix)
    if kind is None or not FORMATS[kind].written:
        raise PictureError(f'{path}: {suffix or "no suffix"} is no kind that is written; name it .png')
    holds = FORMATS[kind].holds
    deep = any(page.colours.dtype == np.uint16 for page in picture.pages)
    if deep and 'deep' not in holds:
        raise PictureError(f'{path}: {suffix} files hold 8 bits and the picture has 16; name it .png')
    if any(page.alpha is not None for page in picture.pages) and 'alpha' not in holds:
        raise PictureError(f"{path}: {suffix} files can't hold the alpha that the picture has; name it .png")
    several, better = ('frames', '.png') if picture.timing else ('pages', '.tif')
    if picture.more and several not in holds:
        raise PictureError(
            f"{path}: {suffix} files can't hold the {len(picture.pages)} {several} that it has; name it {better}"
        )
    lost = picture.metadata.names() | ({'profile'} if picture.profile else set())
    if picture.timing:
        lost |= picture.timing.names()
        if picture.timing.still_first and 'still' not in holds:
            picture = _without_still(picture, picture.timing)
    try:
        data = encode(picture.pages, kind, quality)
    except (ValueError, RuntimeError, OSError, MemoryError) as error:  # such as a size beyond the format's limit
        if out_of_memory(error):
            raise MemoryError(f'{path}: the memory is not enough to write it') from None
        raise PictureError(
            f"{path}: can't be written as {suffix} ({' '.join(str(error).split())}); name it .png"
        ) from None
    write(path, data)
    named = [_NAMES.get(each, each) for each in sorted(lost - holds)]
    return [f'{suffix} files hold no {" and no ".join(named)}: left out'] if named else []


def _without_still(picture: PictureFile, timing: Timing) -> PictureFile:
    """Return an animation without the still picture in front, of which it keeps profile and metadata."""
    first, *more = picture.more
    timing = replace(timing, still_first=False)
    return replace(first, profile=picture.profile, metadata=picture.metadata, more=more, timing=timing)
