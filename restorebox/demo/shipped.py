"""First part of the demo: the shipped model on unseen photographs with synthetic degradations."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from restorebox.datasets.reading import read_picture
from restorebox.degradations import build_degradation
from restorebox.figures import save_sheet
from restorebox.files import DEFAULT_MODEL
from restorebox.inference import RestoreInferencer, find_model
from restorebox.metrics.protocols import protocol
from restorebox.metrics.scores import write_scores
from restorebox.pixels import to_uint8

LONG_SIDE = 480  # pixels; photographs are scaled down to it
OWN = 4  # maximum number of the user's photographs
# photograph -> degradation recipe; None for none: the model should leave the picture unchanged
DAMAGE = {'coffee': 'heavy_rain', 'chelsea': 'light_rain', 'china': 'moderate', 'rocket': None}
OWN_DAMAGE = ('heavy_rain', 'light_rain', 'moderate')
PROTOCOLS = ('psnr_y', 'ssim_y')


def chosen(packaged: list[Path], own: list[Path]) -> list[tuple[Path, str | None]]:
    """Return pairs (photograph, degradation recipe): the packaged photographs, then some of the user's."""
    by_name = {path.stem: path for path in packaged}
    rows = [(by_name[name], recipe) for name, recipe in DAMAGE.items()]
    spread = own[:: max(len(own) // OWN, 1)][:OWN]
    return rows + list(zip(spread, itertools.cycle(OWN_DAMAGE)))


def small(path: Path) -> np.ndarray:
    """Read a photograph with its long side scaled down to :data:`LONG_SIDE`; HWC uint8 RGB."""
    image = Image.fromarray(read_picture(path)).convert('RGB')
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def show_shipped(rows: list[tuple[Path, str | None]], sheet: Path, scores: Path) -> dict:
    """Degrade, restore and score photographs, and draw a comparison sheet.

    Args:
        rows: see :func:`chosen`.
        sheet: output file of the sheet: degraded, restored, truth.
        scores: output file of the scores, in the format of ``test``; without undegraded photographs.

    Returns:
        The scores.
    """
    weather = RestoreInferencer(DEFAULT_MODEL)
    measures = {name: protocol(name) for name in PROTOCOLS}
    cells, table = [], []
    for number, (path, recipe) in enumerate(rows):
        clean = damaged = small(path)
        if recipe is not None:
            lq = build_degradation(recipe)(clean, np.random.default_rng(number))['lq']
            damaged = to_uint8(lq)
        restored = weather.restore_array(damaged)
        row: dict = {'index': number, 'name': path.stem}
        for name, measure in measures.items():
            row[f'input/{name}'], row[name] = (measure(x / 255, clean / 255) for x in (damaged, restored))
        before = 'clean' if recipe is None else f'{recipe}: psnr_y {row["input/psnr_y"]:.2f}'
        after = f'restored: psnr_y {row["psnr_y"]:.2f}'
        cells.append([(before, damaged), (after, restored), ('truth', clean)])
        if recipe is not None:
            table.append({**row, 'recipe': recipe})
    save_sheet(cells, sheet)
    names = [name for name in table[0] if name.endswith(PROTOCOLS)]
    entry = find_model(DEFAULT_MODEL)
    return write_scores(
        scores,
        metrics={name: float(np.mean([row[name] for row in table])) for name in names},
        tables=[table],
        unavailable={},
        config=entry.config,
        checkpoint=entry.weights,
        sha256=entry.sha256,
        tiled=False,
        statistics_window=weather.restorer.statistics_window,
        extra={'precision': weather.precision},
    )
