"""Table rows with verdicts, computed from stored results only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from restorebox.claims.ledger import BUDGETS, Claim, Ledger
from restorebox.claims.runs import Run, read_result
from restorebox.claims.verdict import judge, judge_groups


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


def scores(found: dict[int, dict], metric: str) -> dict[int, float | None]:
    """Return seed -> score; None if the run failed or has no such score."""
    return {seed: None if 'failed' in one else one['mean'].get(metric) for seed, one in found.items()}


def row(ledger: Ledger, claim: Claim, budget: str, docs: Path) -> dict[str, Any]:
    """Return the row of a claim at a budget: differences, verdict and cost."""
    metric = (claim.paper_metric or claim.metric) if budget == 'paper' else claim.metric
    found: list[dict[int, dict]] = [{}, {}]
    values: list[dict[int, float | None]] = [{}, {}]
    for i, (model, own) in enumerate(claim.sides()):
        found[i] = results(ledger, model, budget, docs)
        values[i] = scores(found[i], metric if own == claim.metric else own)
    criteria: dict[str, Any] = dict(
        metric=metric, size=claim.size, lower_is_better=claim.lower_is_better, tolerance=claim.tolerance
    )
    outcome = judge(*values, **criteria)
    whys = [ledger.models[model].get('why', '') for model, _ in claim.sides() if not ledger.spec(model, budget)]
    runs = [one for side in found for one in side.values()]
    costs = [one['training'] for one in runs if 'training' in one]
    reasons = [one['failed'] for one in runs if 'failed' in one]
    return {
        'id': claim.id,
        'sentence': claim.sentence,
        'where': claim.where,
        'budget': budget,
        'metric': metric,
        'better': ledger.label(claim.better) if claim.better else '',
        'other': ledger.label(claim.other) if claim.other else '',
        'published': list(claim.published),
        'paper_size': claim.size,
        'tolerance': claim.tolerance,
        'verdict': outcome.verdict,
        'size': outcome.mean,
        'lowest': outcome.lowest,
        'highest': outcome.highest,
        'seeds': list(outcome.seeds),
        'groups': [
            {'seeds': list(each.seeds), 'size': each.mean, 'verdict': each.verdict}
            for each in judge_groups(*values, **criteria)
        ],
        'note': (reasons or [outcome.note or claim.why_not or (whys or [''])[0]])[0],
        'explanation': claim.explanation if outcome.verdict == 'not reproduced' else '',
        'minutes': max((cost['minutes'] for cost in costs), default=None),
        'samples': max((cost['samples'] for cost in costs), default=None),
        'device': next((cost['device'] for cost in costs), None),
    }


def rows(ledger: Ledger, claims: Sequence[Claim], docs: Path) -> list[dict[str, Any]]:
    """Return the rows of each claim at each budget with results; a single row ``not run`` without results."""
    out = []
    for claim in claims:
        each = [row(ledger, claim, budget, docs) for budget in BUDGETS]
        run = [one for one in each if one['verdict'] != 'not run']
        out += run or [{**each[1], 'budget': ''}]
    return out
