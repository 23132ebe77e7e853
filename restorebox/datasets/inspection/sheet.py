"""Contact sheet of the pictures that findings are about."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from restorebox.datasets.inspection.findings import KINDS, Finding, Report
from restorebox.datasets.reading import read_picture
from restorebox.errors import PictureError
from restorebox.figures import save_sheet
from restorebox.pixels import to_uint8

MAX_ROWS = 24
MAX_PER_KIND = 6
MAX_SIZE = 360  # pixels
LABELS = {'near_duplicate': ('train', 'held out'), 'same_file': ('train', 'held out')}


def save_findings(report: Report, path: str | Path) -> bool:
    """Draw findings about readable pictures, one per row, in the order of ``KINDS``; at most a few of each kind.

    Args:
        report: a finished report.
        path: path of the PNG; an existing file is removed if there is nothing to draw.

    Returns:
        Whether a sheet was written.
    """
    rows: list[list[tuple[str, np.ndarray]]] = []
    for kind in KINDS:
        found = [each for each in report.findings if each.kind == kind and each.parts]
        drawn = (row for each in found if (row := _row(each)))
        rows += [row for row, _ in zip(drawn, range(MAX_PER_KIND), strict=False)]
    if not rows:
        Path(path).unlink(missing_ok=True)
        return False
    save_sheet(rows[:MAX_ROWS], path)
    return True


def _row(finding: Finding) -> list[tuple[str, np.ndarray]]:
    labels = LABELS.get(finding.kind, ('lq', 'gt') if len(finding.files) == 2 else ('',))
    value = '' if finding.value is None else f' {finding.value:.2f}'
    row: list[tuple[str, np.ndarray]] = []
    for k, file in enumerate(finding.files):
        try:
            picture = read_picture(file)
        except PictureError:
            continue
        part = finding.parts[k]
        if part:
            index, number = part
            width = picture.shape[1] // number
            picture = picture[:, index * width : (index + 1) * width]
        picture = np.ascontiguousarray(to_uint8(picture))
        size = f'{picture.shape[1]}x{picture.shape[0]}'
        heading = f'{finding.kind.replace("_", " ")}{value}: ' if not row else ''
        row.append((f'{heading}{labels[k]} {Path(file).name} {size}'.replace('  ', ' '), _shrunk(picture)))
    return row


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """Shrink a large picture by an integer factor, to at most ``MAX_SIZE`` pixels, so that the sheet stays small."""
    step = -(-max(picture.shape[:2]) // MAX_SIZE)
    if step == 1:
        return picture
    rows, columns = (n // step * step for n in picture.shape[:2])
    if not rows or not columns:
        return picture[::step, ::step].copy()
    tiles = picture[:rows, :columns].reshape(rows // step, step, columns // step, step, -1)
    return tiles.mean(axis=(1, 3)).astype(np.uint8)
