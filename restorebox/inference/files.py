"""Picture files in and out: what a file has besides its colours is kept.

Colours go through the network; alpha, ICC profile, EXIF and what else a file carries are handed on. A grey file stays
grey; all pages and frames are kept.
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
from restorebox.files import write_whole
from restorebox.inference.encoding import encode
from restorebox.inference.metadata import Carried, carried
from restorebox.pixels import to_uint16

__all__ = ['PictureFile', 'Timing', 'naming_note', 'picture_size', 'read_file', 'target_name', 'write_file']

_PIXELS = frozenset({'deep', 'alpha', 'pages', 'frames'})
_NAMES = {'exif': 'EXIF', 'xmp': 'XMP', 'iptc': 'IPTC', 'density': 'resolution', 'profile': 'ICC profile'}


@dataclass(frozen=True)
class Timing:
    """How an animation plays.

    Attributes:
        durations: of its frames, in milliseconds.
        plays: how often; 0 for ever.
        still_first: whether its first picture is shown only where animations are not.
    """

    durations: tuple[float, ...]
    plays: int = 0
    still_first: bool = False


@dataclass
class PictureFile:
    """A picture and what its file has besides.

    Attributes:
        colours: ``(H, W, 3)`` RGB, upright; uint8 or uint16 of files, float32 in [0, 1] of arrays.
        alpha: ``(H, W)`` of the same kind, or None.
        grey: whether the file has one channel of colour.
        profile: ICC profile, or None.
        carried: EXIF, XMP, resolution, comments, ...; true of the picture upright.
        more: the pages or frames behind it.
        timing: of an animation.
        kind: of the file, a key of :data:`~restorebox.datasets.formats.FORMATS`; '' of an array.
        notes: what could not be kept, one line each.
    """

    colours: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    profile: bytes | None = None
    carried: Carried = field(default_factory=Carried)
    more: list[PictureFile] = field(default_factory=list)
    timing: Timing | None = None
    kind: str = ''
    notes: list[str] = field(default_factory=list)

    @property
    def layers(self) -> np.ndarray:
        """What a file holds: ``(H, W)`` grey, ``(H, W, 2)`` with alpha, ``(H, W, 3)`` or ``(H, W, 4)``."""
        colours = self.colours
        if self.grey:
            mean = colours.mean(-1, keepdims=True, dtype=np.float32)
            colours = mean if colours.dtype == np.float32 else np.rint(mean).astype(colours.dtype)
        if self.alpha is not None:
            colours = np.concatenate((colours, self.alpha[..., None]), -1)
        return colours[..., 0] if colours.shape[-1] == 1 else colours

    @property
    def pages(self) -> list[PictureFile]:
        """This one and those behind it."""
        return [self, *self.more]

    def restored(self, network: Callable[[np.ndarray], np.ndarray]) -> PictureFile:
        """The same with all pages' colours as a function makes them of theirs: ``(H, W, 3)`` -> ``(H, W, 3)``."""
        more = [replace(page, colours=network(page.colours)) for page in self.more]
        return replace(self, colours=network(self.colours), more=more)


def read_file(path: str | Path, max_pixels: int = MAX_PIXELS) -> PictureFile:
    """Read a picture of any usual kind with what its file has besides, all its pages or frames.

    Args:
        path: the file.
        max_pixels: that all of them may have together.

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
    """One picture of a file; with alpha where another frame of the animation has it."""
    picture = frame.picture
    if picture.dtype != np.uint8:
        picture = to_uint16(picture)
    alpha = np.ascontiguousarray(picture[..., 3]) if picture.shape[-1] == 4 else None
    if clear and alpha is None:
        alpha = np.full(picture.shape[:2], np.iinfo(picture.dtype).max, picture.dtype)
    what, notes = carried(frame, kind)
    return PictureFile(
        colours=np.ascontiguousarray(picture[..., :3]),
        alpha=alpha,
        grey=frame.mode in ('1', 'L', 'LA', 'I') or frame.mode.startswith('I;16'),
        profile=frame.profile,
        carried=what,
        kind=kind,
        notes=[*frame.notes, *notes],
    )


def _timing(frames: list[Frame], kind: str) -> Timing:
    """How an animation plays, in the terms of PNG and WebP: GIF counts how often it is played again."""
    first = frames[0].info
    still = kind == 'PNG' and bool(first.get('default_image'))
    plays = first.get('loop', 1 if kind == 'GIF' else 0)
    if kind == 'GIF' and 'loop' in first and plays:
        plays += 1
    moving = frames[1:] if still else frames
    return Timing(tuple(float(frame.info.get('duration') or 0) for frame in moving), int(plays), still)


def target_name(name: str, head: bytes = b'') -> str:
    """The file that a picture is restored into: its own name where that can hold it, else with a suffix more.

    Args:
        name: of the file, without folders.
        head: its first bytes, by which what is in it is known where the name says something else. Without them the name
            is believed.

    Returns:
        ``name``; or with the suffix of what is in it behind, or with ``.png`` where that is a kind that is not written:
        GIF, of which the 256 colours are too few for what a network makes, HEIF, which is read alone, unknown ones.
    """
    suffix = Path(name).suffix
    named = suffix_kind(suffix)
    kind = sniff(head, suffix) or named
    deeper = kind is not None and is_deep(head, kind)
    if kind == named:
        return name if named is not None and FORMATS[named].written and not deeper else f'{name}.png'
    needs = (FORMATS[kind].holds & (_PIXELS | {'exif', 'profile'})) | ({'deep'} if deeper else set())
    if kind == 'JPEG':  # several pictures in one are rare; what would take them to another kind says so
        needs -= {'pages'}
    if named is not None and FORMATS[named].written and needs <= FORMATS[named].holds:
        return name
    if not FORMATS[kind].written or deeper or (named is None and needs <= FORMATS['PNG'].holds):
        return f'{name}.png'
    return f'{name}{FORMATS[kind].suffixes[0]}'


def naming_note(name: str, head: bytes, target: str) -> str | None:
    """A line about a file that is of another kind than its name says, or None."""
    named, kind = suffix_kind(Path(name).suffix), sniff(head, Path(name).suffix)
    return None if kind in (None, named) or named is None else f'is a {kind} inside; written as {target}'


def write_file(picture: PictureFile, path: str | Path) -> list[str]:
    """Write a picture in the format that the name asks for, whole or not at all, with all its pages or frames.

    Returns:
        What was left out since the format can't hold it, one line each; none where a file keeps its kind.

    Raises:
        PictureError: the format can't hold 16 bits, alpha, several pages or frames, or so large a picture.
        OSError: the disk is full or not writable; its ``filename`` is ``path``.
    """
    path = Path(path)
    suffix = path.suffix.lower()
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
    try:
        data = encode(picture.pages, kind)
    except (ValueError, RuntimeError, OSError, MemoryError) as error:  # a format's largest size, for example
        if out_of_memory(error):
            raise MemoryError(f'{path}: the memory is not enough to write it') from None
        raise PictureError(
            f"{path}: can't be written as {suffix} ({' '.join(str(error).split())}); name it .png"
        ) from None
    write_whole(path, data)
    lost = picture.carried.names() | ({'profile'} if picture.profile else set())
    named = [_NAMES.get(each, each) for each in sorted(lost - holds)]
    return [f'{suffix} files hold no {" and no ".join(named)}: left out'] if named else []
