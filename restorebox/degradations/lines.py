"""Drawing of lines, motion-blur kernels and randomly scattered stamps (small images of a streak, flake or drop)."""

from __future__ import annotations

import numpy as np

LARGE = 400  # pixels of a stamp from which adding rectangles is faster than adding single pixels
PIXELS = 2**16  # added at once: index arrays of this length stay in the cache


def soft_line(angle: float, length: float, width: float, margin: int) -> np.ndarray:
    """Return a soft line through the centre of a square of side 2 * margin + 1, float32, 1 on its axis.

    Args:
        angle: degrees from vertical, positive leaning to the right at the top.
        length: in pixels; each end fades out over a quarter of it.
        width: standard deviation of the cross profile, in pixels.
        margin: half the side of the square, in pixels.
    """
    across, along = line_frame(angle, margin)
    line = np.clip((length / 2 - np.abs(along)) / (length / 4), 0, 1) * np.exp(-0.5 * (across / width) ** 2)
    return np.where(line > 1e-3, line, 0).astype(np.float32)  # cut off the tails, so that trimmed() removes the border


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """Return the kernel of a linear motion over ``length`` pixels: an antialiased line with sum 1, square, float32.

    The weight of a pixel is max(0, 1 - its distance to the line), normalised. Arguments as in :func:`soft_line`.
    """
    reach = max(0, (length - 1) / 2)
    across, along = line_frame(angle, int(np.ceil(reach)))
    distance = np.hypot(across, np.maximum(np.abs(along) - reach, 0))
    kernel = np.clip(1 - distance, 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def line_frame(angle: float, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixel coordinates across and along a line through the centre of a square; along increases downwards."""
    x = np.arange(-margin, margin + 1)
    y = x[:, None]
    across_x, across_y = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return x * across_x + y * across_y, y * across_x - x * across_y


def trimmed(stamp: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Crop the zero border of a stamp; return the top and left offset and the cropped stamp."""
    rows, columns = np.flatnonzero(stamp.any(axis=1)), np.flatnonzero(stamp.any(axis=0))
    if not rows.size:
        return 0, 0, stamp[:0, :0]
    top, left = int(rows[0]), int(columns[0])
    return top, left, np.ascontiguousarray(stamp[top : rows[-1] + 1, left : columns[-1] + 1])


def scatter(
    size: tuple[int, int],
    stamps: list[np.ndarray],
    density: float,
    rng: np.random.Generator,
    brightness: float,
    faintest: float = 0.2,
) -> np.ndarray:
    """Return the sum of stamps at random positions.

    This equals a convolution with sparse points, is cheaper than filtering, and is exactly zero elsewhere.
    A higher density with the same generator keeps the positions of the lower one.

    Args:
        size: (height, width) of the picture.
        stamps: squares of the same odd side, float32 >= 0; one is drawn per position.
        density: positions per pixel.
        rng: generator of positions, stamps and brightness.
        brightness: largest brightness factor.
        faintest: smallest brightness factor relative to it; low factors are more frequent.

    Returns:
        HW float32 >= 0, without upper bound.
    """
    (height, width), reach = size, stamps[0].shape[0]
    margin = reach // 2
    # Positions cover the picture and a margin of half a stamp, so that stamps also enter from outside.
    tall, wide = height + 2 * margin, width + 2 * margin
    # One row per position, so that a higher density with the same seed keeps the positions of the lower one.
    places = rng.random((round(density * tall * wide), 4), dtype=np.float32)
    tops, lefts = (places[:, 0] * tall).astype(int), (places[:, 1] * wide).astype(int)
    peaks = brightness * (faintest + (1 - faintest) * places[:, 2] ** 2)
    shapes = (places[:, 3] * len(stamps)).astype(int)
    canvas = np.zeros((tall + 2 * margin, wide + 2 * margin), np.float32)
    large = sum(np.count_nonzero(stamp) for stamp in stamps) > LARGE * len(stamps)
    (_add_rectangles if large else _add_pixels)(canvas, stamps, tops, lefts, peaks, shapes)
    return canvas[2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width]


def _add_rectangles(
    canvas: np.ndarray,
    stamps: list[np.ndarray],
    tops: np.ndarray,
    lefts: np.ndarray,
    peaks: np.ndarray,
    shapes: np.ndarray,
) -> None:
    """Add peak * stamp at each position, one after the other."""
    cut = [trimmed(stamp) for stamp in stamps]
    for top, left, peak, shape in zip(tops.tolist(), lefts.tolist(), peaks.tolist(), shapes.tolist(), strict=True):
        down, right, stamp = cut[shape]
        y, x = top + down, left + right
        canvas[y : y + stamp.shape[0], x : x + stamp.shape[1]] += peak * stamp


def _add_pixels(
    canvas: np.ndarray,
    stamps: list[np.ndarray],
    tops: np.ndarray,
    lefts: np.ndarray,
    peaks: np.ndarray,
    shapes: np.ndarray,
) -> None:
    """Do the same with the pixels of many stamps at once; the order of additions, and so each bit, is the same."""
    flat, across = canvas.reshape(-1), canvas.shape[1]
    places = [np.nonzero(stamp) for stamp in stamps]
    offsets = np.concatenate([y * across + x for y, x in places])
    values = np.concatenate([stamp[place] for stamp, place in zip(stamps, places, strict=True)])
    counts = np.array([y.size for y, _ in places])
    firsts = np.cumsum(counts) - counts
    starts = tops * across + lefts
    several = max(PIXELS // max(int(counts.max()), 1), 1)
    for first in range(0, len(starts), several):
        part = slice(first, first + several)
        repeats = counts[shapes[part]]
        ends = np.cumsum(repeats)
        which = np.arange(ends[-1]) + np.repeat(firsts[shapes[part]] - ends + repeats, repeats)
        where = np.repeat(starts[part], repeats) + offsets[which]
        np.add.at(flat, where, np.repeat(peaks[part], repeats) * values[which])
