"""Generation of the pages in docs/claims from stored results."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from restorebox.claims.ledger import BUDGETS, Ledger
from restorebox.claims.rows import PERFECT, results, rows
from restorebox.claims.runs import write_json
from restorebox.claims.sweep_pages import sweeps_section, write_sweep
from restorebox.claims.verdict import FURTHER, MARGINS, VERDICTS
from restorebox.errors import ConfigError
from restorebox.files import replacing, write_whole

MARK = '<!-- written by restorebox reproduce -->\n\n'
SHOWN = ('psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb')
BUDGET_NOTE = (
    'The budgets `small` and `medium` train and test on clean photographs with synthesised degradations, not on the '
    'data sets that claims and tables name, and not as long as in the paper; `tiny` only shows that it runs.'
)
RULE = """\
- `here`: mean of the seed-paired differences, in brackets its 95 % t-interval; positive supports the claim, also for
  errors, of which less is better. `of paper`: its ratio to the size in the paper.
- `gains`: of the better side and of the other over the input, with the same seeds; on `psnr_y` if the score has no
  input; none where the input is the target.
- `needs`: number of further seeds if mean and spread stay as they are.
- `cost`: samples and minutes of a run with those of the models from which it starts; of both sides where they differ.
- `holds`: the interval is above 0, and that of the gain of the better side over the input is above {margins}; a claim
  about features must exceed untrained networks by an interval above 0 as well.
- `contradicted`: the interval is below 0, and the other side restores in the same sense; for a claim of equality, it
  lies outside the tolerance.
- `equivalent`: two one-sided tests at 5 % place the mean within the tolerance.
- `inconclusive`: none of these.
- `void`: the mean gain of neither side is above the margin, untrained networks show no less, or the sides were tested
  on different pictures.
- `repeated`: seeds from 5 on are a repetition. Where both they and those below 5 are at least two, the page gives the
  verdict of each group alone.
- `stale`: config or code has changed since the runs, or is not recorded with them, and no probe has shown that it
  computes the same (`reproduce --confirm`).

{budgets}\
""".format(margins=', '.join(f'{value:g} {kind.upper()}' for kind, value in MARGINS.items()), budgets=BUDGET_NOTE)


def number(value: float | None, metric: str) -> str:
    """Format a difference: 2 decimals for PSNR, 4 for other metrics."""
    return '' if value is None else f'{value:+.2f}' if metric.startswith('psnr') else f'{value:+.4f}'


def table(method_rows: list[dict[str, Any]]) -> str:
    """Format a Markdown table with one line per row."""
    head = (
        '| claim | says | where | score | paper | budget | here | of paper | gains | seeds | needs | cost | verdict |'
    )
    lines = [head, '|---' * 13 + '|']
    for one in method_rows:
        here = number(one['size'], one['metric'])
        if one['low'] is not None:
            here += f' ({number(one["low"], one["metric"])} to {number(one["high"], one["metric"])})'
        paper = number(one['paper_size'], one['metric'])
        if one['tolerance'] is not None:
            paper += f' (equal within {one["tolerance"]:g})'
        judged = one['metric'] if one['metric'].startswith(tuple(MARGINS)) else 'psnr_y'
        cells = (
            one['id'],
            one['sentence'] + (f' ({one["better"]} / {one["other"]})' if one['better'] else ''),
            one['where'],
            one['metric'],
            paper,
            one['budget'],
            here,
            '' if one['ratio'] is None else f'{one["ratio"]:.2f}',
            ' / '.join(number(gain, judged) for gain in one['gains'] if gain is not None),
            ', '.join(map(str, one['seeds'])),
            one['needs'],
            _cost(one['costs']),
            one['verdict'] + (f': {one["note"]}' if one['note'] else ''),
        )
        lines.append('| ' + ' | '.join(str(cell).replace('|', '/').replace('\n', ' ') for cell in cells) + ' |')
    return '\n'.join(lines)


def _cost(costs: list[dict[str, Any]]) -> str:
    """Format the cost of both sides; once if both had as many samples, with the longer time."""
    if not costs:
        return ''
    if len({cost['samples'] for cost in costs}) == 1:
        costs = [max(costs, key=lambda cost: cost['minutes'])]
    samples = ' / '.join(str(cost['samples']) for cost in costs)
    minutes = ' / '.join(f'{cost["minutes"]:.1f}' for cost in costs)
    return f'{samples} samples, up to {minutes} min, {" / ".join(dict.fromkeys(cost["device"] for cost in costs))}'


def explanations(method_rows: list[dict[str, Any]]) -> str:
    """Format a paragraph for each claim whose verdict is explained, and one on records with unknown entries."""
    text = ''
    explained = [one for one in method_rows if one['explanation']]
    if explained:
        text += '\n\n## Explanations\n\n' + '\n\n'.join(
            f'**{one["id"]}** ({one["budget"]}, {one["verdict"]}): {one["explanation"].strip()}' for one in explained
        )
    lacking = sorted({name for one in method_rows for name in one['unknown']})
    if lacking:
        which = ', '.join(f'{one["id"]} ({one["budget"]})' for one in method_rows if one['unknown'])
        text += f'\n\n## Unknown\n\nThe runs of {which} were stored without {", ".join(lacking)}: these are unknown.'
    return text


def repetitions(method_rows: list[dict[str, Any]]) -> str:
    """Format a table of the claims that were run with seeds of both groups; empty without any."""
    shown = [one for one in method_rows if one['repeated']]
    if not shown:
        return ''
    lines = []
    for one in shown:
        again = one['repeated']
        size, *ends = (number(again[key], one['metric']) for key in ('size', 'low', 'high'))
        figures = f'{size} ({ends[0]} to {ends[1]}), seeds {", ".join(map(str, again["seeds"]))}'
        lines.append(f'| {one["id"]} | {one["budget"]} | {again["first"]} | {again["further"]} | {figures} |')
    head = f'| claim | budget | seeds below {FURTHER} | seeds from {FURTHER} on | difference by these |\n'
    return '\n\n## Repeated\n\n' + head + '|---' * 5 + '|\n' + '\n'.join(lines)


def scores_table(ledger: Ledger, docs: Path) -> str:
    """Format the mean scores of each model and budget, with the lowest and highest seed; empty without results."""
    lines = []
    for budget in BUDGETS:
        for model in ledger.models:
            stored = results(ledger, model, budget, docs)
            done = [one for one in stored.values() if 'failed' not in one and not one['changed']]
            if not done:
                continue
            cells = [ledger.label(model), _trained(done[0]), budget, str(len(done))]
            for name in SHOWN:
                values = [one['mean'][name] for one in done if one['mean'].get(name) is not None]
                digits = 2 if name.startswith('psnr') else 4
                ends = f' ({min(values):.{digits}f} to {max(values):.{digits}f})' if len(values) > 1 else ''
                cells.append(f'{statistics.fmean(values):.{digits}f}{ends}' if values else '')
                before = [one['mean'].get(f'input/{name}') for one in done]
                before = [value for value in before if value not in (None, PERFECT[name.partition('_')[0]])]
                cells[-1] += f', input {statistics.fmean(before):.{digits}f}' if before else ''
            cells.append(f'{statistics.fmean(one["training"]["minutes"] for one in done if "training" in one):.1f}')
            lines.append('| ' + ' | '.join(cells) + ' |')
    if not lines:
        return ''
    head = '| model | trained by | budget | seeds | ' + ' | '.join(SHOWN) + ' | minutes |\n'
    head += '|---' * (len(SHOWN) + 5) + '|\n'
    return '\n\n## Scores\n\nMean over the seeds, in brackets the lowest and the highest.\n\n' + head + '\n'.join(lines)


def _trained(one: dict[str, Any]) -> str:
    """Format config, row and number of samples of a stored run."""
    row = f' --row {one["row"]}' if one.get('row') else ''
    samples = f', {one["training"]["samples"]} samples' if 'training' in one else ''
    return f'`{one["config"]}{row}`{samples}' if one.get('config') else ''


def draw(method_rows: list[dict[str, Any]], path: Path) -> bool:
    """Plot differences as bars with their 95 % intervals, and the paper's sizes as marks; False without results."""
    shown = [one for one in method_rows if one['size'] is not None]
    if not shown:
        path.unlink(missing_ok=True)
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kinds = sorted({one['metric'].split('_')[0] for one in shown})  # one axis per unit
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(shown) + 0.8 * len(kinds)), layout='constrained')
    FigureCanvasAgg(figure)
    groups = [[one for one in shown if one['metric'].startswith(kind)] for kind in kinds]
    grid = figure.subplots(len(kinds), 1, squeeze=False, height_ratios=[len(group) + 1 for group in groups])
    for axes, kind, group in zip(grid[:, 0], kinds, groups, strict=True):
        for i, one in enumerate(group):
            spread = None if one['low'] is None else [[one['size'] - one['low']], [one['high'] - one['size']]]
            stale = one['verdict'] == 'stale'
            style = {'color': '0.9', 'hatch': '///', 'edgecolor': '0.5'} if stale else {'color': 'C0', 'alpha': 0.5}
            axes.barh(i, one['size'], xerr=spread, capsize=3, **style)
            if one['paper_size'] is not None:
                axes.plot([one['paper_size']], [i], 'k|', markersize=14)
        axes.axvline(0, color='k', linewidth=0.8)
        axes.set_yticks(range(len(group)), [f'{one["id"]} ({one["budget"]})' for one in group], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel(f'difference in {kind}; | is the size in the paper; grey is stale', fontsize=8)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=110, format='png')
    return True


def published_page(ledgers: dict[str, Ledger], docs: Path, published: Path) -> str:
    """Return the page of the papers' tables, with the budgets at which each row has been run.

    Raises:
        ConfigError: a file of published results is invalid.
    """
    out = [
        MARK + '# Published tables\n\nFigures as the papers print them. The last column says at which budgets we have '
        'trained that row, with how many seeds; our figures are in the pages of the claims, never in these columns. '
        f'{BUDGET_NOTE}\n'
    ]
    for file in sorted(published.glob('*.json')):
        try:
            data = json.loads(file.read_text())
            ledger = ledgers.get(file.stem)
            out.append(f'## {file.stem}\n\n{data["paper"]}, <{data["url"]}>. {data.get("note", "")}\n')
            for one in data['tables']:
                out.append(f'**{one["table"]}** ({one["metric"]}; {one["data"]})\n')
                out.append('| row | ' + ' | '.join(one['columns']) + ' | run here |')
                out.append('|---' * (len(one['columns']) + 2) + '|')
                for name, values in one['rows'].items():
                    ran = _ran(ledger, one.get('models', {}).get(name), docs)
                    cells = ['-' if value is None else str(value) for value in values]
                    out.append(f'| {name} | ' + ' | '.join(cells) + f' | {ran} |')
                out.append('')
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f'{file}: {type(error).__name__}: {error}') from error
    return '\n'.join(out)


def _ran(ledger: Ledger | None, model: str | None, docs: Path) -> str:
    if ledger is None or model is None:
        return 'no'
    counts = {budget: [*results(ledger, model, budget, docs).values()] for budget in BUDGETS}
    cells = []
    for budget, found in counts.items():
        done = [one for one in found if 'failed' not in one]
        stale = sum(bool(one['changed']) for one in done)
        if done:
            cells.append(f'{budget} ({len(done)}' + (f', {stale} stale)' if stale else ')'))
    return ', '.join(cells) or 'no'


def write_pages(ledgers: dict[str, Ledger], docs: Path, published: Path) -> None:
    """Write METHOD.md, METHOD.json and METHOD.png of each method, the index and the published tables."""
    again: list[dict[str, Any]] = []
    lines = ['| method | ' + ' | '.join(VERDICTS) + ' |', '|---' * (len(VERDICTS) + 1) + '|']
    for method, ledger in ledgers.items():
        found = rows(ledger, ledger.claims, docs)
        write_json(docs / f'{method}.json', {'paper': ledger.paper, 'url': ledger.url, 'rows': found})
        picture = f'\n\n![differences]({method}.png)' if draw(found, docs / f'{method}.png') else ''
        for sweep in ledger.sweeps:
            for budget in BUDGETS:
                write_sweep(ledger, sweep, budget, docs)
        head = f'{MARK}# Claims of {method}\n\n{ledger.paper}, <{ledger.url}>.\n\n{RULE}\n\n'
        text = f'{head}{table(found)}{explanations(found)}{repetitions(found)}{scores_table(ledger, docs)}{picture}'
        text += sweeps_section(ledger, docs) + '\n'
        write_whole(docs / f'{method}.md', text.encode())
        again += [one['repeated'] for one in found if one['repeated']]
        count = Counter(one['verdict'] for one in found)
        lines.append(f'| [{method}]({method}.md) | ' + ' | '.join(str(count[name]) for name in VERDICTS) + ' |')
    methods = '\n'.join(ledgers)
    same = sum(one['first'] == one['further'] for one in again)
    counted = f'\n\nClaims that were repeated with other seeds: {len(again)}; with the same verdict: {same}.'
    text = (
        f'{MARK}# Claims\n\nClaims of the five papers and our verdicts; each page defines the verdicts. A claim that '
        'was run at two budgets counts twice. `restorebox reproduce METHOD/CLAIM --budget small` runs one, '
        '`--first-seed 5` with other seeds, `restorebox reproduce --status` says what each verdict still needs.\n\n'
        + '\n'.join(lines)
        + (counted if again else '')
        + f'\n\nThe tables of the papers: [published tables](published.md).\n\n```{{toctree}}\n:hidden:\n\n{methods}\n'
        'published\n```\n'
    )
    write_whole(docs / 'README.md', text.encode())
    write_whole(docs / 'published.md', published_page(ledgers, docs, published).encode())
