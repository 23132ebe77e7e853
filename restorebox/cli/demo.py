"""Show results of the shipped model, then train and score a small one on real photographs, in minutes on a laptop.

The photographs are those in scikit-image and scikit-learn, and those of --data. The shipped model restores unseen
photographs with rain, veil, noise and JPEG artefacts. The small model is trained on synthetic line rain.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from restorebox.cli.common import positive


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``demo``."""
    parser = argparse.ArgumentParser(prog='restorebox demo', description=__doc__)
    parser.add_argument(
        '--data', type=Path, help='a folder of your own clean photographs, used in addition to the packaged ones'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/demo'),
        help='an empty folder, or that of an earlier demo',
    )
    parser.add_argument('--samples', type=positive, help="number of training crops (default: the config's)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Show results of the shipped model; make the data, train, test, and print the scores."""
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
    """Restore unseen photographs with the shipped model; writes a sheet and scores within the first minute."""
    from restorebox.demo.photographs import HELD_OUT, packaged
    from restorebox.demo.shipped import chosen, show_shipped
    from restorebox.files import DEFAULT_MODEL
    from restorebox.metrics.scores import score_table

    sheet, scores = folder / 'sheets' / 'shipped.png', folder / 'shipped.json'
    found = show_shipped(chosen(packaged(HELD_OUT), own), sheet, scores)
    print(f'the shipped model, {DEFAULT_MODEL}, in {found["precision"]}:\n{score_table(found)}')
    print(f'sheet:  {sheet}\nscores: {scores}\nafter {time.perf_counter() - began:.0f} s\n')
    print('training a small model from scratch', flush=True)
