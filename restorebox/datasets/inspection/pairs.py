"""Check that a degraded picture and its clean partner show the same scene, without a shift or flip.

Two questions at two scales. Whether the scene is the same is asked of 32x32 pictures, where noise, rain and JPEG have
been averaged away; whether it is at the same place, of the middle window at full size.

Thresholds come from 141 published pairs (rain of four sets, haze real and rendered, real camera noise, and mixtures of
blur, noise and JPEG). Correlation at 32x32 is 0.70 or more for all of them, and 0.29 or less for all 19,000 wrong
partners. Their shifts at full size are 0.9 pixels or less. A nearly empty scene under heavy rain is unlike itself at
32x32, but its few edges still correlate best where they are: by 0.13 or more, and 0.04 above every other shift, while
of 950 wrong pairs none has both 0.1 and 0.03.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import fft

from restorebox.datasets.inspection.luminance import centre, correlation, detail, shrunk, soft

SCENE = 32  # pixels of the small pictures
SCENE_SIGMA = 2.0
SAME_SCENE = 0.4  # correlation from which on it is the same scene
OTHER_SCENE = 0.3  # and under which it is another one
FLAT = 0.5  # grey levels: detail of a 32x32 picture with less is not enough to tell
MOVED_SCENE = 0.65  # correlation at the best of all shifts from which on it is the same scene, far shifted
MOVED_CELLS = 5  # shifts searched at 32x32, in cells
WINDOW = 512  # pixels looked at for small shifts
SEARCH = 16  # pixels
SHIFTED = 1.5  # pixels
SHIFT_PEAK = 0.35  # correlation that a shift must reach to be believed
SHIFT_GAIN = 0.03  # and by how much it must be better than no shift
ENOUGH_DETAIL = 0.2  # share of the window that must have detail for a shift to be measured
HERE = 0.12  # correlation of detail without a shift that tells a scene under heavy rain
HERE_GAIN = 0.03  # and by how much it must be above that of all shifts of more than APART pixels
APART = 6
SAME_SHAPE = 1.05  # proportions that differ by more are another section
SMALLEST = 24  # pixels; less is not looked at


@dataclass(frozen=True)
class PairFacts:
    """How a degraded picture and its clean partner go together.

    Args:
        scene: correlation of both at 32x32, or None where one is too flat or too small to tell.
        moved: the same at the best of all shifts, where ``scene`` is low.
        cells: that shift (down, right) of the degraded picture, in parts of the picture's height and width.
        shift: shift (down, right) of the degraded picture in pixels, or None where none could be measured.
        peak: correlation at that shift.
        gain: by how much it is better than no shift.
        here: where ``scene`` is low, whether detail says all the same that both show the same place.
    """

    scene: float | None
    moved: float = 0.0
    cells: tuple[float, float] = (0.0, 0.0)
    shift: tuple[float, float] | None = None
    peak: float = 0.0
    gain: float = 0.0
    here: bool = False

    @property
    def is_shifted(self) -> bool:
        """Whether a shift of more than a pixel is certain enough to be said."""
        far = self.shift is not None and float(np.hypot(*self.shift)) >= SHIFTED
        return far and self.peak >= SHIFT_PEAK and self.gain >= SHIFT_GAIN


def scene_of(plane: np.ndarray) -> np.ndarray | None:
    """Detail of a picture at 32x32, from HW luminance in [0, 255]; None where it is too flat or too small to tell."""
    if min(plane.shape) < SMALLEST:
        return None
    scene = detail(shrunk(plane, SCENE), SCENE_SIGMA)
    return scene if float(scene.std()) >= FLAT else None


def compare(lq: np.ndarray, gt: np.ndarray) -> PairFacts:
    """Compare the luminance of a degraded picture and of its clean partner.

    Args:
        lq: HW float32 in [0, 255].
        gt: HW float32 in [0, 255]; where the size differs only the scene is compared, and nothing where the proportions
            do, since both do not show the same section then.
    """
    degraded, clean = scene_of(lq), scene_of(gt)
    stretch = (lq.shape[0] * gt.shape[1]) / max(1, lq.shape[1] * gt.shape[0])
    if degraded is None or clean is None or not 1 / SAME_SHAPE < stretch < SAME_SHAPE:
        return PairFacts(scene=None)
    scene = correlation(degraded, clean)
    moved, cells = (0.0, (0, 0)) if scene >= SAME_SCENE else _best_shift(degraded, clean, MOVED_CELLS)
    facts = PairFacts(scene=scene, moved=moved, cells=(cells[0] / SCENE, cells[1] / SCENE))
    if lq.shape != gt.shape:
        return facts
    (fine_lq, has_lq), (fine_gt, has_gt) = (_even_detail(centre(plane, WINDOW)) for plane in (lq, gt))
    reach = min(SEARCH, min(lq.shape) // 4)
    surface = _surface(fine_lq, fine_gt, reach)
    if scene < SAME_SCENE:
        facts = replace(facts, here=_stands_out(surface))
    if min(has_lq, has_gt) < ENOUGH_DETAIL or max(scene, moved) < SAME_SCENE:
        return facts
    peak, shift = _peak(surface)
    return replace(facts, shift=shift, peak=peak, gain=peak - float(surface[reach, reach]))


def _even_detail(plane: np.ndarray) -> tuple[np.ndarray, float]:
    """Detail of 2 to 8 pixels, of even strength over the picture: one strong edge would speak for all of it.

    Returns:
        The detail, and the share of the picture that has any.
    """
    band = soft(plane, 2.0) - soft(plane, 8.0)
    strength = np.sqrt(soft(band * band, 8.0))
    return band / (strength + max(0.5, 0.2 * float(strength.mean()))), float((strength > 0.5).mean())


def _stands_out(surface: np.ndarray) -> bool:
    """Whether the correlation without a shift is higher than with any other, neighbours apart."""
    reach = surface.shape[0] // 2
    middle = float(surface[reach - 1 : reach + 2, reach - 1 : reach + 2].max())
    others = surface.copy()
    others[reach - APART : reach + APART + 1, reach - APART : reach + APART + 1] = -1.0
    return middle >= HERE and middle - float(others.max()) >= HERE_GAIN


def _best_shift(a: np.ndarray, b: np.ndarray, reach: int) -> tuple[float, tuple[float, float]]:
    """Best correlation of the part that both share, over all shifts of up to ``reach`` pixels, and that shift."""
    best, where = -1.0, (0, 0)
    height, width = a.shape
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            mine = a[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
            other = b[max(0, -down) : height + min(0, -down), max(0, -right) : width + min(0, -right)]
            value = correlation(mine, other)
            if value > best:
                best, where = value, (down, right)
    return best, where


def _surface(a: np.ndarray, b: np.ndarray, reach: int) -> np.ndarray:
    """Normalised correlation for all shifts of ``a`` by up to ``reach`` pixels: (2 reach + 1, 2 reach + 1) float."""
    taper = np.outer(*(np.hanning(n + 2)[1:-1] ** 0.25 for n in a.shape))  # borders without a partner count less
    a, b = a * taper, b * taper
    shape = tuple(fft.next_fast_len(n + reach, real=True) for n in a.shape)
    product = fft.irfft2(fft.rfft2(a, shape) * np.conj(fft.rfft2(b, shape)), shape)
    power = float((a * a).sum()) * float((b * b).sum())
    return np.roll(product, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1] / max(power, 1e-12) ** 0.5


def _peak(surface: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Height and place of the highest point, counted from the middle; a parabola tells parts of a pixel."""
    place = np.unravel_index(int(surface.argmax()), surface.shape)
    reach = surface.shape[0] // 2
    shift = []
    for axis, k in enumerate(place):
        line = surface[:, place[1]] if axis == 0 else surface[place[0]]
        part = 0.0
        if 0 < k < 2 * reach:
            low, top, high = (float(line[k + step]) for step in (-1, 0, 1))
            bend = low - 2 * top + high
            part = 0.5 * (low - high) / bend if bend < 0 else 0.0
        shift.append(float(k) - reach + part)
    return float(surface.max()), (shift[0], shift[1])


def mirrored(scene: np.ndarray, other: np.ndarray) -> str | None:
    """How one 32x32 scene must be turned to be the other, in words, or None where that does not help."""
    turns = {
        'mirrored left to right': scene[:, ::-1],
        'mirrored top to bottom': scene[::-1],
        'turned by 180 degrees': scene[::-1, ::-1],
        'turned by 90 degrees': cv2.rotate(scene, cv2.ROTATE_90_CLOCKWISE),
        'turned by 270 degrees': cv2.rotate(scene, cv2.ROTATE_90_COUNTERCLOCKWISE),
    }
    best = max(turns, key=lambda name: correlation(turns[name], other))
    return best if correlation(turns[best], other) >= MOVED_SCENE else None
