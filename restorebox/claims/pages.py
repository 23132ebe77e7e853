"""Generation of the pages in docs/claims from stored results."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from restorebox.claims.ledger import BUDGETS, Ledger
from restorebox.claims.rows import results, rows
from restorebox.claims.runs import write_json
from restorebox.claims.verdict import VERDICTS
from restorebox.errors import ConfigError
from restorebox.files import replacing, write_whole

MARK = '<!-- written by restorebox reproduce -->\n\n'
RULE = (
    'A size is the mean of the seed-paired differences, in brackets the lowest and the highest. `reproduced`: every '
    'difference has the sign of the claim; `direction only`: their mean has; `equivalent`, for a claim of equality: '
    'each is within its tolerance. The budget `small` is no setting of the paper, and `tiny` only shows that it runs.'
)


def number(value: float | None, metric: str) -> str:
    """Format a difference: 2 decimals for PSNR, 4 for other metrics."""
    return '' if value is None else f'{value:+.2f}' if metric.startswith('psnr') else f'{value:+.4f}'


def repeated(one: dict[str, Any]) -> str:
    """Format the verdict of each group of seeds; empty if the claim was not repeated."""
    each = [f'{", ".join(map(str, group["seeds"]))}: {group["verdict"]}' for group in one['groups']]
    return f' (by themselves seeds {"; ".join(each)})' if each else ''


def table(method_rows: list[dict[str, Any]]) -> str:
    """Format a Markdown table with one line per row."""
    head = '| claim | says | where | score | paper | budget | here | seeds | cost | verdict |'
    lines = [head, '|---' * 10 + '|']
    for one in method_rows:
        here = number(one['size'], one['metric'])
        if len(one['seeds']) > 1:
            here += f' ({number(one["lowest"], one["metric"])} to {number(one["highest"], one["metric"])})'
        paper = number(one['paper_size'], one['metric'])
        if one['tolerance'] is not None:
            paper += f' (equal within {one["tolerance"]:g})'
        cost = ''
        if one['minutes'] is not None:
            cost = f'{one["samples"]} samples, up to {one["minutes"]:.1f} min, {one["device"]}'
        note = f': {one["note"]}' if one['note'] else ''
        cells = (
            one['id'],
            one['sentence'] + (f' ({one["better"]} / {one["other"]})' if one['better'] else ''),
            one['where'],
            one['metric'],
            paper,
            one['budget'],
            here,
            ', '.join(map(str, one['seeds'])),
            cost,
            one['verdict'] + note + repeated(one),
        )
        lines.append('| ' + ' | '.join(str(cell).replace('|', '/').replace('\n', ' ') for cell in cells) + ' |')
    return '\n'.join(lines)


def explanations(method_rows: list[dict[str, Any]]) -> str:
    """Format a paragraph for each claim that was not reproduced; empty if there is none."""
    lost = [one for one in method_rows if one['verdict'] == 'not reproduced']
    if not lost:
        return ''
    paragraphs = [
        f'**{one["id"]}** ({one["budget"]}, {number(one["size"], one["metric"])}): '
        + (one['explanation'] or 'not explained yet.')
        for one in lost
    ]
    return '\n\n## Not reproduced\n\n' + '\n\n'.join(paragraphs)


def draw(method_rows: list[dict[str, Any]], path: Path) -> bool:
    """Plot measured differences as bars with their range, and the paper's values as marks; False without results."""
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
            spread = [[one['size'] - one['lowest']], [one['highest'] - one['size']]]
            axes.barh(i, one['size'], xerr=spread, color='C0', alpha=0.5, capsize=3)
            if one['paper_size'] is not None:
                axes.plot([one['paper_size']], [i], 'k|', markersize=14)
        axes.axvline(0, color='k', linewidth=0.8)
        axes.set_yticks(range(len(group)), [f'{one["id"]} ({one["budget"]})' for one in group], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel(f'difference in {kind}; | is the size in the paper', fontsize=8)
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
        'trained that row, with how many seeds; our figures are in the pages of the claims, never in these columns.\n'
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
    done = {budget: sum('failed' not in one for one in found) for budget, found in counts.items()}
    return ', '.join(f'{budget} ({count})' for budget, count in done.items() if count) or 'no'


def write_pages(ledgers: dict[str, Ledger], docs: Path, published: Path) -> None:
    """Write METHOD.md, METHOD.json and METHOD.png of each method, the index and the published tables."""
    lines = ['| method | ' + ' | '.join(VERDICTS) + ' |', '|---' * (len(VERDICTS) + 1) + '|']
    again = []
    for method, ledger in ledgers.items():
        found = rows(ledger, ledger.claims, docs)
        write_json(docs / f'{method}.json', {'paper': ledger.paper, 'url': ledger.url, 'rows': found})
        picture = f'\n\n![differences]({method}.png)' if draw(found, docs / f'{method}.png') else ''
        head = f'{MARK}# Claims of {method}\n\n{ledger.paper}, <{ledger.url}>.\n\n{RULE}\n\n'
        text = f'{head}{table(found)}{explanations(found)}{picture}\n'
        write_whole(docs / f'{method}.md', text.encode())
        count = Counter(one['verdict'] for one in found)
        again += [
            (f'{method}/{one["id"]}', {each['verdict'] for each in one['groups']}) for one in found if one['groups']
        ]
        lines.append(f'| [{method}]({method}.md) | ' + ' | '.join(str(count[name]) for name in VERDICTS) + ' |')
    methods = '\n'.join(ledgers)
    same = [name for name, verdicts in again if len(verdicts) == 1]
    others = [name for name, verdicts in again if len(verdicts) > 1]
    repeats = (
        f'Repeated in other processes with other seeds: {len(again)}. The same verdict: {", ".join(same) or "none"}'
    )
    repeats += f'; another one: {", ".join(others)}.' if others else '.'
    text = (
        f'{MARK}# Claims\n\nWhat the five papers claim, and what came of it here. A claim that was run at two budgets '
        'counts twice. `restorebox reproduce METHOD/CLAIM --budget small` runs one, `--first-seed 3` with other '
        'seeds.\n\n'
        + '\n'.join(lines)
        + (f'\n\n{repeats}' if again else '')
        + f'\n\nThe tables of the papers: [published tables](published.md).\n\n```{{toctree}}\n:hidden:\n\n{methods}\n'
        'published\n```\n'
    )
    write_whole(docs / 'README.md', text.encode())
    write_whole(docs / 'published.md', published_page(ledgers, docs, published).encode())
