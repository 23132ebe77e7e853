"""What a restoration removed from a picture: veil, streaks, noise, blur, blocks of JPEG, or nothing.

The difference d = degraded - restored is decomposed; no second network judges the picture, and none of the measures
depends on the model. All strengths are root mean squares (RMS) over the picture in levels of 8 bits (white is 255), of
the luma of BT.601. With J the restored picture, in blocks of about 256 pixels:

- veil: d in low frequencies, as medians of cells of 16 pixels, smoothed.
- contrast: in bands of the scales < 1, 1-3 and 3-8 pixels, the local gain g of -d with respect to J. A veil lowers the
  contrast of all bands equally, a blur that of fine ones more: blur is the part of d that the excess of a fine band's
  gain over the coarsest band's explains.
- e: what remains of d without the low frequencies and all that the gains explain. Rain and snow are brighter than what
  is behind them, noise has both signs: with P and N the mean squares of the positive and negative values of e, streaks
  have P - N and noise has 2 N.
- blocks: JPEG sets small coefficients of an 8x8 DCT to zero. It is the part of d in coefficients that are nearly zero
  in the degraded picture, less the same for a grid shifted by 4 pixels. Only the grid that begins at the first pixel is
  tried, so blocks of a cropped picture are found as noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from restorebox.inference.files import PictureFile
from restorebox.pixels import WHITE

KINDS = ('veil', 'streaks', 'noise', 'blur', 'blocks', 'other')

# Thresholds. docs/studies/findings.py measures how often they are right; docs/results/findings.json has its table.
NOTHING = 1.0  # levels: a smaller change is not visible, and rounding to 8 bits alone is 0.3
NOTHING_IN_A_BLOCK = 3.0  # levels: the same for each block, for damage in a small part of the picture
LEAST = 0.5  # levels
LEAST_SHARE = 0.2  # of the change: a smaller strength may be a remainder of another kind
ONE_SIGNED = 1.35  # P / N of streaks; clipping at black makes it up to 1.1 for strong noise, errors of blur 1.3
GRID = 2.0  # of the aligned DCT grid's part to the shifted one's; 1.3 at most without JPEG, 3 with quality 60
NOISE_BY_BLUR = 0.5  # noise below this multiple of the blur is the error of the blur's gains
NOISE_BY_STREAKS = 0.6  # and below this multiple of the streaks the scene that opaque streaks hide
NOISE_BY_BLOCKS = 1.5  # quantisation looks like noise of up to 1.35 times the strength of blocks
BLUR_BY_BLOCKS = 1.0  # and like a blur of 0.7 times

BLOCK = 256  # pixels; memory and time depend on the block, not on the picture
MOST_BLOCKS = 64  # four megapixels; of larger pictures a sample is examined
CELL = 16  # pixels
WINDOW = 16.0  # standard deviation in pixels of the window of local gains
NEAR_ZERO = 1.5  # levels: a coefficient that JPEG sets to zero, after rounding of RGB to 8 bits
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_NOISE_IN_FINE_BAND = 0.72  # part of the energy of white noise in the band of scales < 1 pixel
_DCT = np.sqrt(2 / 8) * np.cos(np.pi * np.outer(np.arange(8), 2 * np.arange(8) + 1) / 16)
_DCT[0] = np.sqrt(1 / 8)
_DCT = _DCT.astype(np.float32)


@dataclass(frozen=True)
class Findings:
    """What was found in a picture.

    Attributes:
        change: RMS of restored - degraded over all channels, in levels of 8 bits, at strength 1.
        strengths: kind of ``KINDS`` -> RMS in levels of 8 bits; 'other' has the change if it is no known kind. Empty
            if nothing was found.
    """

    change: float
    strengths: dict[str, float]

    def __str__(self) -> str:
        return ', '.join(f'{kind} {value:.1f}' for kind, value in self.strengths.items()) or 'nothing'


@dataclass
class _Sums:
    """Mean squares of a block, or of all blocks."""

    change: float = 0.0
    veil: float = 0.0
    blur: float = 0.0
    positive: float = 0.0
    negative: float = 0.0
    fine: float = 0.0  # of noise, by the finest band
    aligned: float = 0.0
    shifted: float = 0.0

    def add(self, other: _Sums, weight: float) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + weight * value)


def find_damage(degraded: np.ndarray, restored: np.ndarray, strength: float = 1.0) -> Findings:
    """Decompose what a restoration changed.

    Args:
        degraded: ``(H, W, 3)`` RGB, uint8, uint16, or float in [0, 1]; of more than four megapixels a sample of blocks
            is examined.
        restored: of the same shape and dtype.
        strength: strength of the restoration, above 0; the change is divided by it. Findings of strengths below 0.5 are
            uncertain, since the pictures are rounded.
    """
    total, largest, pixels = _Sums(), 0.0, 0
    for rows, columns in _blocks(*degraded.shape[:2]):
        before = _levels(degraded[rows, columns])
        change = (before - _levels(restored[rows, columns])) / np.float32(strength)
        block = _examined(before @ _LUMA, change @ _LUMA)
        block.change = float(np.mean(np.square(change)))
        largest = max(largest, block.change)
        total.add(block, change.size)
        pixels += change.size
    mean = _Sums()
    mean.add(total, 1 / pixels)
    change = math.sqrt(mean.change)
    if change < NOTHING and math.sqrt(largest) < NOTHING_IN_A_BLOCK:
        return Findings(change, {})
    return Findings(change, _kinds(mean) or {'other': change})


def examine(degraded: PictureFile, restored: PictureFile, strength: float = 1.0) -> Findings:
    """Return the findings in a file: over its pages or frames the largest strength of each kind.

    Args:
        degraded: as read.
        restored: with the same pages.
        strength: see :func:`find_damage`.
    """
    pages = zip(degraded.pages, restored.pages, strict=True)
    each = [find_damage(before.colours, after.colours, strength) for before, after in pages]
    kinds = [kind for kind in KINDS if any(kind in page.strengths for page in each)]
    strengths = {kind: max(page.strengths.get(kind, 0.0) for page in each) for kind in kinds}
    return Findings(max(page.change for page in each), strengths)


def _kinds(mean: _Sums) -> dict[str, float]:
    """Return the kinds that pass the thresholds, with their strengths."""
    veil, blur = math.sqrt(mean.veil), math.sqrt(mean.blur)
    streaks = math.sqrt(mean.positive - mean.negative) if mean.positive > ONE_SIGNED * mean.negative else 0.0
    noise = math.sqrt(min(2 * mean.negative, mean.fine))
    blocks = math.sqrt(max(0.0, mean.aligned - mean.shifted))
    blocks = blocks if mean.aligned > GRID * mean.shifted else 0.0
    candidates = {
        'veil': veil,
        'streaks': streaks,
        'noise': noise
        if noise > max(NOISE_BY_BLUR * blur, NOISE_BY_STREAKS * streaks, NOISE_BY_BLOCKS * blocks)
        else 0.0,
        'blur': blur if blur > BLUR_BY_BLOCKS * blocks else 0.0,
        'blocks': blocks,
    }
    # relative to the change without the veil: a veil hardly changes fine scales, so weak noise is found beside it
    rest = max(0.0, mean.change - mean.veil)
    shares = {kind: mean.change if kind in ('veil', 'streaks') else rest for kind in candidates}
    return {kind: x for kind, x in candidates.items() if x > max(LEAST, LEAST_SHARE * math.sqrt(shares[kind]))}


def _blocks(height: int, width: int) -> list[tuple[slice, slice]]:
    """Return the blocks of a picture, or a sample of ``MOST_BLOCKS``; they begin at multiples of ``CELL``."""

    def edges(length: int) -> list[slice]:
        number = max(1, round(length / BLOCK))
        ends = [length * i // number // CELL * CELL for i in range(number)] + [length]
        return [slice(*pair) for pair in pairwise(ends)]

    blocks = [(rows, columns) for rows in edges(height) for columns in edges(width)]
    if len(blocks) > MOST_BLOCKS:
        rng = np.random.default_rng(0)  # at random, so that no row or column is preferred
        blocks = [blocks[i] for i in rng.choice(len(blocks), MOST_BLOCKS, replace=False)]
    return blocks


def _levels(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) * np.float32(255 / WHITE[picture.dtype.name])


def _smooth(x: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(x, (0, 0), sigma)


def _bands(x: np.ndarray) -> list[np.ndarray]:
    """Split into the scales < 1, 1-3 and 3-8 pixels; coarser ones are left out."""
    scales = [x, *(_smooth(x, sigma) for sigma in (1, 3, 8))]
    return [fine - coarse for fine, coarse in pairwise(scales)]


def _examined(before: np.ndarray, change: np.ndarray) -> _Sums:
    """Measure a block.

    Args:
        before: luma of the degraded picture, ``(h, w)`` float32 in levels.
        change: luma of degraded - restored, likewise.
    """
    height, width = before.shape
    if min(height, width) < 2 * CELL:  # too small for these scales
        return _Sums()
    rows, columns = height // CELL, width // CELL
    cells = change[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    low = _smooth(np.median(cells, axis=(1, 3)), 1)
    rest = change - cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR)
    picture = _bands(before - change)
    # 2 levels^2 keep the gains of flat regions near 0
    parts = _bands(rest)
    gains = [-_smooth(d * j, WINDOW) / (_smooth(j * j, WINDOW) + 2) for d, j in zip(parts, picture, strict=True)]
    coarse = gains[2].clip(0)
    blurred = sum(np.mean(np.square((gains[i] - coarse).clip(0) * picture[i])) for i in (0, 1))
    fine = parts[0] + gains[0] * picture[0]
    rest += sum(gain * j for gain, j in zip(gains, picture, strict=True))
    aligned, shifted = (_zeroed(before[i:, i:], change[i:, i:]) for i in (0, 4))
    return _Sums(
        veil=_mean_square(low),
        blur=float(blurred),
        positive=_mean_square(rest.clip(0)),
        negative=_mean_square(rest.clip(None, 0)),
        fine=2 * _mean_square(fine.clip(None, 0)) / _NOISE_IN_FINE_BAND,
        aligned=aligned,
        shifted=shifted,
    )


def _mean_square(x: np.ndarray) -> float:
    return float(np.mean(np.square(x)))


def _zeroed(before: np.ndarray, change: np.ndarray) -> float:
    """Return the mean square of the change in 8x8 DCT coefficients, without means, that are nearly 0 before."""
    rows, columns = before.shape[0] // 8, before.shape[1] // 8

    def coefficients(x: np.ndarray) -> np.ndarray:
        blocks = x[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3)
        return _DCT @ blocks @ _DCT.T

    energy = np.square(coefficients(change))
    energy[..., 0, 0] = 0
    energy[np.abs(coefficients(before)) >= NEAR_ZERO] = 0
    return float(energy.mean())
