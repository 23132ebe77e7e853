"""Figures and tables of sweeps, from stored results only."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from restorebox.claims.ledger import BUDGETS, Ledger
from restorebox.claims.rows import results
from restorebox.claims.runs import write_json
from restorebox.claims.statistics import interval
from restorebox.claims.sweeps import Sweep
from restorebox.figures import save_figure


def sweep_content(ledger: Ledger, sweep: Sweep, budget: str, docs: Path) -> dict[str, Any]:
    """Return curves, points and their scores at a budget, as the JSON file of the sweep has them.

    Of each point: ``place``, ``model``, ``scores`` (seed -> score of the valid results), their ``mean``, ``low`` and
    ``high`` of the 95 % t-interval (None for fewer than two seeds), the mean score of the ``input`` (None without one),
    and the numbers of ``stale`` and ``failed`` results, which count nowhere. Points without a run at the budget are
    left out.
    """
    curves = []
    for curve in sweep.curves:
        points: list[dict[str, Any]] = []
        for point in curve.points:
            if ledger.spec(point.model, budget) is None:
                continue
            found = results(ledger, point.model, budget, docs)
            valid = {seed: one['mean'] for seed, one in found.items() if 'failed' not in one and not one['changed']}
            scores = {
                str(seed): mean[sweep.metric] for seed, mean in valid.items() if mean.get(sweep.metric) is not None
            }
            before = [mean[f'input/{sweep.metric}'] for mean in valid.values() if mean.get(f'input/{sweep.metric}')]
            low, high = interval(list(scores.values())) or (None, None)
            points.append(
                {
                    'place': point.place,
                    'model': point.model,
                    'scores': scores,
                    'mean': statistics.fmean(scores.values()) if scores else None,
                    'low': low,
                    'high': high,
                    'input': statistics.fmean(before) if before else None,
                    'stale': sum('failed' not in one and bool(one['changed']) for one in found.values()),
                    'failed': sum('failed' in one for one in found.values()),
                }
            )
        curves.append({'label': curve.label, 'points': points})
    head = {'method': ledger.method, 'id': sweep.id, 'where': sweep.where, 'budget': budget}
    return {**head, 'axis': sweep.axis, 'metric': sweep.metric, 'curves': curves}


def has_scores(content: dict[str, Any]) -> bool:
    """Return whether a point of a sweep has a score."""
    return any(point['scores'] for curve in content['curves'] for point in curve['points'])


def draw_sweep(content: dict[str, Any], path: Path) -> None:
    """Plot mean scores with 95 % intervals and the score of each seed over the points of each curve; atomic write.

    Places that are all numbers are drawn to scale, others as ticks in their order. Intervals that are much longer than
    the range of the scores, as two seeds can have, are cut off at the frame.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places = list(dict.fromkeys(point['place'] for curve in content['curves'] for point in curve['points']))
    numeric = all(isinstance(place, (int, float)) for place in places)
    at = {place: place if numeric else i for i, place in enumerate(places)}
    figure = Figure(figsize=(max(5.5, 1.1 * len(places)), 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for i, curve in enumerate(content['curves']):
        done = [point for point in curve['points'] if point['scores']]
        if not done:
            continue
        xs, means = [at[point['place']] for point in done], [point['mean'] for point in done]
        axes.plot(
            xs,
            means,
            marker='o',
            color=f'C{i}',
            label=curve['label'],
            linewidth=1.4,
            linestyle='-' if numeric else 'none',
        )
        for x, point in zip(xs, done, strict=True):
            axes.plot([x] * len(point['scores']), list(point['scores'].values()), '_', color=f'C{i}', alpha=0.7)
            if point['low'] is not None:
                axes.vlines(x, point['low'], point['high'], color=f'C{i}', alpha=0.4, linewidth=4)
    inputs = [point['input'] for curve in content['curves'] for point in curve['points'] if point['input'] is not None]
    if inputs and max(inputs) < 99:  # reconstruction has a perfect input
        axes.axhline(statistics.fmean(inputs), color='k', linestyle='--', linewidth=0.8, label='input')
    axes.set_ylim(*limits(content, inputs))
    axes.set_xticks(list(at.values()), [str(place) for place in places], rotation=0 if numeric else 30)
    axes.set_xlabel(content['axis'])
    axes.set_ylabel(content['metric'])
    axes.set_title(f'{content["where"]}, {content["method"]}, {content["budget"]}', fontsize=9, loc='left')
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save_figure(figure, path)


def limits(content: dict[str, Any], inputs: list[float]) -> tuple[float, float]:
    """Return the limits of the scores' axis: all scores, and intervals up to half their range beyond them."""
    points = [point for curve in content['curves'] for point in curve['points'] if point['scores']]
    scores = [score for point in points for score in point['scores'].values()] + [x for x in inputs if x < 99]
    low, high = min(scores), max(scores)
    span = max(high - low, 1e-6)
    lows = [point['low'] for point in points if point['low'] is not None]
    highs = [point['high'] for point in points if point['high'] is not None]
    bottom = max(min([low, *lows]), low - span / 2)
    top = min(max([high, *highs]), high + span / 2)
    margin = 0.05 * (top - bottom)
    return bottom - margin, top + margin


def is_drawn(content: dict[str, Any]) -> bool:
    """Return whether a curve has two points or more."""
    return any(sum(bool(point['scores']) for point in curve['points']) > 1 for curve in content['curves'])


def write_sweep(ledger: Ledger, sweep: Sweep, budget: str, docs: Path) -> Path | None:
    """Write METHOD_SWEEP_BUDGET.json and .png; return the picture.

    Without results both are removed, with a single point the picture; None then.
    """
    content = sweep_content(ledger, sweep, budget, docs)
    stem = docs / f'{ledger.method}_{sweep.id}_{budget}'
    data, picture = stem.with_name(f'{stem.name}.json'), stem.with_name(f'{stem.name}.png')
    if has_scores(content):
        write_json(data, content)
    else:
        data.unlink(missing_ok=True)
    if not is_drawn(content):
        picture.unlink(missing_ok=True)
        return None
    draw_sweep(content, picture)
    return picture


def sweeps_section(ledger: Ledger, docs: Path) -> str:
    """Return the section of a method's page: each sweep with its table and figure, or as not run; '' without sweeps."""
    parts = []
    for sweep in ledger.sweeps:
        text = f'**{sweep.id}** ({sweep.where}): {sweep.metric} over {sweep.axis}'
        contents = [sweep_content(ledger, sweep, budget, docs) for budget in BUDGETS]
        run = [content for content in contents if has_scores(content)]
        if not run:
            parts.append(f'{text}. Not run.')
        for content in run:
            budget = content['budget']
            picture = f'\n\n![{sweep.id}, {budget}]({ledger.method}_{sweep.id}_{budget}.png)'
            parts.append(f'{text}, {budget}.\n\n{_table(content)}' + picture * is_drawn(content))
    head = '\n\n## Sweeps\n\nMean over the seeds, in brackets the 95 % t-interval and the number of seeds.'
    head += ' Figures cut off intervals that are much longer than the range of the scores.\n\n'
    return head + '\n\n'.join(parts) if parts else ''


def sweep_lines(content: dict[str, Any]) -> list[str]:
    """Return a line of text per point: mean score, 95 % t-interval and number of seeds."""
    return [
        f'{curve["label"]}, {content["axis"]} {point["place"]}: {content["metric"]} {_cell(point, _digits(content))}'
        for curve in content['curves']
        for point in curve['points']
    ]


def _digits(content: dict[str, Any]) -> int:
    return 2 if content['metric'].startswith('psnr') else 4


def _table(content: dict[str, Any]) -> str:
    digits = _digits(content)
    places = list(dict.fromkeys(point['place'] for curve in content['curves'] for point in curve['points']))
    lines = ['| curve | ' + ' | '.join(map(str, places)) + ' |', '|---' * (len(places) + 1) + '|']
    for curve in content['curves']:
        cells = {point['place']: _cell(point, digits) for point in curve['points']}
        lines.append(f'| {curve["label"]} | ' + ' | '.join(cells.get(place, '') for place in places) + ' |')
    return '\n'.join(lines)


def _cell(point: dict[str, Any], digits: int) -> str:
    notes = [f'{point[kind]} {kind}' for kind in ('stale', 'failed') if point[kind]]
    if not point['scores']:
        return ', '.join(notes) or 'not run'
    count = str(len(point['scores']))
    if point['low'] is not None:
        count = f'{point["low"]:.{digits}f} to {point["high"]:.{digits}f}; {count}'
    return ', '.join([f'{point["mean"]:.{digits}f} ({count})', *notes])
