"""Verdicts on claims from the scores of two models with the same seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from restorebox.claims.statistics import equivalent, interval, seeds_to_decide

VERDICTS = ('holds', 'equivalent', 'inconclusive', 'contradicted', 'void', 'stale', 'failed', 'not run')
MARGINS = {'psnr': 0.1, 'ssim': 0.002}
"""Smallest gain over the input that counts as restoration: in dB for PSNR."""


def margin(metric: str) -> float:
    """Return the smallest gain over the input, in the metric's unit, that counts as restoration."""
    return MARGINS.get(metric.partition('_')[0], 0.0)


@dataclass(frozen=True)
class Side:
    """Scores of a model.

    Attributes:
        scores: seed -> score; None for a failed run or an absent score.
        gains: seed -> gain of the restored pictures over the input, more is better; empty where the input is the
            target itself, so that nothing can be restored.
        margin: smallest gain that counts as restoration.
    """

    scores: Mapping[int, float | None]
    gains: Mapping[int, float] = field(default_factory=dict)
    margin: float = 0.0

    def only(self, seeds: Collection[int]) -> Side:
        """Return this side with some of its seeds."""
        scores = {seed: score for seed, score in self.scores.items() if seed in seeds}
        return replace(self, scores=scores, gains={seed: gain for seed, gain in self.gains.items() if seed in seeds})

    @property
    def improves(self) -> bool:
        """Whether the mean gain over the input is above the margin, or there is nothing to restore."""
        return not self.gains or statistics.fmean(self.gains.values()) > self.margin

    @property
    def restores(self) -> bool:
        """Whether the 95 % interval of the gain over the input is above the margin, or there is nothing to restore."""
        if not self.gains:
            return True
        bounds = interval(list(self.gains.values()))
        return bounds is not None and bounds[0] > self.margin


@dataclass(frozen=True)
class Outcome:
    """Verdict with its statistics; differences are better side minus other, with the sign such that more is better.

    Attributes:
        verdict: one of :data:`VERDICTS`.
        mean: mean of the seed-paired differences; None without pairs.
        low: lower end of the 95 % interval of the mean; None for fewer than two pairs.
        high: upper end.
        ratio: mean divided by the size in the paper; None without either.
        seeds: seeds with scores on both sides.
        note: reason of the verdict.
        needs: what an undecided comparison still needs.
    """

    verdict: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    ratio: float | None = None
    seeds: tuple[int, ...] = ()
    note: str = ''
    needs: str = ''


FURTHER = 5
"""First of the seeds that repeat a claim, the default of ``reproduce --seeds``: those below it are the first ones."""


@dataclass(frozen=True)
class Repeated:
    """Verdicts of a claim by two separate groups of seeds.

    Attributes:
        first: verdict of the seeds below :data:`FURTHER`.
        further: outcome of the others.
    """

    first: str
    further: Outcome


def repeated(
    better: Side,
    other: Side,
    *,
    lower_is_better: bool = False,
    tolerance: float | None = None,
    control: tuple[Side, Side] | None = None,
) -> Repeated | None:
    """Judge the seeds below :data:`FURTHER` and the others separately; None unless both groups have two.

    Args:
        better, other, lower_is_better, tolerance, control: see :func:`judge`.
    """
    pairs = paired(better, other, lower_is_better)[0]
    groups = [{seed for seed in pairs if (seed < FURTHER) == first} for first in (True, False)]
    if min(map(len, groups)) < 2:
        return None

    def outcome(seeds: set[int]) -> Outcome:
        untrained = None if control is None else (control[0].only(seeds), control[1].only(seeds))
        sides = better.only(seeds), other.only(seeds)
        return judge(*sides, lower_is_better=lower_is_better, tolerance=tolerance, control=untrained)

    return Repeated(outcome(groups[0]).verdict, outcome(groups[1]))


def judge(
    better: Side,
    other: Side,
    *,
    size: float | None = None,
    lower_is_better: bool = False,
    tolerance: float | None = None,
    control: tuple[Side, Side] | None = None,
) -> Outcome:
    """Compare two sides by the 95 % t-interval of their seed-paired differences.

    ``void``: neither side improves its input, or untrained networks show at least the same difference. ``holds``: the
    interval is above 0 and the better side restores; with a control, that of the differences minus the control's is
    above 0 as well. ``contradicted``: the interval is below 0 and the other side restores; for
    a claim of equality, it lies outside the tolerance. ``equivalent``, for a claim of equality: two one-sided tests
    place the mean within the tolerance. Otherwise ``inconclusive``.

    Args:
        better: side that is better according to the claim.
        other: the other side.
        size: difference in the paper.
        lower_is_better: whether lower scores are better.
        tolerance: maximum difference of a claim of equality; None for other claims.
        control: the two sides of untrained networks; None for a claim that needs no control.
    """
    pairs, failed = paired(better, other, lower_is_better)
    if failed:
        return Outcome('failed', note='failed with seed ' + ', '.join(map(str, failed)))
    if not pairs:
        return Outcome('not run')
    values = list(pairs.values())
    bounds = interval(values)
    low, high = bounds or (None, None)
    mean = statistics.fmean(values)
    found = Outcome('inconclusive', mean, low, high, mean / size if size else None, tuple(pairs))
    if not better.improves and not other.improves:
        return replace(found, verdict='void', note='neither side improves its input')
    if low is None or high is None:
        return replace(found, note='one seed has no interval', needs='1 more seed for a spread')
    if control is not None:
        untrained = paired(*control, lower_is_better)[0]
        excess = [pairs[seed] - untrained[seed] for seed in pairs if seed in untrained]
        above = interval(excess)
        if above is None:
            return replace(found, note='the untrained control has not run', needs='2 seeds of the untrained control')
        shown = f'untrained networks: {statistics.fmean(untrained.values()):+.3g}'
        shown += f'; above them by {statistics.fmean(excess):+.3g} ({above[0]:+.3g} to {above[1]:+.3g})'
        found = replace(found, note=shown)
        if statistics.fmean(excess) <= 0:
            return replace(found, verdict='void')
        if above[0] <= 0:
            return replace(found, needs=_more(excess, 0.0, len(excess)))
    if tolerance is not None:
        if equivalent(values, tolerance):
            return replace(found, verdict='equivalent')
        if low > tolerance or high < -tolerance:
            return replace(found, verdict='contradicted')
    elif low > 0 or high < 0:
        winner, verdict = (better, 'holds') if low > 0 else (other, 'contradicted')
        if winner.restores:
            return replace(found, verdict=verdict)
        return replace(
            found,
            note=f'the higher side is not certain to improve its input by {winner.margin:g}',
            needs=_more(list(winner.gains.values()), winner.margin, len(values)),
        )
    return replace(found, needs=_more(values, 0.0, len(values), tolerance))


def paired(better: Side, other: Side, lower_is_better: bool = False) -> tuple[dict[int, float], list[int]]:
    """Return seed -> difference, more is better, and the seeds that failed on either side.

    NaN and infinite scores are failures: comparisons with NaN are always false.
    """
    sides = [{seed: _finite(value) for seed, value in side.scores.items()} for side in (better, other)]
    failed = sorted({seed for side in sides for seed, value in side.items() if value is None})
    sign = -1 if lower_is_better else 1
    pairs = {
        seed: sign * (value - second)
        for seed, value in sorted(sides[0].items())
        if value is not None and (second := sides[1].get(seed)) is not None
    }
    return pairs, failed


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _more(values: list[float], threshold: float, have: int, tolerance: float | None = None) -> str:
    """Say how many more seeds decide, if mean and spread stay as they are."""
    if len(values) < 2:
        return '1 more seed for a spread'
    total = seeds_to_decide([value - threshold for value in values], tolerance)
    if total is None:
        return 'more than 100 seeds: the difference is small beside the spread'
    more = max(total - have, 1)
    return f'about {more} more seed{"s" if more > 1 else ""}'
