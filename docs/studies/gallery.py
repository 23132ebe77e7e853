"""Draw the pictures of docs/gallery.md and of the first page: each degradation, and what the default model makes of it.

    python docs/studies/gallery.py

The degradations are all named recipes, and the registered classes that no recipe uses, with their defaults. Writes
docs/images/gallery/NAME.webp (damaged, then restored), docs/images/{before,after}.webp, docs/images/layers.webp and
docs/results/gallery.json. Photographs: china.jpg of scikit-learn, by danielbuechele, CC BY 2.0; coffee.png of
scikit-image, by Rachel Michetti, CC0.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from restorebox.cli.common import guarded
from restorebox.datasets.reading import read_picture
from restorebox.degradations import build_degradation
from restorebox.degradations.recipes import ABOUT, RECIPES
from restorebox.demo.photographs import HELD_OUT, packaged
from restorebox.files import DEFAULT_MODEL, replacing
from restorebox.inference import RestoreInferencer, find_model
from restorebox.metrics.protocols import protocol
from restorebox.pixels import to_uint8
from restorebox.registry import DEGRADATIONS

DOCS = Path(__file__).resolve().parents[1]
PICTURES = DOCS / 'images' / 'gallery'
SIZE = (360, 240)
FIRST_PAGE = ('coffee', 'heavy_rain', (600, 400))
LAYERS = ('streak', 'transmission', 'depth')
SEED = 5
COMBINING = {'Compose', 'OneOf'}  # consist of other degradations
LONGEST = 12  # a drawn list with more values is named by its length
PROTOCOLS = ('psnr_y', 'ssim_y')


def degradations() -> dict[str, dict]:
    """Return name -> config of each degradation of the gallery; a class without a recipe has its own name."""
    DEGRADATIONS.import_from_location()
    used = {config['type'] for config in RECIPES.values()}
    ours = {name for name, kind in DEGRADATIONS.module_dict.items() if kind.__module__.startswith('restorebox.')}
    return RECIPES | {name: {'type': name} for name in sorted(ours - used - COMBINING)}


def photograph(name: str, size: tuple[int, int]) -> np.ndarray:
    """Return a photograph of the demo's test set, cropped to the aspect of ``size`` (width, height) and scaled to it.

    Returns:
        HWC uint8 RGB.
    """
    (path,) = (each for each in packaged(HELD_OUT) if each.stem == name)
    picture = Image.fromarray(read_picture(path))
    scale = max(size[0] / picture.width, size[1] / picture.height)
    width, height = round(picture.width * scale), round(picture.height * scale)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture.crop((left, top, left + size[0], top + size[1])))


def shown(parameters: dict) -> dict:
    """Return drawn parameters for people: rounded, without seeds, long lists by their length."""
    out = {name: _short(value) for name, value in parameters.items() if 'seed' not in name}
    return {name: value for name, value in out.items() if value not in (None, [], {})}


def _short(value: object) -> object:
    if isinstance(value, dict):
        return shown(value)
    if isinstance(value, list):
        return f'{len(value)} values' if len(value) > LONGEST else [_short(each) for each in value]
    return float(f'{value:.3g}') if isinstance(value, float) else value


def save(pictures: list[np.ndarray], path: Path) -> None:
    """Save pictures of one height side by side as WebP."""
    with replacing(path) as beside:
        Image.fromarray(np.concatenate(pictures, axis=1)).save(beside, 'WEBP', quality=82, method=6)


def main() -> None:
    """Draw all pictures and write their parameters and scores."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    models = {DEFAULT_MODEL: RestoreInferencer(precision='fp32')}
    measures = {name: protocol(name) for name in PROTOCOLS}
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    clean = photograph('china', SIZE)
    rows = []
    for name, config in degradations().items():
        rendered = build_degradation(config)(clean, np.random.default_rng(SEED))
        damaged = to_uint8(rendered['lq'])
        restored = {model: each.restore_array(damaged) for model, each in models.items()}
        save([damaged, *restored.values()], PICTURES / f'{name}.webp')
        scores = {
            side: {score: round(measure(picture / 255, clean / 255), 4) for score, measure in measures.items()}
            for side, picture in {'input': damaged, **restored}.items()
        }
        rows.append(
            {
                'name': name,
                'about': ABOUT.get(name),
                'config': config,
                'parameters': shown(rendered['parameters']),
                'scores': scores,
            }
        )
        if name == 'heavy_rain':
            layers = [np.broadcast_to(to_uint8(rendered[role]), damaged.shape) for role in LAYERS]
            save([damaged, *layers], DOCS / 'images' / 'layers.webp')
    stem, recipe, size = FIRST_PAGE
    scene = photograph(stem, size)
    damaged = to_uint8(build_degradation(recipe)(scene, np.random.default_rng(SEED))['lq'])
    save([damaged], DOCS / 'images' / 'before.webp')
    save([next(iter(models.values())).restore_array(damaged)], DOCS / 'images' / 'after.webp')
    result = {
        'photograph': 'china.jpg',
        'size': list(SIZE),
        'seed': SEED,
        'models': {name: find_model(name).sha256 for name in models},
        'first_page': {'photograph': stem, 'recipe': recipe, 'model': next(iter(models))},
        'rows': rows,
    }
    with replacing(DOCS / 'results' / 'gallery.json') as beside:
        beside.write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)
