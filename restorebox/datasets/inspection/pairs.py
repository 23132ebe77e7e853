"""Comparison of a degraded picture with its clean partner: same scene, shift, flip.

The scenes are compared at 32x32, where noise, rain and JPEG artefacts are averaged out. Shifts are measured in a centre
crop at full resolution.

The thresholds come from 141 published pairs: rain of four sets, real and rendered haze, real camera noise, and mixtures
of blur, noise and JPEG. At 32x32 all of them have a correlation of at least 0.70, and all 19,000 wrong combinations at
most 0.29. Their shifts at full resolution are at most 0.9 pixels.

A nearly empty scene under heavy rain has a low correlation at 32x32. Its few edges still have their highest correlation
at zero shift: at least 0.13, and at least 0.04 above all other shifts. Of 950 wrong pairs none reaches both 0.1 and
0.03.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import fft

from restorebox.datasets.inspection.luminance import blurred, centre_crop, correlation, detail, resized

SCENE = 32  # pixels: size at which scenes are compared
SCENE_SIGMA = 2.0
SAME_SCENE = 0.4  # correlation above which a pair shows the same scene
OTHER_SCENE = 0.3  # correlation below which a pair shows different scenes
MIN_STD = 0.5  # grey levels: a 32x32 picture with less detail is not compared
SHIFTED_SCENE = 0.65  # correlation at the best shift above which it is the same scene with a large shift
SCENE_REACH = 5  # pixels: largest shift searched at 32x32
WINDOW = 512  # pixels: size of the centre crop in which small shifts are measured
REACH = 16  # pixels: largest shift searched at full resolution
MIN_SHIFT = 1.5  # pixels: smaller shifts are not reported
SHIFT_PEAK = 0.35  # correlation that a reported shift must have
SHIFT_GAIN = 0.03  # and by how much it must exceed the correlation at zero shift
MIN_DETAIL = 0.2  # fraction of the crop that must have detail for a shift to be measured
ALIGNED_PEAK = 0.12  # correlation of detail at zero shift that identifies a scene under heavy rain
ALIGNED_GAIN = 0.03  # and by how much it must exceed that of all shifts of more than PEAK_RADIUS pixels
PEAK_RADIUS = 6
MAX_ASPECT_CHANGE = 1.05  # pictures whose aspect ratios differ by a larger factor are not compared
MIN_SIZE = 24  # pixels: smaller pictures are not compared


@dataclass(frozen=True)
class PairComparison:
    """Comparison of a degraded picture with its clean partner.

    Args:
        correlation: correlation of both at 32x32; None if one of them is too flat or too small.
        shifted_correlation: highest correlation over all shifts at 32x32, computed if ``correlation`` is low.
        relative_shift: that shift (down, right) of the degraded picture, as fractions of height and width.
        shift: shift (down, right) of the degraded picture in pixels; None if it could not be measured.
        peak: correlation at that shift.
        gain: ``peak`` minus the correlation at zero shift.
        aligned: whether fine detail shows that the scenes agree although ``correlation`` is low.
    """

    correlation: float | None
    shifted_correlation: float = 0.0
    relative_shift: tuple[float, float] = (0.0, 0.0)
    shift: tuple[float, float] | None = None
    peak: float = 0.0
    gain: float = 0.0
    aligned: bool = False

    @property
    def is_suspicious(self) -> bool:
        """Whether the pictures do not seem to show the same scene at the same position."""
        return self.correlation is not None and self.correlation < SAME_SCENE and not self.aligned

    @property
    def is_shifted(self) -> bool:
        """Whether a shift of at least ``MIN_SHIFT`` pixels was measured reliably."""
        far = self.shift is not None and float(np.hypot(*self.shift)) >= MIN_SHIFT
        return far and self.peak >= SHIFT_PEAK and self.gain >= SHIFT_GAIN


def scene_of(plane: np.ndarray) -> np.ndarray | None:
    """Return the detail at 32x32 of HW luminance in [0, 255]; None if the picture is too flat or too small."""
    if min(plane.shape) < MIN_SIZE:
        return None
    scene = detail(resized(plane, SCENE), SCENE_SIGMA)
    return scene if float(scene.std()) >= MIN_STD else None


def compare(lq: np.ndarray, gt: np.ndarray) -> PairComparison:
    """Compare the luminance of a degraded picture and of its clean partner.

    Args:
        lq: HW float32 in [0, 255].
        gt: HW float32 in [0, 255]. If the sizes differ, shifts are not measured. If the aspect ratios differ, the
            pictures are crops of different regions and nothing is compared.
    """
    degraded, clean = scene_of(lq), scene_of(gt)
    stretch = (lq.shape[0] * gt.shape[1]) / max(1, lq.shape[1] * gt.shape[0])
    if degraded is None or clean is None or not 1 / MAX_ASPECT_CHANGE < stretch < MAX_ASPECT_CHANGE:
        return PairComparison(correlation=None)
    value = correlation(degraded, clean)
    shifted, (down, right) = (0.0, (0, 0)) if value >= SAME_SCENE else _best_shift(degraded, clean, SCENE_REACH)
    result = PairComparison(value, shifted_correlation=shifted, relative_shift=(down / SCENE, right / SCENE))
    if lq.shape != gt.shape:
        return result
    (detail_lq, share_lq), (detail_gt, share_gt) = (
        _normalised_detail(centre_crop(plane, WINDOW)) for plane in (lq, gt)
    )
    reach = min(REACH, min(lq.shape) // 4)
    surface = _correlation_surface(detail_lq, detail_gt, reach)
    if value < SAME_SCENE:
        result = replace(result, aligned=_is_aligned(surface))
    if min(share_lq, share_gt) < MIN_DETAIL or max(value, shifted) < SAME_SCENE:
        return result
    peak, shift = _peak(surface)
    return replace(result, shift=shift, peak=peak, gain=peak - float(surface[reach, reach]))


def _normalised_detail(plane: np.ndarray) -> tuple[np.ndarray, float]:
    """Return band-pass detail of 2 to 8 pixels, divided by its local strength so that no single edge dominates.

    Returns:
        The detail, and the fraction of the picture that has any.
    """
    band = blurred(plane, 2.0) - blurred(plane, 8.0)
    strength = np.sqrt(blurred(band * band, 8.0))
    return band / (strength + max(0.5, 0.2 * float(strength.mean()))), float((strength > 0.5).mean())


def _is_aligned(surface: np.ndarray) -> bool:
    """Return whether the correlation has a clear peak at zero shift."""
    reach = surface.shape[0] // 2
    peak = float(surface[reach - 1 : reach + 2, reach - 1 : reach + 2].max())
    others = surface.copy()
    others[reach - PEAK_RADIUS : reach + PEAK_RADIUS + 1, reach - PEAK_RADIUS : reach + PEAK_RADIUS + 1] = -1.0
    return peak >= ALIGNED_PEAK and peak - float(others.max()) >= ALIGNED_GAIN


def _best_shift(a: np.ndarray, b: np.ndarray, reach: int) -> tuple[float, tuple[int, int]]:
    """Return the highest correlation of the overlap over all shifts of up to ``reach`` pixels, and (down, right)."""
    best, shift = -1.0, (0, 0)
    height, width = a.shape
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            overlap_a = a[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
            overlap_b = b[max(0, -down) : height + min(0, -down), max(0, -right) : width + min(0, -right)]
            value = correlation(overlap_a, overlap_b)
            if value > best:
                best, shift = value, (down, right)
    return best, shift


def _correlation_surface(a: np.ndarray, b: np.ndarray, reach: int) -> np.ndarray:
    """Return the normalised correlation for all shifts of ``a`` by up to ``reach`` pixels.

    Returns:
        (2 reach + 1, 2 reach + 1) float; zero shift is at the centre.
    """
    taper = np.outer(*(np.hanning(n + 2)[1:-1] ** 0.25 for n in a.shape))  # borders do not overlap: lower weight
    a, b = a * taper, b * taper
    shape = tuple(fft.next_fast_len(n + reach, real=True) for n in a.shape)
    product = fft.irfft2(fft.rfft2(a, shape) * np.conj(fft.rfft2(b, shape)), shape)
    power = float((a * a).sum()) * float((b * b).sum())
    return np.roll(product, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1] / max(power, 1e-12) ** 0.5


def _peak(surface: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the maximum of a correlation surface and its shift (down, right), refined by fitting parabolas."""
    index = np.unravel_index(int(surface.argmax()), surface.shape)
    reach = surface.shape[0] // 2
    shift = []
    for axis, k in enumerate(index):
        line = surface[:, index[1]] if axis == 0 else surface[index[0]]
        offset = 0.0
        if 0 < k < 2 * reach:
            low, top, high = (float(line[k + step]) for step in (-1, 0, 1))
            curvature = low - 2 * top + high
            offset = 0.5 * (low - high) / curvature if curvature < 0 else 0.0
        shift.append(float(k) - reach + offset)
    return float(surface.max()), (shift[0], shift[1])


def find_flip(scene: np.ndarray, other: np.ndarray) -> str | None:
    """Return the flip or rotation that maps one 32x32 scene to the other, as text; None if there is none."""
    candidates = {
        'mirrored left to right': scene[:, ::-1],
        'mirrored top to bottom': scene[::-1],
        'turned by 180 degrees': scene[::-1, ::-1],
        'turned by 90 degrees': cv2.rotate(scene, cv2.ROTATE_90_CLOCKWISE),
        'turned by 270 degrees': cv2.rotate(scene, cv2.ROTATE_90_COUNTERCLOCKWISE),
    }
    best = max(candidates, key=lambda name: correlation(candidates[name], other))
    return best if correlation(candidates[best], other) >= SHIFTED_SCENE else None
