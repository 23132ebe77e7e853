"""Statistics of seed-paired differences: t-intervals, the equivalence test, and the number of seeds still needed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

CONFIDENCE = 0.95
MOST_SEEDS = 100  # more are not planned; the spread of a few seeds does not support such a number


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Return the two-sided t-interval of the mean (Student 1908); None for fewer than two values."""
    if len(values) < 2:
        return None
    mean, half = statistics.fmean(values), _half_width(statistics.stdev(values), len(values), confidence)
    return mean - half, mean + half


def equivalent(values: Sequence[float], tolerance: float) -> bool:
    """Return whether two one-sided tests at 5 % (Schuirmann 1987) place the mean within +-tolerance.

    This is the same as a 90 % interval within the tolerance.
    """
    bounds = interval(values, 2 * CONFIDENCE - 1)
    return bounds is not None and -tolerance < bounds[0] and bounds[1] < tolerance


def seeds_to_decide(values: Sequence[float], tolerance: float | None = None) -> int | None:
    """Return the total number of seeds at which the interval decides if mean and spread stay as they are.

    Args:
        values: differences so far, two or more.
        tolerance: that of a claim of equality; None if the interval must exclude 0.

    Returns:
        None if it exceeds :data:`MOST_SEEDS`.
    """
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    distance, confidence = abs(mean), CONFIDENCE
    if tolerance is not None:
        distance = abs(abs(mean) - tolerance)
        confidence = 2 * CONFIDENCE - 1 if abs(mean) < tolerance else CONFIDENCE
    counts = range(2, MOST_SEEDS + 1)
    return next((count for count in counts if _half_width(spread, count, confidence) < distance), None)


def _half_width(spread: float, count: int, confidence: float) -> float:
    from scipy.special import stdtrit  # here: lists of claims need no scipy

    quantile: Any = stdtrit(count - 1, (1 + confidence) / 2)
    return float(quantile) * spread / math.sqrt(count)
