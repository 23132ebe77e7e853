"""See the shipped model at work, then train and score a small one: on real photographs, in minutes on a laptop.

The photographs are those that come inside scikit-image and scikit-learn, and those of --data. The shipped model gets
some that it never saw, under rain, veil, noise and JPEG; for the small one line rain is drawn over them on the fly.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from restorebox.cli.common import positive


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``demo``."""
    parser = argparse.ArgumentParser(prog='restorebox demo', description=__doc__)
    parser.add_argument(
        '--data', type=Path, help='a folder of your own clean photographs, used beside the packaged ones'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/demo'),
        help="an empty folder, or an earlier demo's",
    )
    parser.add_argument('--samples', type=positive, help="crops to train on (default: the config's)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Show the shipped model; make the data, train, test, print the table."""
    args = parse(argv)
    from restorebox.datasets.reading import list_pictures
    from restorebox.demo.photographs import make_data, own_folder
    from restorebox.demo.training import train_small
    from restorebox.metrics.scores import score_table

    began = time.perf_counter()
    own = list_pictures(args.data) if args.data is not None else []
    own_folder(args.work_dir)
    show_first(own, args.work_dir, began)
    tiles, held = make_data(args.work_dir / 'data', args.data)
    print(f'{tiles} training tiles, {held} held-out photographs in {args.work_dir / "data"}', flush=True)
    scores = train_small(args.work_dir, args.samples)
    print(f'\n{score_table(scores)}')
    print(f'\nsheet:  {args.work_dir / "sheets" / "test.png"}')
    print(f'curves: {args.work_dir / "curves.png"}')
    print(f'scores: {args.work_dir / "scores.json"}')
    print(f'{(time.perf_counter() - began) / 60:.1f} minutes')


def show_first(own: list[Path], folder: Path, began: float) -> None:
    """What the shipped model makes of photographs that it never saw: a sheet and scores, within the first minute."""
    from restorebox.demo.photographs import HELD_OUT, packaged
    from restorebox.demo.shipped import MODEL, chosen, show_shipped
    from restorebox.metrics.scores import score_table

    sheet, scores = folder / 'sheets' / 'shipped.png', folder / 'shipped.json'
    found = show_shipped(chosen(packaged(HELD_OUT), own), sheet, scores)
    print(f'the shipped model, {MODEL}, in {found["precision"]}:\n{score_table(found)}')
    print(f'sheet:  {sheet}\nscores: {scores}\nafter {time.perf_counter() - began:.0f} s\n')
    print('now a small one is trained from nothing', flush=True)
