"""Plot how far generated pictures are from their sources during training of RainDiffusion, from the logs of runs.

    python docs/studies/collapse_curve.py NAME LABEL=WORK_DIR [LABEL=WORK_DIR ...]

Writes docs/results/NAME.json and NAME.png.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from restorebox.cli.common import guarded

RESULTS = Path(__file__).resolve().parents[1] / 'results'
SHIFTS = {'shift_rainy': "|x' - x|", 'shift_clean': "|y' - y|"}


def read(folder: Path) -> dict[str, list]:
    """Return the steps and distances of a run, including resumed ones."""
    rows = {}
    for file in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if 'shift_rainy' in row:
                rows[row['step']] = row
    return {'step': sorted(rows), **{name: [rows[step][name] for step in sorted(rows)] for name in SHIFTS}}


def draw(curves: dict[str, dict], out: Path) -> None:
    """Draw both distances of all runs."""
    figure = Figure(figsize=(9, 3.2), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(1, 2, sharey=True), SHIFTS.items(), strict=True):
        for label, curve in curves.items():
            axes.plot(curve['step'], curve[name], label=label)
        axes.set_yscale('log')
        axes.set_title(title, fontsize=10)
        axes.set_xlabel('step')
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Read the logs, write the JSON and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('name')
    parser.add_argument('runs', nargs='+', metavar='LABEL=WORK_DIR')
    args = parser.parse_args()
    curves = {label: read(Path(folder)) for label, folder in (item.split('=', 1) for item in args.runs)}
    (RESULTS / f'{args.name}.json').write_text(json.dumps(curves, indent=1) + '\n')
    draw(curves, RESULTS / f'{args.name}.png')


if __name__ == '__main__':
    guarded(main)
