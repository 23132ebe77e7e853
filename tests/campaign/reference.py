"""What a picture file is, by Pillow alone: the oracle that the project's own reader is judged by."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

FORMATS = ('JPEG', 'PNG', 'TIFF', 'WEBP', 'AVIF', 'GIF', 'BMP', 'PPM', 'JPEG2000')  # MPO comes as JPEG
LOSS = {'JPEG': 5, 'MPO': 5, 'WEBP': 12, 'AVIF': 7, 'JPEG2000': 4}  # mean difference that encoding once more may make
OUTSIDE = ('F', 'I')  # modes of 32 bits, which are refused


@dataclass
class Frame:
    """A page or frame.

    Attributes:
        colours: ``(H, W, 3)`` RGB, uint8; of deeper files the upper 8 bits.
        alpha: ``(H, W)`` or None.
        deep: whether the file has 16 bits.
        exact: ``(H, W)`` uint16 of grey with 16 bits, or None.
        mode: Pillow's.
    """

    colours: np.ndarray
    alpha: np.ndarray | None
    deep: bool
    exact: np.ndarray | None
    mode: str


@dataclass
class Decoded:
    """A file: its kind and all its frames, or why it can't be decoded.

    Attributes:
        kind: Pillow's.
        frames: all of them.
        reason: why there are none.
        doubtful: whether it is spoilt and Pillow, which reads the upper 8 of 16 bits, may not have seen it.
    """

    kind: str = ''
    frames: list[Frame] | None = None
    reason: str = ''
    doubtful: bool = False


def decode(data: bytes, suffix: str = '') -> Decoded:
    """Decode all frames; ``suffix`` lets TGA in, which has no signature."""
    formats = (*FORMATS, 'TGA') if suffix.lower() == '.tga' else FORMATS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(BytesIO(data), formats=formats) as image:
                kind, frames = image.format, []
                if image.width * image.height > 2 * (1024**3 // 4 // 3):
                    return Decoded(kind, reason='too large')
                for number in range(getattr(image, 'n_frames', 1)):
                    image.seek(number)
                    image.load()
                    frames.append(_frame(image, data))
                return Decoded(kind, frames)
    except Exception as error:  # Pillow raises nearly anything
        return Decoded(reason=f'{type(error).__name__}: {error}')


def _frame(image: Image.Image, data: bytes) -> Frame:
    deep = image.mode.startswith('I;16') or _deep(image, data)
    exact = None
    turned = _upright(image)
    if image.mode.startswith('I'):
        values = np.asarray(turned).astype(np.int64)
        exact = values.astype(np.uint16)
        grey = np.rint(values / 257).clip(0, 255).astype(np.uint8)
        return Frame(np.repeat(grey[..., None], 3, -1), None, deep, exact, image.mode)
    clear = 'transparency' in image.info or image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa')
    array = np.asarray(turned.convert('RGBA' if clear else 'RGB'))
    alpha = np.ascontiguousarray(array[..., 3]) if clear else None
    return Frame(np.ascontiguousarray(array[..., :3]), alpha, deep, exact, image.mode)


def _deep(image: Image.Image, data: bytes) -> bool:
    if image.format == 'PNG':
        return data[24] == 16
    if image.format == 'TIFF':
        return 16 in tuple(image.tag_v2.get(258, ()))
    if image.format == 'PPM':
        return image.mode == 'I' or _largest(data) > 255
    return False


def _largest(data: bytes) -> int:
    words = b' '.join(line.split(b'#')[0] for line in data[:200].split(b'\n')[:6]).split()
    return int(words[3]) if data[1:2] in b'2356' and len(words) > 3 and words[3].isdigit() else 0


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF: as it is stored
        return image.copy()


def difference(was: Decoded, now: Decoded) -> str | None:
    """Why a file does not hold the same pictures as another, None where it does.

    Args:
        was: the original.
        now: what a model that changes nothing has made of it.
    """
    if now.frames is None:
        return f"can't be decoded: {now.reason}"
    if len(was.frames) != len(now.frames):
        return f'has {len(now.frames)} frames, not {len(was.frames)}'
    for number, (old, new) in enumerate(zip(was.frames, now.frames, strict=True)):
        if (fault := _differs(old, new, now.kind)) is not None:
            return f'frame {number} ({old.mode} -> {now.kind} {new.mode}): {fault}'
    return None


def _differs(old: Frame, new: Frame, kind: str) -> str | None:
    if old.colours.shape != new.colours.shape:
        return f'is {new.colours.shape}, not {old.colours.shape}'
    if old.deep and not new.deep:
        return 'has 8 bits, not 16'
    if old.alpha is not None and new.alpha is None:
        return 'has lost its alpha'
    if old.alpha is None and new.alpha is not None and new.alpha.min() < 255:
        return 'has become transparent'
    apart = np.abs(old.colours.astype(int) - new.colours)
    if old.alpha is not None:
        clear = np.abs(old.alpha.astype(int) - new.alpha)
        if clear.max() > (1 if old.deep else 0) + (LOSS.get(kind, 0)):
            return f'its alpha differs by {clear.max()}'
        apart = apart[old.alpha > 0]
    if old.exact is not None and new.exact is not None and (old.exact != new.exact).any():
        return f'its 16 bits differ by {np.abs(old.exact.astype(int) - new.exact).max()}'
    if apart.size and kind in LOSS and apart.mean() > LOSS[kind]:
        return f'differs by {apart.mean():.1f} in the mean'
    if apart.size and kind not in LOSS and apart.max() > (1 if old.deep else 0):
        return f'differs by {apart.max()} at most, {apart.mean():.2f} in the mean'
    return None
