"""Writing of the score file ``scores.json`` of a test run, and the text table of its means."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from restorebox.errors import printable
from restorebox.files import json_bytes, write_whole
from restorebox.metrics.base import NAMED
from restorebox.metrics.directions import lower_is_better

LIBRARIES = (
    'restorebox',
    'torch',
    'torchvision',
    'mmengine',
    'mmcv-lite',
    'numpy',
    'scipy',
    'opencv-python-headless',
    'pillow',
    'lpips',
    'pytorch_fid',
)
INPUT = 'input/'


def library_versions() -> dict[str, str | None]:
    """Return the versions of Python and of the libraries that scores depend on; None if not installed."""
    found: dict[str, str | None] = {'python': platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def write_scores(
    path: str | Path,
    *,
    metrics: dict[str, float],
    tables: Sequence[Sequence[dict]],
    unavailable: dict[str, str],
    reasons: dict[str, str] | None = None,
    config: Any,
    checkpoint: str | None,
    sha256: str | None,
    tiled: bool,
    statistics_window: int | None,
    sets: Sequence[tuple[str, int]] = (),
    extra: dict | None = None,
) -> dict:
    """Write ``scores.json`` atomically.

    Args:
        path: the file; its folder is created, an existing file is replaced.
        metrics: score name -> mean, as returned by a metric's ``evaluate`` (``input/NAME``: score of the input,
            ``SET/NAME``: mean of one of ``sets``).
        tables: the ``table`` of each metric; rows with the same ``index`` are merged.
        unavailable: name of a missing score -> reason.
        reasons: name of a score with nan mean -> reason, as in a metric's ``undefined``.
        config: path of the config, or any JSON value.
        checkpoint: path of the checkpoint; None for a run without one.
        sha256: hash of the checkpoint.
        tiled: whether pictures were restored in tiles.
        statistics_window: side in pixels of the normalisation window at test; None means the whole picture.
        sets: pairs of a set's name and its number of pictures, if there are several. ``mean`` of the file is then the
            mean over the sets, ``sets`` has the mean of each, and ``mean_over_pictures`` the mean of ``per_picture``.
        extra: further top-level entries (device minutes, steps, samples seen).

    Returns:
        The content of the file; nan and infinity are None.

    Raises:
        ValueError: ``extra`` has a key that the file already has.
    """
    rows: dict[int, dict] = {}
    for row in (row for table in tables for row in table):
        rows.setdefault(row['index'], {}).update(row)
    per_picture = [rows[index] for index in sorted(rows)]
    by_set = {
        name: {
            'count': sum(row.get('set') == name for row in per_picture),
            'size': size,
            'mean': {
                key.removeprefix(f'{name}/'): value for key, value in metrics.items() if key.startswith(f'{name}/')
            },
        }
        for name, size in sets
    }
    mean = {key: value for key, value in metrics.items() if not key.startswith(tuple(f'{name}/' for name in by_set))}
    names = [name.removeprefix(INPUT) for name in (*mean, *unavailable)]
    over_pictures = {
        key: float(np.mean([row[key] for row in per_picture])) for key in mean if all(key in row for row in per_picture)
    }
    scores = {
        'protocols': list(dict.fromkeys(names)),
        'mean': mean,
        **({'mean_over_pictures': over_pictures, 'sets': by_set} if by_set else {}),
        'undefined': _count_undefined(per_picture),
        'reasons': dict(reasons or {}),
        'unavailable': dict(unavailable),
        'per_picture': per_picture,
        'count': len(per_picture),
        'config': config,
        'checkpoint': {'path': checkpoint, 'sha256': sha256},
        'inference': {'mode': 'tiled' if tiled else 'whole', 'statistics_window': statistics_window},
        'libraries': library_versions(),
        'device': _device(),
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
    }
    clash = sorted(set(scores) & set(extra or {}))
    if clash:
        raise ValueError(f'extra may not replace {", ".join(clash)}')
    data = json_bytes({**scores, **(extra or {})}, indent=2)
    write_whole(path, data)
    return json.loads(data)


def score_table(scores: dict) -> str:
    """Format the means as a plain-text table: ``input (do nothing)``, ``restored`` and ``gain`` by protocol.

    Several sets have a table each, before that of the mean over the sets. A positive gain is an improvement, also for
    scores where lower is better (LPIPS, FID). The reason of a nan mean is printed below the table.

    Args:
        scores: as returned by :func:`write_scores`.
    """
    parts = []
    for name, each in scores.get('sets', {}).items():
        count = each['count']
        parts += [f'{name}, {count} picture{"s"[: count != 1]}:', *_table(scores['protocols'], each['mean']), '']
    if parts:
        parts.append(f'mean over the {len(scores["sets"])} sets:')
    return '\n'.join([*parts, *_table(scores['protocols'], scores['mean']), *_notes(scores)])


def _table(protocols: list[str], mean: dict[str, float | None]) -> list[str]:
    rows = [['', *protocols], ['input (do nothing)'], ['restored'], ['gain']]
    for name in protocols:
        # None: there is no such row; null in the file means nan
        before, after = (
            None if key not in mean else math.nan if (value := mean[key]) is None else value
            for key in (INPUT + name, name)
        )
        gain = None if before is None or after is None else after - before
        if gain is not None and lower_is_better(name):
            gain = -gain
        digits = 2 if name.startswith(('psnr', 'fid')) else 4
        for row, value, sign in zip(rows[1:], (before, after, gain), ('', '', '+'), strict=True):
            row.append('-' if value is None else 'nan' if math.isnan(value) else f'{value:{sign}.{digits}f}')
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *cells in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append('  '.join([first.ljust(widths[0]), *padded]))
    lines.insert(1, '  '.join('-' * width for width in widths))
    return [line.rstrip() for line in lines]


def _notes(scores: dict) -> list[str]:
    count = scores['count']
    notes = [f'{count} picture{"s"[: count != 1]}'] if count else []
    skipped = scores.get('skipped', [])
    if skipped:
        more = f' and {len(skipped) - NAMED} more' if len(skipped) > NAMED else ''
        names = ', '.join(printable(each['name']) for each in skipped[:NAMED])
        notes.append(f'{len(skipped)} unreadable and not scored: {names}{more}')
    reasons = scores.get('reasons', {})
    notes += [f'{name} is nan: {reason}' for name, reason in reasons.items()]
    notes += [
        f'{name}: undefined for {number} of these pictures'
        for name, number in scores.get('undefined', {}).items()
        if name not in reasons
    ]
    notes += [f'{name} is not available: {reason}' for name, reason in scores['unavailable'].items()]
    return notes


def _count_undefined(rows: list[dict]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                counts[name] = counts.get(name, 0) + 1
    return counts


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f'cpu ({platform.machine()})'
