"""Draw docs/images/degradations.jpg: every named recipe on one photograph, and the layers of heavy rain.

The photograph is china.jpg of scikit-learn (by danielbuechele, CC BY 2.0). Run it from the root of the repository:

    python docs/studies/degradations_sheet.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from restorebox.degradations import build_degradation
from restorebox.degradations.recipes import RECIPES
from restorebox.figures import save_sheet
from restorebox.pixels import to_uint8

OUT = Path(__file__).resolve().parents[1] / 'images' / 'degradations.jpg'
COLUMNS = 5
WIDTH = 360  # pixels of a picture on the sheet
SEED = 5
LAYERS = ('streak', 'transmission', 'depth')


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """Convert HxWx1 or HWC in [0, 1] to HWC uint8."""
    rounded = to_uint8(picture)
    return np.repeat(rounded, 3 // rounded.shape[2], axis=2)


def main() -> None:
    """Render and save the sheet."""
    photograph = Image.fromarray(load_sample_image('china.jpg'))
    height = round(photograph.height * WIDTH / photograph.width)
    clear = np.asarray(photograph.resize((WIDTH, height), Image.Resampling.LANCZOS))
    cells = [('clear', clear)]
    for name in RECIPES:
        rendered = build_degradation(name)(clear, np.random.default_rng(SEED))
        cells.append((name, to_bytes(rendered['lq'])))
        if name == 'heavy_rain':
            layers = [(f'heavy_rain: {role}', to_bytes(rendered[role])) for role in LAYERS]
    cells += layers
    sheet = OUT.with_suffix('.png')
    save_sheet([cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)], sheet)
    Image.open(sheet).save(OUT, quality=88)
    sheet.unlink()


if __name__ == '__main__':
    main()
