"""Compare runs by their work directories: scores, differences per picture, training curves and configs.

Prints the tables; draws curves.png, and pictures.png if the tests were run with --save-pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.errors import printable


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``compare``."""
    parser = argparse.ArgumentParser(prog='restorebox compare', description=__doc__)
    parser.add_argument(
        'runs', nargs='+', type=Path, metavar='RUN', help='work directories; the first is the reference'
    )
    parser.add_argument('--score', help='score for the differences per picture (default: the first that all have)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/compare'), help='folder for the figures')
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Print the comparison and draw the figures."""
    args = parse(argv)
    from restorebox.engine import comparison

    runs = comparison.read_runs(args.runs)
    score = args.score or comparison.default_score(runs)
    figures = comparison.draw(runs, score, args.out)  # before the notes, which name pictures that can't be read
    parts = {
        'scores': comparison.score_lines(runs),
        'pictures': comparison.picture_lines(runs, score),
        'configs': comparison.config_lines(runs),
        'notes': [line for run in runs for line in run.missing],
        'figures': [str(path) for path in figures],
    }
    for title, lines in parts.items():
        if lines:
            print('\n'.join([f'{title}:', *(f'  {printable(line)}' for line in lines)]))
