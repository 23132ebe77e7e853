"""See the shipped model at work, then train and score a small one: on real photographs, in minutes on a laptop.

The photographs are those that come inside scikit-image and scikit-learn, and those of --data. The shipped model gets
some that it never saw, under rain, veil, noise and JPEG; for the small one line rain is drawn over them on the fly.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from restorebox.cli.common import positive
from restorebox.errors import DataError

# (package, folder inside it, files): photographs that their packages say may be passed on
TRAIN = [
    ('skimage', 'data', 'astronaut.png brick.png grass.png gravel.png camera.png motorcycle_left.png'),
    ('skimage', 'data', 'retina.jpg hubble_deep_field.jpg moon.png'),
    ('sklearn', 'datasets/images', 'flower.jpg'),
]
HELD_OUT = [('skimage', 'data', 'chelsea.png coffee.png rocket.jpg'), ('sklearn', 'datasets/images', 'china.jpg')]
MARKER = '.restorebox_demo'  # in a folder that a demo made, and may empty
TILE = 256  # pixels; small files decode fast enough to keep training busy
SHORT_SIDE = 512  # a larger photograph is shrunk to it first


def packaged(photographs: list[tuple[str, str, str]]) -> list[Path]:
    """Paths of photographs inside installed packages.

    Raises:
        DataError: a package or a file is not there.
    """
    found = []
    for package, folder, names in photographs:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise DataError(f"demo: the package {package} is not installed; pip install 'restorebox[demo]'")
        for name in names.split():
            path = Path(spec.origin).parent / folder / name
            if not path.is_file():
                raise DataError(f'demo: {path} is missing from the installed {package}')
            found.append(path)
    return found


def _shrunk(path: Path) -> np.ndarray:
    from restorebox.datasets.reading import read_picture

    picture = Image.fromarray(read_picture(path))
    scale = SHORT_SIDE / min(picture.size)
    if scale < 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(picture)


def make_data(root: Path, folder: Path | None) -> tuple[int, int]:
    """Lay out ``root/{train,test}/gt`` from packaged photographs and a folder of the user's.

    Every tenth picture of the folder is held out, at most 20 of them.

    Returns:
        Number of training tiles and of held-out pictures.

    Raises:
        DataError: the folder is missing or empty.
    """
    from restorebox.datasets.reading import list_pictures

    train, test = packaged(TRAIN), packaged(HELD_OUT)
    if folder is not None:
        own = list_pictures(folder)
        held = own[::10][:20] if len(own) > 1 else []
        train += [path for path in own if path not in held]
        test += held
    counts = [0, 0]
    for part, paths in enumerate((train, test)):
        out = root / ('train', 'test')[part] / 'gt'
        out.mkdir(parents=True)
        for path in paths:
            picture = _shrunk(path)
            height, width = picture.shape[:2]
            if part == 1:
                Image.fromarray(picture).save(out / f'{path.stem}.png')
                counts[1] += 1
                continue
            for y in range(0, max(height - TILE // 2, 1), TILE):
                for x in range(0, max(width - TILE // 2, 1), TILE):
                    tile = picture[y : y + TILE, x : x + TILE]
                    Image.fromarray(tile).save(out / f'{path.stem}_{y}_{x}.png', compress_level=1)
                    counts[0] += 1
    return counts[0], counts[1]


def own_folder(folder: Path) -> None:
    """Empty the folder of an earlier demo, or make it.

    Raises:
        DataError: it holds something that no demo made.
    """
    marker = folder / MARKER
    if folder.exists() and not marker.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f'demo: {folder} is not empty and no earlier demo made it; give another --work-dir')
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()


def show_first(own: list[Path], folder: Path, began: float) -> None:
    """What the shipped model makes of photographs that it never saw: a sheet and scores, within the first minute."""
    from restorebox.cli.demo_shipped import MODEL, chosen, show_shipped
    from restorebox.metrics.scores import score_table

    sheet, scores = folder / 'sheets' / 'shipped.png', folder / 'shipped.json'
    found = show_shipped(chosen(packaged(HELD_OUT), own), sheet, scores)
    print(f'the shipped model, {MODEL}, in {found["precision"]}:\n{score_table(found)}')
    print(f'sheet:  {sheet}\nscores: {scores}\nafter {time.perf_counter() - began:.0f} s\n')
    print('now a small one is trained from nothing', flush=True)


def main(argv: list[str]) -> None:
    """Show the shipped model; make the data, train, test, print the table."""
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
    args = parser.parse_args(argv)

    from restorebox.cli import test
    from restorebox.datasets.reading import list_pictures
    from restorebox.engine.config import load_config, set_data_root
    from restorebox.engine.running import run_config
    from restorebox.metrics.scores import score_table

    began = time.perf_counter()
    own = list_pictures(args.data) if args.data is not None else []
    own_folder(args.work_dir)
    show_first(own, args.work_dir, began)
    tiles, held = make_data(args.work_dir / 'data', args.data)
    print(f'{tiles} training tiles, {held} held-out photographs in {args.work_dir / "data"}', flush=True)
    cfg = load_config('configs/unet/unet_demo.py')
    set_data_root(cfg, str(args.work_dir / 'data'))
    if args.samples:
        cfg.train_cfg.max_samples = args.samples
        cfg.overrides = {'train_cfg.max_samples': args.samples}
    cfg.work_dir, cfg.launcher = str(args.work_dir), 'none'
    runner = run_config(cfg, 'train')
    options = ['--work-dir', str(args.work_dir), '--data-root', str(args.work_dir / 'data')]
    test.main(['configs/unet/unet_demo.py', str(runner.last_checkpoint()), *options])
    scores = json.loads((args.work_dir / 'scores.json').read_bytes())
    print(f'\n{score_table(scores)}')
    print(f'\nsheet:  {args.work_dir / "sheets" / "test.png"}')
    print(f'curves: {args.work_dir / "curves.png"}')
    print(f'scores: {args.work_dir / "scores.json"}')
    print(f'{(time.perf_counter() - began) / 60:.1f} minutes')
