"""Comparison sheets of captioned pictures, and plots of training curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from restorebox.errors import printable
from restorebox.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = 480  # pixels; larger pictures are scaled down, smaller ones keep their size
CAPTION = 22
GAP = 6


def save_figure(figure: Figure, path: str | Path) -> None:
    """Save a matplotlib figure as PNG by an atomic write."""
    with replacing(path) as beside:
        figure.savefig(beside, dpi=110, format='png')


def save_sheet(rows: list[list[tuple[str, np.ndarray]]], path: str | Path) -> None:
    """Draw rows of captioned pictures and save them as one PNG.

    Args:
        rows: per row, pairs (caption, HWC uint8 RGB picture of any size) from left to right.
        path: output file, written atomically.
    """
    font = ImageFont.load_default(14)
    shrunk = []
    for captioned in rows:
        pictures = [Image.fromarray(array) for _, array in captioned]
        for picture in pictures:
            picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
        shrunk.append(list(zip([printable(caption) for caption, _ in captioned], pictures, strict=True)))
    columns = max(map(len, shrunk))
    widths = [
        max(max(row[c][1].width, round(font.getlength(row[c][0])) + 4) for row in shrunk if c < len(row))
        for c in range(columns)
    ]
    heights = [max(picture.height for _, picture in row) + CAPTION for row in shrunk]
    sheet = Image.new('RGB', (sum(widths) + GAP * (columns - 1), sum(heights) + GAP * (len(rows) - 1)), 'white')
    draw = ImageDraw.Draw(sheet)
    top = 0
    for row, height in zip(shrunk, heights, strict=True):
        left = 0
        for (caption, picture), width in zip(row, widths, strict=False):  # rows may have fewer columns
            draw.text((left + 2, top + 2), caption, fill='black', font=font)
            sheet.paste(picture, (left, top + CAPTION))
            left += width + GAP
        top += height + GAP
    with replacing(path) as beside:
        sheet.save(beside, 'PNG')


def read_scalars(logs: list[Path]) -> dict[str, list[tuple[int, float]]]:
    """Read logged values from MMEngine's ``scalars.json`` files.

    Returns:
        Name -> sorted pairs (step, value). Where files overlap, as after a resume, the later file takes precedence.
    """
    series: dict[str, dict[int, float]] = {}
    for log in logs:
        for line in log.read_text('utf-8', errors='replace').splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):  # a line cut off when the run was killed
                continue
            if not isinstance(record, dict):
                continue
            step = record.get('iter', record.get('step', 0))
            if not isinstance(step, int):
                continue
            for name, value in record.items():
                if isinstance(value, (int, float)) and name not in ('iter', 'step', 'epoch'):
                    series.setdefault(name, {})[step] = value
    return {name: sorted(values.items()) for name, values in series.items()}


def save_curves(logs: list[Path], path: str | Path) -> None:
    """Plot losses, other training terms, validation scores and learning rates over steps as one PNG.

    Of the scores of a mixture only the means over the sets are plotted.

    Args:
        logs: ``scalars.json`` files of a run, oldest first.
        path: output file, written atomically.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    skip = ('time', 'data_time', 'memory', 'eta', 'grad_norm')
    groups: dict[str, list[str]] = {}
    series = {k: v for k, v in read_scalars(logs).items() if not k.endswith(skip)}
    for name in sorted(series):
        if '/' in name.removeprefix('input/') and not name.endswith('lr'):
            continue
        if name.startswith(('loss', 'total_')):
            title = 'losses'
        elif name == 'lr' or name.endswith(('.lr', '/lr', 'base_lr')):
            title = 'learning rate'
        else:  # one panel per metric, since units differ
            title = name.split('/')[-1].split('_')[0]
        groups.setdefault(title, []).append(name)
    if len(groups.get('losses', [])) == 2 and 'loss' in groups['losses']:  # a single term equals the total
        groups['losses'].remove('loss')
    if not groups:
        return
    titles = sorted(groups, key=lambda title: ({'losses': 0, 'learning rate': 2}.get(title, 1), title))
    figure = Figure(figsize=(8, 2.6 * len(titles)), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, title in zip(figure.subplots(len(titles), 1, squeeze=False)[:, 0], titles, strict=True):
        for name in groups[title]:
            steps, values = zip(*series[name], strict=True)
            style = '--' if name.startswith('input/') else '-'
            axes.plot(steps, values, style, label=name, linewidth=1.2, marker='.' if len(steps) < 10 else None)
        if title == 'losses' and all(v > 0 for name in groups[title] for _, v in series[name]):
            axes.set_yscale('log')
        axes.set_title(title, loc='left', fontsize=10)
        axes.set_xlabel('step')
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save_figure(figure, path)


def save_curves_of_runs(runs: dict[str, dict[str, list[tuple[int, float]]]], path: str | Path) -> bool:
    """Plot the curves of several runs over each other: the total loss, validation scores and learning rates.

    Args:
        runs: name of a run -> its series, as :func:`read_scalars` returns them.
        path: output file, written atomically.

    Returns:
        Whether there was anything to plot.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    logged = dict.fromkeys(name for series in runs.values() for name in series)
    skip = ('time', 'data_time', 'memory', 'eta', 'grad_norm')
    names = [name for name in logged if not name.endswith(skip) and 'input/' not in name]
    parts = [name for name in names if name.startswith(('loss_', 'total_'))]
    chosen = [name for name in names if name not in parts] if 'loss' in names else names
    if not chosen:
        return False
    figure = Figure(figsize=(8, 2.6 * len(chosen)), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(len(chosen), 1, squeeze=False)[:, 0], chosen, strict=True):
        for run, series in runs.items():
            if name in series:
                steps, values = zip(*series[name], strict=True)
                axes.plot(steps, values, label=run, linewidth=1.2, marker='.' if len(steps) < 10 else None)
        axes.set_title(name, loc='left', fontsize=10)
        axes.set_xlabel('step')
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save_figure(figure, path)
    return True
