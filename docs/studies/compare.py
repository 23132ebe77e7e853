"""Train several configs on the same pictures with several seeds, test them, and compare the scores.

    python docs/studies/compare.py NAME LABEL=CONFIG[@ROW] ... --data-root FOLDER --data WORDS

CONFIG@ROW selects a row of a config, as --row does. Each config is trained with each seed, and its last checkpoint is
tested. Complete runs are not repeated; interrupted ones are resumed. Writes docs/results/NAME.json (every score with
its protocol and cost), NAME.md (a table: mean, lowest and highest seed) and NAME.png (a bar chart).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from restorebox.claims.runs import KEPT, train_and_test
from restorebox.cli.common import guarded, run_name

RESULTS = Path(__file__).resolve().parents[1] / 'results'
SCORES = ('psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb')


def show(name: str, value: float) -> str:
    """Format a score with a suitable number of digits."""
    return f'{value:.4f}' if name.startswith(('ssim', 'mae')) else f'{value:.2f}'


def table(results: dict[str, list[dict]], scores: Sequence[str] = SCORES) -> str:
    """Return the mean over the seeds with (lowest, highest) as Markdown; the first row is the unchanged input."""
    first = next(iter(results.values()))[0]
    lines = ['| | ' + ' | '.join(scores) + ' | minutes |', '|---' * (len(scores) + 2) + '|']
    nothing = {name: first['mean'].get(f'input/{name}') for name in scores}  # a layer has none
    untouched = ['' if value is None else show(name, value) for name, value in nothing.items()]
    lines.append('| input (do nothing) | ' + ' | '.join(untouched) + ' | |')
    for label, runs in results.items():
        cells = []
        for name in scores:
            values = [each['mean'][name] for each in runs]
            spread = f' ({show(name, min(values))} to {show(name, max(values))})' if len(values) > 1 else ''
            cells.append(show(name, statistics.mean(values)) + spread)
        minutes = statistics.mean(each['training']['minutes'] for each in runs)
        lines.append(f'| {label} | ' + ' | '.join(cells) + f' | {minutes:.1f} |')
    return '\n'.join(lines)


def draw(results: dict[str, list[dict]], score: str, path: Path) -> None:
    """Draw bars of means, a dot per seed, and a line for the unchanged input unless its score is perfect."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.6 + 1.1 * len(results), 3.4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    nothing = next(iter(results.values()))[0]['mean'].get(f'input/{score}', math.inf)
    lowest = min(each['mean'][score] for runs in results.values() for each in runs)
    for i, (label, runs) in enumerate(results.items()):
        values = [each['mean'][score] for each in runs]
        axes.bar(i, statistics.mean(values), width=0.6, color='C0', alpha=0.5, label=label)
        axes.plot([i] * len(values), values, 'k.', markersize=5)
    if nothing < 99:  # not perfect, and not absent as for a layer
        axes.axhline(nothing, color='C3', linestyle='--', linewidth=1)
        axes.text(len(results) - 0.5, nothing, ' input', color='C3', va='center', fontsize=8)
    axes.set_ylim(min(lowest, nothing) - 1)
    axes.set_xticks(range(len(results)), list(results), fontsize=8, rotation=15)
    axes.set_ylabel(f'{score} (dB)')
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train and test all configs, then write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('name')
    parser.add_argument('configs', nargs='+', metavar='LABEL=CONFIG[@ROW]')
    parser.add_argument('--data-root', required=True, help='folder of the data sets of all configs')
    parser.add_argument('--data', required=True, help='what the pictures are, for the table')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--scores', nargs='+', default=SCORES, help='columns of the table')
    parser.add_argument('--score', default='psnr_y', help='what the bars show')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare'))
    args = parser.parse_args()
    results = {}
    for item in args.configs:
        label, config = item.split('=', 1)
        config, _, row = config.partition('@')
        name = run_name(config, row or None)
        results[label] = [
            train_and_test(config, seed, args.work_dir / f'{name}_s{seed}', data_root=args.data_root, row=row or None)
            for seed in args.seeds
        ]
    stored = {
        label: [{key: each[key] for key in KEPT if key in each} for each in runs] for label, runs in results.items()
    }
    out = RESULTS / f'{args.name}.json'
    out.write_text(json.dumps({'data': args.data, 'seeds': args.seeds, 'results': stored}, indent=1) + '\n')
    draw(results, args.score, out.with_suffix('.png'))
    first = next(iter(results.values()))[0]
    cost = first['training']
    samples = sorted({runs[0]['training']['samples'] for runs in results.values()})
    note = (
        f'{args.data}. {len(args.seeds)} seed(s), {" or ".join(map(str, samples))} samples each, {cost["device"]}, '
        f'{cost["threads"]} thread(s), {first["count"]} held-out pictures; mean (lowest to highest seed).'
    )
    figures = table(results, args.scores)
    text = f'<!-- written by docs/studies/compare.py -->\n\n{note}\n\n{figures}\n\n![as bars]({args.name}.png)\n'
    out.with_suffix('.md').write_text(text)
    print(text)


if __name__ == '__main__':
    guarded(main)
