"""Lines that streaks, flakes and shaken cameras are made of."""

from __future__ import annotations

import numpy as np


def soft_line(angle: float, length: float, width: float, margin: int) -> np.ndarray:
    """A soft line through the middle of a square of 2 * margin + 1 pixels, float32, 1 along its axis.

    Args:
        angle: degrees from vertical, positive leaning to the right at the top.
        length: in pixels; an end fades over a quarter of it.
        width: standard deviation of the profile across, in pixels.
        margin: half the side of the square.
    """
    across, along = line_frame(angle, margin)
    line = np.clip((length / 2 - np.abs(along)) / (length / 4), 0, 1) * np.exp(-0.5 * (across / width) ** 2)
    return np.where(line > 1e-3, line, 0).astype(np.float32)  # no faint tails over the whole square


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """What a point becomes that moves evenly over ``length`` pixels: an antialiased line of sum 1, float32, square.

    A pixel weighs what its distance to the line leaves of one pixel. Arguments as in :func:`soft_line`.
    """
    reach = max(0, (length - 1) / 2)
    across, along = line_frame(angle, int(np.ceil(reach)))
    distance = np.hypot(across, np.maximum(np.abs(along) - reach, 0))
    kernel = np.clip(1 - distance, 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def line_frame(angle: float, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates across and along a line through the middle of a square, in pixels; along grows downwards."""
    y, x = np.mgrid[-margin : margin + 1, -margin : margin + 1]
    across_x, across_y = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return x * across_x + y * across_y, y * across_x - x * across_y


def trimmed(stamp: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Cut the empty border off a stamp -> top and left of what is left, and that."""
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
    """Sum of stamps at random places.

    A convolution with sparse points is a sum of shifted kernels: cheaper than filtering, and exactly zero elsewhere.
    A higher density with the same generator keeps the places of the lower one.

    Args:
        size: (height, width) of the picture.
        stamps: squares of one odd side, float32 >= 0; every place takes one of them.
        density: places per pixel.
        rng: gives places, stamps and brightnesses.
        brightness: that the brightest ones are multiplied by.
        faintest: brightness of the faintest as a share of it; many are faint, few are bright.

    Returns:
        HW float32 >= 0, not limited above.
    """
    (height, width), reach = size, stamps[0].shape[0]
    margin = reach // 2
    # Stamps enter from outside of the picture: places lie on the picture and a margin of half a stamp around it.
    tall, wide = height + 2 * margin, width + 2 * margin
    # One row per place, so that a higher density with the same seed keeps the places of the lower one.
    places = rng.random((round(density * tall * wide), 4), dtype=np.float32)
    tops = (places[:, 0] * tall).astype(int).tolist()
    lefts = (places[:, 1] * wide).astype(int).tolist()
    peaks = (brightness * (faintest + (1 - faintest) * places[:, 2] ** 2)).tolist()
    shapes = (places[:, 3] * len(stamps)).astype(int).tolist()
    cut = [trimmed(stamp) for stamp in stamps]
    canvas = np.zeros((tall + 2 * margin, wide + 2 * margin), np.float32)
    for top, left, peak, shape in zip(tops, lefts, peaks, shapes, strict=True):
        down, right, stamp = cut[shape]
        y, x = top + down, left + right
        canvas[y : y + stamp.shape[0], x : x + stamp.shape[1]] += peak * stamp
    return canvas[2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width]
