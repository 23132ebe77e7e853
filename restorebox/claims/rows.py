"""Table rows with verdicts, computed from stored results only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from restorebox.claims.ledger import BUDGETS, Claim, Ledger
from restorebox.claims.records import unknown
from restorebox.claims.runs import Run, read_result
from restorebox.claims.verdict import Outcome, Repeated, Side, judge, margin, repeated

PICTURE = 'psnr_y'  # tells whether a model restores, for metrics without a score of the input
PERFECT = {'psnr': 100.0, 'ssim': 1.0}  # score of an input that is the target itself


def results(ledger: Ledger, model: str, budget: str, docs: Path) -> dict[int, dict]:
    """Return seed -> stored result of a model at a budget."""
    spec = ledger.spec(model, budget)
    found: dict[int, dict] = {}
    if spec is not None:
        for path in (docs / 'runs' / ledger.method / budget).glob(f'{model}_s*.json'):
            seed = path.stem[len(model) + 2 :]
            result = read_result(Run(ledger.method, model, budget, int(seed), spec), docs) if seed.isdigit() else None
            if result is not None:
                found[int(seed)] = result
    return dict(sorted(found.items()))


def side(found: Mapping[int, dict], metric: str, input_metric: str | None = None) -> Side:
    """Return seed -> score, None if the run failed or has no such score, and the gains over the input.

    Args:
        found: seed -> stored result.
        metric: name of the score.
        input_metric: score of the input where there is none of ``metric``: a claim that compares two images of one
            model measures both by this score.
    """
    scores = {seed: None if 'failed' in one else one['mean'].get(metric) for seed, one in found.items()}
    means = [one.get('mean', {}) for one in found.values()]
    candidates = ((metric, metric), (input_metric or metric, metric), (PICTURE, PICTURE))
    judged, restored = next(
        (pair for pair in candidates if any(f'input/{pair[0]}' in mean for mean in means)), candidates[-1]
    )
    perfect = PERFECT.get(judged.partition('_')[0])
    gains = {}
    for seed, one in found.items():
        before, after = (one.get('mean', {}).get(key) for key in (f'input/{judged}', restored))
        if before is not None and after is not None and before != perfect:
            gains[seed] = after - before
    return Side(scores, gains, margin(judged))


def _comparable(stored: list[dict[int, dict]]) -> tuple[list[dict[int, dict]], str]:
    """Return the results of a claim's models (seed -> result) that may enter one mean, and what was left out.

    Where at least one seed has current results of all models, stale results are left out. Of seeds that were trained on
    different data, those that most have in common are kept.
    """
    lines = []

    def keep(seeds: set[int], why: str) -> None:
        if lost := sorted({seed for each in stored for seed in each} - seeds):
            lines.append(f'seed{"s" * (len(lost) > 1)} {", ".join(map(str, lost))} left out: {why}')
            stored[:] = [{seed: one for seed, one in each.items() if seed in seeds} for each in stored]

    every = {seed for each in stored for seed in each}
    current = every - {seed for each in stored for seed, one in each.items() if one['changed']}
    if any(all(seed in each for each in stored) for seed in current):
        keep(current, 'stale')
    others: set[int] = set()
    pairs = set(stored[0]) & set(stored[1])
    for each in stored:
        data = {seed: one['data'] for seed, one in each.items() if seed in pairs and one.get('data') is not None}
        if data:
            most = max(data.values(), key=[*data.values()].count)
            others |= {seed for seed, digest in data.items() if digest != most}
    keep({seed for each in stored for seed in each} - others, 'trained on other data')
    return stored, '; '.join(lines)


def _metric(claim: Claim, own: str, budget: str) -> str:
    return claim.paper_metric or own if budget == 'paper' and own == claim.metric else own


def _judge(
    ledger: Ledger, claim: Claim, budget: str, docs: Path
) -> tuple[list[dict], Outcome, list[Side], Repeated | None]:
    """Return the stored results of a claim, its verdict, its sides, and its verdicts by two groups of seeds."""
    if not claim.sides():
        return [], Outcome('not run'), [], None
    models = [model for model, _ in claim.sides()] + [claim.control] * bool(claim.control)
    stored, left_out = _comparable([results(ledger, model, budget, docs) for model in models if model])
    found, untrained = stored[:2], stored[2] if claim.control else {}
    names = [_metric(claim, own, budget) for _, own in claim.sides()]
    values = [side(each, name, names[0]) for each, name in zip(found, names, strict=True)]
    control = None
    if claim.control:
        control = side(untrained, claim.metric), side(untrained, claim.other_metric or claim.metric)
    runs = [one for each in stored for one in each.values()]
    better, other = values
    low, equal = claim.lower_is_better, claim.tolerance
    outcome = judge(better, other, size=claim.size, lower_is_better=low, tolerance=equal, control=control)
    groups = repeated(better, other, lower_is_better=low, tolerance=equal, control=control)
    if left_out and outcome.verdict != 'not run':
        outcome = replace(outcome, note='; '.join(filter(None, (outcome.note, left_out))))
    baseline = claim.baseline or claim.other
    for (model, _), own in zip(claim.sides(), values, strict=True):
        if outcome.verdict == 'not run' and model == baseline and not own.improves:
            note = f'the baseline, {ledger.label(model)}, does not restore; the other side is not trained'
            outcome = replace(outcome, verdict='void', note=note)
    if any(_inputs_differ(*(each[seed] for each in found)) for seed in outcome.seeds):
        outcome = Outcome('void', seeds=outcome.seeds, note='the sides were tested on different pictures')
    others = [seed for seed in outcome.seeds if seed in untrained and _inputs_differ(found[0][seed], untrained[seed])]
    if others:
        outcome = replace(outcome, note=f'{outcome.note}; the control was tested on other pictures')
        if outcome.verdict == 'holds':
            outcome = replace(outcome, verdict='inconclusive', needs='control and sides on the same pictures')
    changed = sorted({name for one in runs for name in one['changed']})
    if changed and outcome.verdict != 'not run':
        more = f' and {len(changed) - 3} more' if len(changed) > 3 else ''
        note = f'was {outcome.verdict}; changed or unknown: {", ".join(changed[:3])}{more}'
        outcome = replace(outcome, verdict='stale', note=note, needs='the runs again')
    current = outcome.verdict in ('holds', 'equivalent', 'inconclusive', 'contradicted')
    return runs, outcome, values, groups if current else None


def _inputs_differ(first: dict, second: dict) -> bool:
    """Return whether two runs disagree about a score of their input, which depends on the test pictures alone."""
    one, two = first['mean'], second['mean']
    names = [name for name in one if name.startswith('input/') and name in two]
    return any(abs((one[name] or 0.0) - (two[name] or 0.0)) > 1e-6 for name in names)


def row(ledger: Ledger, claim: Claim, budget: str, docs: Path) -> dict[str, Any]:
    """Return the row of a claim at a budget: differences, verdict and cost."""
    runs, outcome, values, groups = _judge(ledger, claim, budget, docs)
    whys = [ledger.models[model].get('why', '') for model, _ in claim.sides() if not ledger.spec(model, budget)]
    costs = [_cost(ledger, model, budget, docs) for model, _ in claim.sides()]
    reasons = [one['failed'] for one in runs if 'failed' in one]
    lacking = sorted({key for one in runs for key in unknown(one) if 'failed' not in one})
    if outcome.verdict == 'not run':  # one side may have run, for another claim
        costs, values = [], []
    return {
        'id': claim.id,
        'sentence': claim.sentence,
        'where': claim.where,
        'budget': budget,
        'metric': _metric(claim, claim.metric, budget),
        'better': _named(ledger, claim, 0),
        'other': _named(ledger, claim, 1),
        'published': list(claim.published),
        'paper_size': claim.size,
        'tolerance': claim.tolerance,
        'verdict': outcome.verdict,
        'size': outcome.mean,
        'low': outcome.low,
        'high': outcome.high,
        'ratio': outcome.ratio,
        'gains': [_mean_gain(each, outcome.seeds) for each in values],
        'seeds': list(outcome.seeds),
        'repeated': None if groups is None else _repeated(groups),
        'needs': outcome.needs,
        'note': (reasons or [outcome.note or claim.why_not or (whys or [''])[0]])[0],
        'explanation': _explanation(claim, outcome.verdict, budget),
        'unknown': lacking if outcome.seeds else [],
        'costs': [cost for cost in costs if cost],
    }


def _repeated(groups: Repeated) -> dict[str, Any]:
    """Return both verdicts, and the difference by the further seeds."""
    further = groups.further
    each = {'first': groups.first, 'further': further.verdict, 'seeds': list(further.seeds)}
    return {**each, 'size': further.mean, 'low': further.low, 'high': further.high}


def _cost(ledger: Ledger, model: str, budget: str, docs: Path) -> dict[str, Any]:
    """Return samples, minutes and device of a model's longest run, with the models that it starts from; {} without."""
    chain = [results(ledger, name, budget, docs) for name in _started_from(ledger, model)]
    costs = []
    for seed, one in chain[0].items():
        if 'training' in one:
            parts = [each[seed]['training'] for each in chain if 'training' in each.get(seed, {})]
            costs.append({key: sum(part[key] for part in parts) for key in ('samples', 'minutes')})
            costs[-1]['device'] = one['training']['device']
    return max(costs, key=lambda cost: cost['minutes']) if costs else {}


def _named(ledger: Ledger, claim: Claim, number: int) -> str:
    """Return the label of a side, with its score where both are the same model; '' for an unchecked claim."""
    if not claim.sides():
        return ''
    model, metric = claim.sides()[number]
    alone = claim.better != claim.other or claim.other_metric is None
    return ledger.label(model) if alone else f'{ledger.label(model)}, {metric}'


def _started_from(ledger: Ledger, model: str) -> list[str]:
    """Return a model, the one that it starts from, and so on."""
    after = ledger.models[model].get('after')
    return [model] + (_started_from(ledger, after) if after else [])


def _explanation(claim: Claim, verdict: str, budget: str) -> str:
    """Return the caveat of a claim that has run, and the explanation of a verdict that is not the paper's.

    Either only if it is one of this budget.
    """
    if verdict == 'not run' or claim.explained_at not in (None, budget):
        return ''
    own = '' if verdict in ('holds', 'equivalent') else claim.explanation
    return ' '.join(filter(None, (own.strip(), claim.caveat.strip())))


def _mean_gain(one: Side, seeds: Sequence[int]) -> float | None:
    """Return the mean over the compared seeds, or over all where none could be compared."""
    gains = [gain for seed, gain in one.gains.items() if not seeds or seed in seeds]
    return statistics.fmean(gains) if gains else None


def rows(ledger: Ledger, claims: Sequence[Claim], docs: Path) -> list[dict[str, Any]]:
    """Return the rows of each claim at each budget with results; a single row ``not run`` without results."""
    out = []
    for claim in claims:
        each = {budget: row(ledger, claim, budget, docs) for budget in BUDGETS}
        run = [one for one in each.values() if one['verdict'] != 'not run']
        out += run or [{**each['small'], 'budget': ''}]
    return out
