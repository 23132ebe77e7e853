"""Comparison of finished runs: scores, pictures, training curves and configs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from restorebox.datasets.reading import read_picture
from restorebox.engine.checkpoint import load_file
from restorebox.engine.config import leaves
from restorebox.errors import ConfigError, PictureError, RestoreboxError
from restorebox.figures import read_scalars, save_curves_of_runs, save_sheet
from restorebox.files import find_checkpoints
from restorebox.metrics.directions import lower_is_better
from restorebox.pixels import to_uint8
from restorebox.untrusted import read_json
from restorebox.values import short

AMPLIFIED = 8  # factor of the differences in the sheet
SHOWN = 5  # pictures with the largest differences, each way
NOT_SETTINGS = ('work_dir', 'experiment_name', 'overrides', 'launcher', 'resume', 'load_from')


@dataclass
class ComparedRun:
    """Stored results of one run.

    Attributes:
        name: name for tables.
        folder: its work directory.
        scores: content of ``scores.json``; empty without a test.
        series: logged name -> pairs (step, value); empty without a training in this folder.
        settings: dotted key -> value of the config in the newest checkpoint; empty without one.
        missing: one line for each part that the folder lacks.
    """

    name: str
    folder: Path
    scores: dict[str, Any] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def rows(self) -> dict[tuple[str, str], dict]:
        """Return (set, name) -> scores of each picture."""
        return {(row.get('set', ''), row['name']): row for row in self.scores.get('per_picture', ())}


def read_run(folder: Path, name: str) -> ComparedRun:
    """Read what a work directory holds.

    Raises:
        ConfigError: it is no folder, or holds neither scores nor logs of a training.
        CheckpointError: its newest checkpoint is damaged.
    """
    if not folder.is_dir():
        raise ConfigError(f'compare: {folder} is no folder; give the work directories of runs')
    run = ComparedRun(name, folder)
    path = folder / 'scores.json'
    if not path.is_file():
        beside = sorted(folder.glob('*.scores.json'), key=lambda file: file.stat().st_mtime)
        path = beside[-1] if beside else path
    if path.is_file():
        try:
            run.scores = read_json(path.read_text('utf-8'))
            mean = dict(run.scores['mean'])
            for row in (mean, *run.rows().values()):
                for score in set(mean) & set(row):
                    if row[score] is not None and not isinstance(row[score], (int, float)):
                        raise ValueError(f'{score} is {short(row[score])}, which is no number')
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f'compare: {path} is no score file of restorebox ({error})') from None
    else:
        run.missing.append(f'{folder} has no scores.json; `restorebox test` writes it')
    run.series = read_scalars(sorted(folder.glob('*/vis_data/scalars.json')))
    if not run.series:
        run.missing.append(f'{folder} has no log of a training')
    if not run.scores and not run.series:
        raise ConfigError(f'compare: {folder} holds neither scores.json nor the log of a training')
    checkpoints = find_checkpoints(folder)
    if checkpoints:
        try:
            settings = read_json(load_file(checkpoints[-1])['meta']['cfg_json'])
            run.settings = {k: v for k, v in leaves(settings) if k.split('.')[0] not in NOT_SETTINGS}
        except (KeyError, TypeError, ValueError):
            run.missing.append(f'{checkpoints[-1]} stores no config')
    else:
        run.missing.append(f'{folder} has no checkpoint, which would store its config')
    return run


def read_runs(folders: list[Path]) -> list[ComparedRun]:
    """Read several runs; equal names of folders are told apart by the folder above.

    Raises:
        ConfigError: fewer than two folders, or see :func:`read_run`.
    """
    if len(folders) < 2:
        raise ConfigError('compare: give two or more work directories')
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [f'{folder.resolve().parent.name}/{folder.resolve().name}' for folder in folders]
    if len(set(names)) < len(names):
        raise ConfigError('compare: a folder is given twice, or two have the same path at the end')
    return [read_run(folder, name) for folder, name in zip(folders, names, strict=True)]


def score_lines(runs: list[ComparedRun]) -> list[str]:
    """Return a table with a line per run and a column per score, the sets of a mixture included."""
    with_scores = [run for run in runs if run.scores]
    columns: dict[str, None] = {}
    values: dict[str, dict[str, float | None]] = {}
    for run in with_scores:
        own = dict(run.scores['mean'])
        for name, each in run.scores.get('sets', {}).items():
            own |= {f'{name}/{score}': value for score, value in each['mean'].items()}
        values[run.name] = own
        columns |= dict.fromkeys(own)
    if not with_scores:
        return []
    names = [name for name in columns if 'input/' not in name]
    rows = [['run', *names, 'pictures']]
    for run in with_scores:
        rows.append([run.name, *(_shown(values[run.name].get(name)) for name in names), str(run.scores.get('count'))])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for label, *cells in rows:
        lines.append('  '.join([label.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]))
    shared = {frozenset(run.rows()) for run in with_scores}
    return lines + (['note: the runs were not tested on the same pictures'] if len(shared) > 1 else [])


def picture_lines(runs: list[ComparedRun], score: str) -> list[str]:
    """Return the differences of a score per picture between each run and the first: mean, signs, and the largest."""
    lines = []
    tested = [run for run in runs if run.scores]
    for run in tested[1:]:
        first = tested[0]
        gains = differences(first, run, score)
        if not gains:
            lines.append(f'{run.name} against {first.name}: no picture with {score} in common')
            continue
        values = np.array([*gains.values()])
        better, worse = int((values > 0).sum()), int((values < 0).sum())
        lines.append(
            f'{run.name} against {first.name}, {score}, {len(values)} pictures: mean gain {values.mean():+.3f}, '
            f'{better} better, {worse} worse'
        )
        order = sorted(gains, key=lambda key: -gains[key])
        chosen = list(dict.fromkeys([*order[:SHOWN], *order[-SHOWN:]]))
        lines += [f'  {gains[key]:+.3f}  {"/".join(part for part in key if part)}' for key in chosen]
    return lines


def differences(first: ComparedRun, other: ComparedRun, score: str) -> dict[tuple[str, str], float]:
    """Return (set, name) -> gain of a run over the first for each picture that both scored; positive is better."""
    sign = -1 if lower_is_better(score) else 1
    before, after = first.rows(), other.rows()
    found = {}
    for key in before.keys() & after.keys():
        old, new = (float(rows[key].get(score) or math.nan) for rows in (before, after))
        if math.isfinite(old) and math.isfinite(new):
            found[key] = sign * (new - old)
    return dict(sorted(found.items()))


def config_lines(runs: list[ComparedRun]) -> list[str]:
    """Return one line for each setting in which the runs differ, with the value of every run."""
    known = [run for run in runs if run.settings]
    if len(known) < 2:
        return []
    lines = []
    for key in sorted({key for run in known for key in run.settings}):
        values = [json.dumps(run.settings[key]) if key in run.settings else '(none)' for run in known]
        if len(set(values)) > 1:
            lines.append(
                f'{key}: ' + ', '.join(f'{run.name} {value}' for run, value in zip(known, values, strict=True))
            )
    return lines or ['the configs do not differ']


def draw(runs: list[ComparedRun], score: str, out: Path) -> list[Path]:
    """Draw ``curves.png``, and ``pictures.png`` where runs have saved pictures (``test --save-pictures``).

    Returns:
        The files that were written.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = []
    curves = {run.name: run.series for run in runs if run.series}
    if curves and save_curves_of_runs(curves, out / 'curves.png'):
        written.append(out / 'curves.png')
    saved = [run for run in runs if run.scores and (run.folder / 'pictures').is_dir()]
    if len(saved) > 1:
        gains = differences(saved[0], saved[1], score)
        order = sorted(gains, key=lambda key: -abs(gains[key]))[:SHOWN]
        rows = [row for key in order if (row := _picture_row(saved, key, score))]
        if rows:
            save_sheet(rows, out / 'pictures.png')
            written.append(out / 'pictures.png')
    return written


def _picture_row(runs: list[ComparedRun], key: tuple[str, str], score: str) -> list[tuple[str, np.ndarray]]:
    """Return one picture of every run, each followed by its amplified difference from the first run."""
    row: list[tuple[str, np.ndarray]] = []
    for run in runs:
        try:
            picture = read_picture(run.folder / 'pictures' / key[0] / f'{key[1].replace("/", "_")}.png')
        except PictureError as error:
            run.missing.append(f'{run.name}: {error}')
            return []
        value = run.rows().get(key, {}).get(score)
        row.append((f'{"/".join(filter(None, key))}: {run.name}  {score} {_shown(value)}', picture))
        if run is not runs[0] and picture.shape == row[0][1].shape:
            apart = np.abs(picture.astype(np.float32) - row[0][1].astype(np.float32)) / 255
            row.append((f'difference x{AMPLIFIED}', to_uint8(np.clip(apart * AMPLIFIED, 0, 1))))
    return row


def default_score(runs: list[ComparedRun]) -> str:
    """Return the first score that all tested runs have.

    Raises:
        RestoreboxError: they have none in common.
    """
    tested = [run for run in runs if run.scores]
    for name in tested[0].scores.get('protocols', ()) if tested else ():
        if all(name in run.scores['mean'] for run in tested):
            return str(name)
    if tested:
        raise RestoreboxError('compare: the runs have no score in common; give one with --score')
    return 'psnr_y'


def _shown(value: float | None) -> str:
    return '-' if value is None else f'{value:.4f}'
