"""Data set of the demo from photographs in installed packages and the user's own."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.errors import DataError

# (package, folder inside it, files): photographs with licences that permit redistribution
TRAIN = [
    ('skimage', 'data', 'astronaut.png brick.png grass.png gravel.png camera.png motorcycle_left.png'),
    ('skimage', 'data', 'retina.jpg hubble_deep_field.jpg moon.png'),
    ('sklearn', 'datasets/images', 'flower.jpg'),
]
HELD_OUT = [('skimage', 'data', 'chelsea.png coffee.png rocket.jpg'), ('sklearn', 'datasets/images', 'china.jpg')]
MARKER = '.restorebox_demo'  # marks a folder created by the demo, which may be emptied
TILE = 256  # pixels; small files decode fast enough to keep training busy
SHORT_SIDE = 512  # larger photographs are scaled down to it


def packaged(photographs: list[tuple[str, str, str]]) -> list[Path]:
    """Return the paths of photographs in installed packages.

    Raises:
        DataError: a package or file is missing.
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
    picture = Image.fromarray(read_picture(path))
    scale = SHORT_SIDE / min(picture.size)
    if scale < 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(picture)


def make_data(root: Path, folder: Path | None) -> tuple[int, int]:
    """Write ``root/{train,test}/gt`` from packaged photographs and a folder of the user's.

    Every tenth picture of the folder is held out, up to 20.

    Returns:
        Number of training tiles and of held-out pictures.

    Raises:
        DataError: the folder is missing or empty.
    """
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
    """Create the folder, or empty that of an earlier demo.

    Raises:
        DataError: the folder is not empty and was not created by a demo.
    """
    marker = folder / MARKER
    if folder.exists() and not marker.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f'demo: {folder} is not empty and no earlier demo made it; give another --work-dir')
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()
