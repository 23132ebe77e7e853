"""Near-duplicates between two sets of pictures: re-encoded, resized, or cropped by a few percent.

A perceptual hash finds candidates: 63 signs of the low frequencies of a 32x32 picture, of the whole picture and of 18
windows of it, so that a picture which was cropped resembles a window of the other one. Candidates are then aligned and
their detail is correlated, which decides. A picture is 152 bytes, a comparison of two of them 38 exclusive-ors.

Thresholds: of 366 photographs with random crops of up to 5 percent a side, resizing and JPEG down to quality 20 all
are within a distance of 12 and correlate with 0.84 or more; of the 67,000 pairs of different photographs 10 to 20 are
within 12 or 13, and none of those within 15 correlates with more than 0.5.

Two windows of one scene that overlap are not the same picture: one of a pair must lie nearly whole inside the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from restorebox.datasets.inspection.luminance import correlation, detail, shrunk

BASE = 128  # pixels from which windows are cut
WINDOWS = [(0, 0, BASE)] + [  # top, left, size: the whole, then nine places of each size
    (top, left, size)
    for size in (123, 115)
    for top in (0, (BASE - size) // 2, BASE - size)
    for left in (0, (BASE - size) // 2, BASE - size)
]
FLAT = 2.5  # grey levels at 32x32; the hash of a flatter picture is chance
DISTANCE = 12  # of 63 signs
CANDIDATES = 6  # looked at for each picture, nearest first
ALIGN = 96  # pixels at which candidates are aligned
SAME_PICTURE = 0.75  # correlation of aligned detail
STRETCH = 1.15  # proportions may change by this much, and nothing be turned
DETAIL = 0.3  # grey levels of detail; with less there is nothing to compare
INSIDE = 0.9  # share of one of both that must lie inside the other
CHUNK = 2**18  # pictures compared at a time

_BITS = np.array([bin(i).count('1') for i in range(256)], np.uint8)


@dataclass(frozen=True)
class Match:
    """Picture ``first`` of one set is a near-duplicate of picture ``second`` of the other, by their indices."""

    first: int
    second: int
    distance: int


def fingerprint(plane: np.ndarray) -> np.ndarray | None:
    """Hashes of a picture and of its windows.

    Args:
        plane: HW float32 luminance in [0, 255].

    Returns:
        (19,) uint64, the whole picture first; None where it is too flat to be told from others.
    """
    base = shrunk(plane, BASE)
    tiles = [shrunk(base[top : top + size, left : left + size], 32) for top, left, size in WINDOWS]
    if float(tiles[0].std()) < FLAT:
        return None
    waves = fft.dctn(np.stack(tiles), axes=(1, 2))[:, :8, :8].reshape(len(tiles), -1)
    waves[:, 0] = -1.0  # the mean is no sign of anything
    return np.packbits(waves > 0, axis=1).view(np.uint64)[:, 0].copy()


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differing signs of two broadcastable uint64 arrays."""
    differing = a ^ b
    if hasattr(np, 'bitwise_count'):  # numpy 2
        return np.bitwise_count(differing)
    return _BITS[differing[..., None].view(np.uint8)].sum(axis=-1, dtype=np.uint8)


def candidates(first: np.ndarray, second: np.ndarray) -> Iterator[Match]:
    """Pairs within ``DISTANCE``, for each picture of ``second`` at most ``CANDIDATES`` of the nearest.

    Args:
        first: (n, 19) uint64, e.g. of the training set.
        second: (m, 19) uint64, e.g. of the test set.
    """
    if not len(first):
        return
    for j, hashes in enumerate(second):
        near_all, at = [], []
        for begin in range(0, len(first), CHUNK):
            part = first[begin : begin + CHUNK]
            near = _distance(part[:, 0], hashes[0])
            for k in range(1, len(WINDOWS)):
                np.minimum(near, _distance(part[:, k], hashes[0]), out=near)
                np.minimum(near, _distance(part[:, 0], hashes[k]), out=near)
            hits = np.flatnonzero(near <= DISTANCE)
            near_all.append(near[hits])
            at.append(hits + begin)
        distances, places = np.concatenate(near_all), np.concatenate(at)
        for k in np.argsort(distances, kind='stable')[:CANDIDATES]:
            yield Match(int(places[k]), j, int(distances[k]))


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of the detail of two pictures after aligning them, in [-1, 1].

    0 where neither lies inside the other, or where there is not enough detail to tell.

    Args:
        a: HW float32 luminance in [0, 255].
        b: the same, of any size.
    """
    a, b = shrunk(a, ALIGN), shrunk(b, ALIGN)
    best = 0.0
    for start in _starts():
        best = max(best, _aligned(a, b, start))
        if best >= SAME_PICTURE:
            break
    return best


def _starts() -> Iterator[np.ndarray]:
    """First guesses: the same frame; each the middle of the other; each a corner of the other."""
    yield np.float32([[1, 0, 0], [0, 1, 0]])
    for scale in (0.92, 1 / 0.92):
        room = ALIGN * (1 - scale)
        for down, right in ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1)):
            yield np.float32([[scale, 0, room * right], [0, scale, room * down]])


def _aligned(a: np.ndarray, b: np.ndarray, start: np.ndarray) -> float:
    warp = start.copy()
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    coarse_a, coarse_b = detail(a, 8.0), detail(b, 8.0)
    try:
        for blur in (7, 3):
            warp = cv2.findTransformECC(coarse_a, coarse_b, warp, cv2.MOTION_AFFINE, stop, None, blur)[1]
    except cv2.error:  # it did not converge
        return 0.0
    (across, turn), (tilt, along) = warp[:, :2].tolist()
    if max(abs(turn), abs(tilt)) > 0.05 or not 1 / STRETCH < across / max(along, 1e-6) < STRETCH:
        return 0.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(b, warp, (ALIGN, ALIGN), flags=flags, borderMode=cv2.BORDER_REFLECT)
    shared = cv2.warpAffine(np.ones_like(b), warp, (ALIGN, ALIGN), flags=flags) > 0.5
    of_a = float(shared.mean())
    of_b = of_a * abs(float(np.linalg.det(warp[:, :2])))
    if max(of_a, of_b) < INSIDE or min(of_a, of_b) < 0.5:
        return 0.0
    inner = cv2.erode(shared.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    mine, other = detail(a, 3.0)[inner], detail(moved, 3.0)[inner]
    if min(mine.std(), other.std()) < DETAIL:
        return 0.0
    return correlation(mine, other)


def stacked(prints: Sequence[np.ndarray | None]) -> tuple[np.ndarray, list[int]]:
    """Fingerprints of the pictures that have one: (n, 19) uint64, and the index of each."""
    kept = [i for i, hashes in enumerate(prints) if hashes is not None]
    if not kept:
        return np.empty((0, len(WINDOWS)), np.uint64), []
    return np.stack([prints[i] for i in kept]), kept
