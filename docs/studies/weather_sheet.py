"""What the shipped model makes of photographs that may be passed on: the README's first picture.

    python docs/studies/weather_sheet.py

Writes docs/images/weather.jpg: drawn damage, what is made of it, the truth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from restorebox import RestoreInferencer
from restorebox.cli.demo import HELD_OUT, packaged
from restorebox.datasets.reading import read_picture
from restorebox.degradations import build_degradation
from restorebox.drawing import draw_sheet
from restorebox.metrics.protocols import protocol

OUT = Path(__file__).resolve().parents[1] / 'images' / 'weather.jpg'
SIZE = (480, 320)
ROWS = {'coffee': 'heavy_rain', 'chelsea': 'light_rain', 'china': 'moderate', 'rocket': None}


def main() -> None:
    """Damage, restore, draw."""
    photographs = {path.stem: path for path in packaged(HELD_OUT)}
    weather, psnr = RestoreInferencer('weather'), protocol('psnr_y')
    rows = []
    for number, (name, recipe) in enumerate(ROWS.items()):
        clean = np.asarray(Image.fromarray(read_picture(photographs[name])).resize(SIZE, Image.Resampling.LANCZOS))
        damaged = clean
        if recipe is not None:
            degradation = build_degradation(recipe)
            drawn = degradation(clean, np.random.default_rng(number))['lq']
            damaged = (drawn.clip(0, 1) * 255).round().astype(np.uint8)
        restored = weather(damaged)
        score = lambda x, truth=clean: f'psnr_y {psnr(x / 255, truth / 255):.2f}'  # noqa: E731
        before = 'clean' if recipe is None else f'{recipe}: {score(damaged)}'
        rows.append([(before, damaged), (f'restored: {score(restored)}', restored), ('truth', clean)])
    png = OUT.with_suffix('.png')
    draw_sheet(rows, png)
    Image.open(png).convert('RGB').save(OUT, quality=88)
    png.unlink()


if __name__ == '__main__':
    main()
