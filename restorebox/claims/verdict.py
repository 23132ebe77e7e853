"""From scores of the same seeds on both sides to a verdict. Pure: no files, no training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERDICTS = (
    'reproduced',
    'equivalent',
    'direction only',
    'not reproduced',
    'insufficient seeds',
    'failed',
    'not run',
)
SMALL_SIZE = 1.0  # dB; a smaller difference needs three seeds


@dataclass(frozen=True)
class Outcome:
    """A verdict and the figures behind it; differences are the claim's better side minus the other, better is more.

    Attributes:
        verdict: one of :data:`VERDICTS`.
        mean: mean of the seed-paired differences, None where there is no pair.
        lowest: the lowest of them.
        highest: the highest of them.
        seeds: the seeds that both sides have.
        note: why, where figures don't say it.
    """

    verdict: str
    mean: float | None = None
    lowest: float | None = None
    highest: float | None = None
    seeds: tuple[int, ...] = ()
    note: str = ''


def seeds_needed(metric: str, size: float | None, tolerance: float | None = None) -> int:
    """Two show a spread; three where the claimed size is under 1 dB, isn't stated, isn't in dB, or is of equality."""
    large = size is not None and abs(size) >= SMALL_SIZE and tolerance is None
    return 2 if metric.startswith('psnr') and large else 3


def judge(
    better: Mapping[int, float | None],
    other: Mapping[int, float | None],
    *,
    metric: str,
    size: float | None = None,
    lower_is_better: bool = False,
    tolerance: float | None = None,
) -> Outcome:
    """Compare two sides seed by seed.

    ``reproduced``: every paired difference has the claim's sign. ``direction only``: their mean has. ``equivalent``,
    for a claim of equality: each is within the tolerance, so that two large ones of opposite sign don't pass.

    Args:
        better: seed -> score of the side that the claim puts first; None or nan where that run failed.
        other: the same of the other side.
        metric: the score's name.
        size: the paper's difference.
        lower_is_better: whether a lower score is the better one.
        tolerance: makes it a claim of equality.
    """
    better, other = _numbers(better), _numbers(other)
    failed = sorted({seed for side in (better, other) for seed, value in side.items() if value is None})
    sign = -1 if lower_is_better else 1
    pairs = {
        seed: sign * (value - other[seed])
        for seed, value in sorted(better.items())
        if value is not None and other.get(seed) is not None
    }
    if not pairs and not failed:
        return Outcome('not run')
    values = list(pairs.values())
    figures = (statistics.fmean(values), min(values), max(values), tuple(pairs)) if values else (None, None, None, ())
    if failed:
        return Outcome('failed', *figures, note='failed with seed ' + ', '.join(map(str, failed)))
    needed = seeds_needed(metric, size, tolerance)
    if len(values) < needed:
        return Outcome('insufficient seeds', *figures, note=f'{len(values)} of {needed} seeds')
    if tolerance is not None:
        return Outcome('equivalent' if max(map(abs, values)) <= tolerance else 'not reproduced', *figures)
    if min(values) > 0:
        return Outcome('reproduced', *figures)
    return Outcome('direction only' if figures[0] > 0 else 'not reproduced', *figures)


def judge_groups(
    better: Mapping[int, float | None], other: Mapping[int, float | None], *, metric: str, **claim: Any
) -> list[Outcome]:
    """The verdicts that separate groups of seeds come to: those that ran first, and each repetition with others.

    Args:
        better: see :func:`judge`.
        other: see :func:`judge`.
        metric: see :func:`judge`.
        claim: its ``size``, ``lower_is_better`` and ``tolerance``, see :func:`judge`.

    Returns:
        One a group of as many seeds as a verdict needs, in their order; empty where they are not enough for two.
    """
    needed = seeds_needed(metric, claim.get('size'), claim.get('tolerance'))
    better, other = _numbers(better), _numbers(other)
    pairs = [seed for seed, value in sorted(better.items()) if value is not None and other.get(seed) is not None]
    groups = [pairs[first : first + needed] for first in range(0, len(pairs) - needed + 1, needed)]
    if len(groups) < 2:
        return []
    return [
        judge({seed: better[seed] for seed in group}, {seed: other[seed] for seed in group}, metric=metric, **claim)
        for group in groups
    ]


def _numbers(side: Mapping[int, float | None]) -> dict[int, float | None]:
    """A score that is nan or infinite is none: compared with another it would pass for anything."""
    return {seed: value if value is not None and math.isfinite(value) else None for seed, value in side.items()}
