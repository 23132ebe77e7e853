"""Contact sheet of suspicious pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from restorebox.datasets.inspection.findings import KINDS, Finding, Report
from restorebox.datasets.reading import read_picture
from restorebox.errors import PictureError
from restorebox.figures import save_sheet
from restorebox.pixels import to_uint8

ROWS = 24
PER_KIND = 6
SMALL = 360  # pixels
LABELS = {'near_duplicate': ('train', 'held out'), 'same_file': ('train', 'held out')}


def save_findings(report: Report, path: str | Path) -> bool:
    """Draw the findings that are about readable pictures, one a row, errors first; at most a few of each kind.

    Args:
        report: a finished report.
        path: of the PNG; an old one is removed where there is nothing to draw.

    Returns:
        Whether there was something to draw.
    """
    rows = []
    for kind in KINDS:
        found = [each for each in report.findings if each.kind == kind and each.parts]
        drawn = (row for each in found if (row := _row(each)))
        rows += [row for row, _ in zip(drawn, range(PER_KIND), strict=False)]
    if not rows:
        Path(path).unlink(missing_ok=True)
        return False
    save_sheet(rows[:ROWS], path)
    return True


def _row(finding: Finding) -> list[tuple[str, np.ndarray]]:
    labels = LABELS.get(finding.kind, ('lq', 'gt') if len(finding.files) == 2 else ('',))
    value = '' if finding.value is None else f' {finding.value:.2f}'
    row = []
    for k, file in enumerate(finding.files):
        try:
            picture = read_picture(file)
        except PictureError:
            continue
        if finding.parts[k]:
            place, number = finding.parts[k]
            width = picture.shape[1] // number
            picture = picture[:, place * width : (place + 1) * width]
        picture = np.ascontiguousarray(to_uint8(picture))
        size = f'{picture.shape[1]}x{picture.shape[0]}'
        head = f'{finding.kind.replace("_", " ")}{value}: ' if not row else ''
        row.append((f'{head}{labels[k]} {Path(file).name} {size}'.replace('  ', ' '), _fit(picture)))
    return row


def _fit(picture: np.ndarray) -> np.ndarray:
    """Shrink a large picture, so that a sheet of many stays small."""
    step = -(-max(picture.shape[:2]) // SMALL)
    if step == 1:
        return picture
    rows, columns = (n // step * step for n in picture.shape[:2])
    if not rows or not columns:
        return picture[::step, ::step].copy()
    tiles = picture[:rows, :columns].reshape(rows // step, step, columns // step, step, -1)
    return tiles.mean(axis=(1, 3)).astype(np.uint8)
