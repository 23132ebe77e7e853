"""Near-duplicates between two sets of pictures: re-encoded, resized, or cropped by a few percent.

A perceptual hash finds candidates: the signs of 63 low-frequency DCT coefficients of a 32x32 picture. It is computed
for the whole picture and for 18 windows, so that a cropped picture matches a window of the original. Candidates are
then aligned, and the correlation of their detail decides. A fingerprint has 152 bytes.

Thresholds: 366 photographs were cropped by up to 5 percent per side, resized, and compressed as JPEG down to quality
20. All of these are within a distance of 12 of the original and have a correlation of at least 0.84. Of 67,000 pairs of
different photographs, 10 to 20 are within 12 or 13, and none within 15 has a correlation above 0.5.

Overlapping crops of one scene are not near-duplicates: one picture must contain nearly all of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from restorebox.datasets.inspection.luminance import correlation, detail, resized

BASE_SIZE = 128  # pixels: size of the picture from which windows are cropped
WINDOWS = [(0, 0, BASE_SIZE)] + [  # top, left, size: the whole picture, then nine positions of each size
    (top, left, size)
    for size in (123, 115)
    for top in (0, (BASE_SIZE - size) // 2, BASE_SIZE - size)
    for left in (0, (BASE_SIZE - size) // 2, BASE_SIZE - size)
]
MIN_STD = 2.5  # grey levels at 32x32; the hash of a flatter picture is random
MAX_DISTANCE = 12  # differing bits of 63
MAX_CANDIDATES = 6  # compared per picture, in order of distance
ALIGN_SIZE = 96  # pixels: size at which candidates are aligned
MIN_SIMILARITY = 0.75  # correlation of aligned detail from which two pictures are near-duplicates
MAX_ASPECT_CHANGE = 1.15  # largest ratio of horizontal to vertical scale
MIN_DETAIL = 0.3  # grey levels; with less detail there is nothing to compare
MIN_OVERLAP = 0.9  # fraction of one of the pictures that the other must contain
CHUNK = 2**18  # fingerprints compared at once

_BIT_COUNTS = np.array([bin(i).count('1') for i in range(256)], np.uint8)  # number of set bits of each byte


@dataclass(frozen=True)
class Match:
    """A candidate: index of a picture of the first set and of the second set."""

    first: int
    second: int


def fingerprint(plane: np.ndarray) -> np.ndarray | None:
    """Return the hashes of a picture and of its windows.

    Args:
        plane: HW float32 luminance in [0, 255].

    Returns:
        (19,) uint64, the whole picture first; None if the picture is too flat.
    """
    base = resized(plane, BASE_SIZE)
    tiles = [resized(base[top : top + size, left : left + size], 32) for top, left, size in WINDOWS]
    if float(tiles[0].std()) < MIN_STD:
        return None
    coefficients = fft.dctn(np.stack(tiles), axes=(1, 2))[:, :8, :8].reshape(len(tiles), -1)
    coefficients[:, 0] = -1.0  # the mean does not identify a picture
    return np.packbits(coefficients > 0, axis=1).view(np.uint64)[:, 0].copy()


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Hamming distance in bits of two broadcastable uint64 arrays."""
    differing = a ^ b
    if hasattr(np, 'bitwise_count'):  # numpy 2
        return np.bitwise_count(differing)
    return _BIT_COUNTS[differing[..., None].view(np.uint8)].sum(axis=-1, dtype=np.uint8)


def candidates(first: np.ndarray, second: np.ndarray) -> Iterator[Match]:
    """Yield pairs within ``MAX_DISTANCE``, at most ``MAX_CANDIDATES`` per picture of ``second``, nearest first.

    Args:
        first: (n, 19) uint64, e.g. of the training set.
        second: (m, 19) uint64, e.g. of the test set.
    """
    if not len(first):
        return
    for j, hashes in enumerate(second):
        distances_found, indices_found = [], []
        for begin in range(0, len(first), CHUNK):
            part = first[begin : begin + CHUNK]
            distance = _distance(part[:, 0], hashes[0])
            for k in range(1, len(WINDOWS)):
                np.minimum(distance, _distance(part[:, k], hashes[0]), out=distance)
                np.minimum(distance, _distance(part[:, 0], hashes[k]), out=distance)
            hits = np.flatnonzero(distance <= MAX_DISTANCE)
            distances_found.append(distance[hits])
            indices_found.append(hits + begin)
        distances, indices = np.concatenate(distances_found), np.concatenate(indices_found)
        for k in np.argsort(distances, kind='stable')[:MAX_CANDIDATES]:
            yield Match(int(indices[k]), j)


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of the detail of two aligned pictures, in [-1, 1].

    It is 0 if neither picture contains the other, or if there is too little detail.

    Args:
        a: HW float32 luminance in [0, 255].
        b: HW float32 luminance in [0, 255]; its size may differ.
    """
    a, b = resized(a, ALIGN_SIZE), resized(b, ALIGN_SIZE)
    best = 0.0
    for warp in _initial_warps():
        best = max(best, _aligned_correlation(a, b, warp))
        if best >= MIN_SIMILARITY:
            break
    return best


def _initial_warps() -> Iterator[np.ndarray]:
    """Yield initial 2x3 affine matrices: identity, then a crop of the centre or a corner of either picture."""
    yield np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32)
    for scale in (0.92, 1 / 0.92):
        margin = ALIGN_SIZE * (1 - scale)
        for down, right in ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1)):
            yield np.array([[scale, 0, margin * right], [0, scale, margin * down]], dtype=np.float32)


def _aligned_correlation(a: np.ndarray, b: np.ndarray, warp: np.ndarray) -> float:
    """Align two pictures, starting from an affine matrix, and correlate the detail of their overlap."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    coarse_a, coarse_b = detail(a, 8.0), detail(b, 8.0)
    try:
        for blur in (7, 3):
            # OpenCV accepts a mask of None, its type stub with a filter size does not
            _, warp = cv2.findTransformECC(coarse_a, coarse_b, warp, cv2.MOTION_AFFINE, stop, None, blur)  # type: ignore[call-overload]
    except cv2.error:  # it did not converge
        return 0.0
    (scale_x, shear_x), (shear_y, scale_y) = warp[:, :2].tolist()
    aspect_change = scale_x / max(scale_y, 1e-6)
    if max(abs(shear_x), abs(shear_y)) > 0.05 or not 1 / MAX_ASPECT_CHANGE < aspect_change < MAX_ASPECT_CHANGE:
        return 0.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(b, warp, (ALIGN_SIZE, ALIGN_SIZE), flags=flags, borderMode=cv2.BORDER_REFLECT)
    overlap = cv2.warpAffine(np.ones_like(b), warp, (ALIGN_SIZE, ALIGN_SIZE), flags=flags) > 0.5
    share_a = float(overlap.mean())
    share_b = share_a * abs(float(np.linalg.det(warp[:, :2])))
    if max(share_a, share_b) < MIN_OVERLAP or min(share_a, share_b) < 0.5:
        return 0.0
    inner = cv2.erode(overlap.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    detail_a, detail_b = detail(a, 3.0)[inner], detail(warped, 3.0)[inner]
    if min(detail_a.std(), detail_b.std()) < MIN_DETAIL:
        return 0.0
    return correlation(detail_a, detail_b)


def stack_fingerprints(fingerprints: Sequence[np.ndarray | None]) -> tuple[np.ndarray, list[int]]:
    """Stack the fingerprints that are not None: (n, 19) uint64, and their n indices in the input."""
    kept = [(i, hashes) for i, hashes in enumerate(fingerprints) if hashes is not None]
    if not kept:
        return np.empty((0, len(WINDOWS)), np.uint64), []
    return np.stack([hashes for _, hashes in kept]), [i for i, _ in kept]
