"""Measure score and time of a diffusion model over the number of sampling steps S, for both spacings.

    python docs/studies/few_steps.py NAME CONFIG CHECKPOINT --data-root FOLDER --data WORDS

Writes docs/results/NAME.json, NAME.md (a table) and NAME.png (the curve). Complete tests are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from restorebox.cli.common import guarded

RESULTS = Path(__file__).resolve().parents[1] / 'results'
SPACINGS = ('leading', 'trailing')


def test(args: argparse.Namespace, steps: int, spacing: str) -> dict:
    """Test with S steps; return mean scores and seconds per picture, including loading and scoring."""
    folder = args.work_dir / f'{args.name}_{spacing}_{steps}'
    done = folder / 'few_steps.json'
    if not done.is_file():
        settings = [f'model.sampling.steps={steps}', f'model.sampling.spacing={spacing}']
        verb = [sys.executable, '-m', 'restorebox', 'test', args.config, args.checkpoint]
        options = ['--data-root', args.data_root, '--work-dir', str(folder), '--cfg-options', *settings]
        start = time.perf_counter()
        subprocess.run([*verb, *options], check=True)
        seconds = time.perf_counter() - start
        scores = json.loads((folder / 'scores.json').read_text())
        kept = {key: scores[key] for key in ('mean', 'count', 'checkpoint', 'libraries', 'device', 'date')}
        kept['checkpoint'] = {**kept['checkpoint'], 'path': Path(kept['checkpoint']['path']).name}
        done.write_text(json.dumps({'steps': steps, 'spacing': spacing, 'seconds': seconds / scores['count'], **kept}))
    return json.loads(done.read_text())


def draw(rows: list[dict], path: Path) -> None:
    """Draw the score over S, one line per spacing, and the score of the input."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for spacing in SPACINGS:
        own = [row for row in rows if row['spacing'] == spacing]
        axes.plot([row['steps'] for row in own], [row['mean']['psnr_y'] for row in own], 'o-', label=spacing)
    axes.axhline(rows[0]['mean']['input/psnr_y'], color='C3', linestyle='--', linewidth=1, label='input')
    axes.set_xscale('log')
    ticks = sorted({row['steps'] for row in rows})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel('steps')
    axes.set_ylabel('psnr_y (dB)')
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run all tests and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('name', 'config', 'checkpoint'):
        parser.add_argument(name)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--data', required=True, help='what the pictures are, for the table')
    parser.add_argument('--steps', type=int, nargs='+', default=[5, 10, 25, 50])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/few_steps'))
    args = parser.parse_args()
    rows = [test(args, steps, spacing) for spacing in SPACINGS for steps in args.steps]
    out = RESULTS / f'{args.name}.json'
    out.write_text(json.dumps({'data': args.data, 'config': args.config, 'rows': rows}, indent=1) + '\n')
    draw(rows, out.with_suffix('.png'))
    lines = ['| spacing | steps | psnr_y | ssim_y | seconds a picture |', '|---|---|---|---|---|']
    mean = rows[0]['mean']
    lines.append(f'| input (do nothing) | | {mean["input/psnr_y"]:.2f} | {mean["input/ssim_y"]:.4f} | |')
    for row in rows:
        mean = row['mean']
        scores = f'{mean["psnr_y"]:.2f} | {mean["ssim_y"]:.4f}'
        lines.append(f'| {row["spacing"]} | {row["steps"]} | {scores} | {row["seconds"]:.1f} |')
    head = (
        f'<!-- written by docs/studies/few_steps.py -->\n\n{args.data}. {args.config}, {rows[0]["count"]} pictures.\n\n'
    )
    text = head + '\n'.join(lines) + f'\n\n![as a curve]({args.name}.png)\n'
    out.with_suffix('.md').write_text(text)
    print(text)


if __name__ == '__main__':
    guarded(main)
