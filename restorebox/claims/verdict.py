"""Verdicts on claims from the scores of two models with the same seeds."""

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
SMALL_SIZE = 1.0  # dB; smaller differences need three seeds


@dataclass(frozen=True)
class Outcome:
    """Verdict with its statistics; differences are better side minus other, with the sign such that more is better.

    Attributes:
        verdict: one of :data:`VERDICTS`.
        mean: mean of the seed-paired differences; None without pairs.
        lowest: minimum of the differences.
        highest: maximum of the differences.
        seeds: seeds with scores on both sides.
        note: reason, for verdicts without statistics.
    """

    verdict: str
    mean: float | None = None
    lowest: float | None = None
    highest: float | None = None
    seeds: tuple[int, ...] = ()
    note: str = ''


def seeds_needed(metric: str, size: float | None, tolerance: float | None = None) -> int:
    """Return the number of seeds for a verdict: 2 for a claimed difference of 1 dB or more, else 3."""
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
    """Compare two sides by seed-paired differences.

    ``reproduced``: every difference has the claim's sign. ``direction only``: only their mean has. ``equivalent``, for
    a claim of equality: every difference is within the tolerance.

    Args:
        better: seed -> score of the side that is better according to the claim; None or NaN for failed runs.
        other: the same for the other side.
        metric: name of the metric.
        size: difference in the paper.
        lower_is_better: whether lower scores are better.
        tolerance: maximum difference of a claim of equality; None for other claims.
    """
    better, other = _numbers(better), _numbers(other)
    failed = sorted({seed for side in (better, other) for seed, value in side.items() if value is None})
    sign = -1 if lower_is_better else 1
    pairs = {
        seed: sign * (value - second)
        for seed, value in sorted(better.items())
        if value is not None and (second := other.get(seed)) is not None
    }
    if not pairs and not failed:
        return Outcome('not run')
    values = list(pairs.values())
    needed = seeds_needed(metric, size, tolerance)
    if not values:
        return Outcome('failed', note='failed with seed ' + ', '.join(map(str, failed)))
    mean, note = statistics.fmean(values), ''
    if failed:
        verdict, note = 'failed', 'failed with seed ' + ', '.join(map(str, failed))
    elif len(values) < needed:
        verdict, note = 'insufficient seeds', f'{len(values)} of {needed} seeds'
    elif tolerance is not None:
        verdict = 'equivalent' if max(map(abs, values)) <= tolerance else 'not reproduced'
    elif min(values) > 0:
        verdict = 'reproduced'
    else:
        verdict = 'direction only' if mean > 0 else 'not reproduced'
    return Outcome(verdict, mean, min(values), max(values), tuple(pairs), note)


def judge_groups(
    better: Mapping[int, float | None], other: Mapping[int, float | None], *, metric: str, **claim: Any
) -> list[Outcome]:
    """Judge separate groups of seeds: the first runs, and each repetition with other seeds.

    Args:
        better: see :func:`judge`.
        other: see :func:`judge`.
        metric: see :func:`judge`.
        claim: ``size``, ``lower_is_better`` and ``tolerance``, see :func:`judge`.

    Returns:
        One outcome per group of as many seeds as a verdict needs; empty for fewer than two groups.
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
    """Replace scores that are NaN or infinite by None, since comparisons with NaN are always false."""
    return {seed: value if value is not None and math.isfinite(value) else None for seed, value in side.items()}
