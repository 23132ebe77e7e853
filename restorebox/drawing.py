"""Pictures for people: sheets of pictures side by side, and training curves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL = 480  # pixels; a larger picture is shrunk to fit, a smaller one is shown as it is
CAPTION = 22
GAP = 6


def draw_sheet(rows: list[list[tuple[str, np.ndarray]]], path: str | Path) -> None:
    """Draw captioned pictures in rows, and save them as one PNG.

    Args:
        rows: per row, (caption, HWC uint8 RGB picture of any size) from left to right.
        path: where to; renamed into place when complete.
    """
    font = ImageFont.load_default(14)
    strips = []
    for row in rows:
        pictures = []
        for _, array in row:
            picture = Image.fromarray(array)
            picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
            pictures.append(picture)
        height = max(p.height for p in pictures) + CAPTION
        widths = [
            max(p.width, round(font.getlength(caption)) + 4) for (caption, _), p in zip(row, pictures, strict=True)
        ]
        strip = Image.new('RGB', (sum(widths) + GAP * (len(widths) - 1), height), 'white')
        draw = ImageDraw.Draw(strip)
        left = 0
        for (caption, _), picture, width in zip(row, pictures, widths, strict=True):
            draw.text((left + 2, 2), caption, fill='black', font=font)
            strip.paste(picture, (left, CAPTION))
            left += width + GAP
        strips.append(strip)
    sheet = Image.new(
        'RGB', (max(s.width for s in strips), sum(s.height for s in strips) + GAP * (len(strips) - 1)), 'white'
    )
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height + GAP
    temporary = Path(path).with_suffix('.tmp.png')
    sheet.save(temporary)
    os.replace(temporary, path)


def read_scalars(logs: list[Path]) -> dict[str, list[tuple[int, float]]]:
    """Logged values by name over steps, from MMEngine's ``scalars.json`` files; a resumed run's later file wins."""
    series: dict[str, dict[int, float]] = {}
    for log in logs:
        for line in log.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:  # the line a killed run was writing
                continue
            step = record.get('iter', record.get('step', 0))
            for name, value in record.items():
                if isinstance(value, (int, float)) and name not in ('iter', 'step', 'epoch'):
                    series.setdefault(name, {})[step] = value
    return {name: sorted(values.items()) for name, values in series.items()}


def draw_curves(logs: list[Path], path: str | Path) -> None:
    """Draw losses, other training terms, validation scores and learning rates over steps, and save one PNG.

    Args:
        logs: ``scalars.json`` files of a run, oldest first.
        path: where to; renamed into place when complete.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    skip = ('time', 'data_time', 'memory', 'eta', 'grad_norm')
    series = {k: v for k, v in read_scalars(logs).items() if not k.endswith(skip)}
    training = {k for k in series if k.startswith(('loss', 'total_'))}
    rates = {k for k in series if k == 'lr' or k.endswith(('.lr', '/lr', 'base_lr'))}
    panels = [
        ('losses', sorted(training)),
        ('scores', sorted(series.keys() - training - rates)),
        ('learning rate', sorted(rates)),
    ]
    panels = [(title, names) for title, names in panels if names]
    if not panels:
        return
    figure = Figure(figsize=(8, 2.8 * len(panels)), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, (title, names) in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        for name in names:
            steps, values = zip(*series[name], strict=True)
            axes.plot(steps, values, label=name, linewidth=1.2, marker='o' if len(steps) < 3 else None)
        if title == 'losses' and all(v > 0 for name in names for _, v in series[name]):
            axes.set_yscale('log')
        axes.set_title(title, loc='left', fontsize=10)
        axes.set_xlabel('step')
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    temporary = Path(path).with_suffix('.tmp.png')
    figure.savefig(temporary, dpi=110)
    os.replace(temporary, path)
