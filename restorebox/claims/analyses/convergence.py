"""Stages of a training loss and balance of an adversarial training, after Kang et al. (arXiv 2212.02198, Fig 7).

The command ``analyze-convergence`` describes it, see :mod:`restorebox.cli.analyze_convergence`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

from restorebox.errors import ConfigError
from restorebox.figures import read_scalars, save_figure
from restorebox.files import json_bytes, write_whole

Series = Mapping[str, Sequence[tuple[int, float]]]
FEWEST = 12  # points for a fit with five parameters, of which every second is held out
GRID = 20  # time constants that are tried, on a logarithmic scale
LAST = 0.1  # share of the points that the balance is averaged over
CHANCE = {'lsgan': 0.25, 'vanilla': math.log(2), 'hinge': 1.0}  # loss of an undecided discriminator


def constant_part(series: Series, term: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and values of a term until the first learning rate changes, since its decay lowers the loss too."""
    last = math.inf
    for name, pairs in series.items():
        if name == 'lr' or name.endswith(('.lr', '/lr')):
            last = min([last, *(step for step, rate in pairs if not math.isclose(rate, pairs[0][1], rel_tol=1e-6))])
    kept = [(step, value) for step, value in series[term] if step < last and math.isfinite(value)]
    steps, values = zip(*kept, strict=True) if kept else ((), ())
    return np.array(steps, float), np.array(values, float)


def _columns(steps: np.ndarray, law: str, parameters: tuple[float, ...]) -> np.ndarray:
    ones = np.ones_like(steps)
    if law == 'power':
        start, exponent = parameters
        return np.stack([ones, (1 + steps / start) ** -exponent], 1)
    return np.stack([ones, *(np.exp(-steps / scale) for scale in parameters)], 1)


def fit(steps: np.ndarray, values: np.ndarray, law: str) -> dict[str, Any]:
    """Fit a law to a loss curve by least squares; heights are not negative.

    Args:
        steps: ``(n,)``.
        values: ``(n,)``.
        law: ``'one'``: c + a exp(-t/T); ``'two'``: c + a exp(-t/T) + b exp(-t/S); ``'power'``: c + a (1 + t/T)^-p.

    Returns:
        ``law``, ``parameters`` (T; T and S; T and p), ``heights`` (c, a, b) and ``rms``, the root mean square error.
    """
    from scipy.optimize import minimize, nnls

    span = steps.max() - steps.min()
    scales = np.geomspace(max(np.diff(steps).min() / 2, 1e-3), 3 * span, GRID)
    grids = {'one': [scales], 'two': [scales, scales], 'power': [scales, np.geomspace(0.1, 5, GRID // 2)]}[law]
    tried = combinations(scales, 2) if law == 'two' else product(*grids)
    # Only within the grid: a time constant far below the first step would get a height without bound, and the loss at
    # an earlier step that is held out a value without bound.
    bounds = [(math.log(grid[0]), math.log(grid[-1])) for grid in grids]

    def error(logarithms: np.ndarray) -> float:
        return float(nnls(_columns(steps, law, tuple(np.exp(logarithms))), values)[1])

    start = min((np.log(parameters) for parameters in tried), key=error)
    # between the points of the grid, or else two neighbours of it would pass for a second stage
    found = minimize(error, start, method='Nelder-Mead', bounds=bounds, options={'xatol': 1e-3, 'fatol': 1e-9})
    parameters = np.exp(found.x)
    parameters = np.sort(parameters) if law == 'two' else parameters
    heights, rest = nnls(_columns(steps, law, tuple(parameters)), values)
    rms = float(rest) / math.sqrt(len(steps))
    return {'law': law, 'parameters': parameters.tolist(), 'heights': heights.tolist(), 'rms': rms}


def held_out(steps: np.ndarray, values: np.ndarray, law: str) -> float:
    """Return the error on every second point of a fit to the others, both ways, relative to the mean of the values.

    A law with more parameters always fits its own points better; on others only if they are needed.
    """
    squares = []
    for part in (0, 1):
        found = fit(steps[part::2], values[part::2], law)
        other = _columns(steps[1 - part :: 2], law, tuple(found['parameters'])) @ np.array(found['heights'])
        squares.append((other - values[1 - part :: 2]) ** 2)
    return float(np.sqrt(np.concatenate(squares).mean()) / values.mean())


def measure_convergence(series: Series, term: str, mode: str | None) -> dict[str, Any]:
    """Fit the three laws to a term, and measure the balance of an adversarial training.

    Args:
        series: logged name -> pairs (step, value).
        term: name of the loss to fit.
        mode: ``gan_mode`` of an adversarial training, else None.

    Returns:
        ``term``, ``steps``, ``values``, ``fits`` (empty with fewer than 12 points at the constant learning rate), and
        ``mean``: ``convergence`` (law -> held-out error, None without a fit) and, with ``mode``, ``balance``: the mean
        loss of the discriminator and of the generator in the last tenth of the training, relative to the loss of an
        undecided discriminator; None without a logged value.
    """
    steps, values = constant_part(series, term)
    laws = ('one', 'two', 'power')
    enough = len(steps) >= FEWEST
    mean: dict[str, Any] = {'convergence': {law: held_out(steps, values, law) if enough else None for law in laws}}
    if mode is not None:
        mean['balance'] = {
            name: _last(series.get(key, ()), CHANCE[mode])
            for name, key in (('discriminator', 'loss_d'), ('generator', 'loss_adv'))
        }
    fits = [fit(steps, values, law) for law in laws] if enough else []
    return {'term': term, 'steps': steps.tolist(), 'values': values.tolist(), 'fits': fits, 'mean': mean}


def _last(pairs: Sequence[tuple[int, float]], chance: float) -> float | None:
    kept = [value for _, value in pairs[-max(1, round(LAST * len(pairs))) :]]
    return sum(kept) / len(kept) / chance if kept else None


def draw_convergence(figures: Mapping[str, Any], path: Path) -> None:
    """Plot the loss with its fits on a logarithmic axis; the PNG is written atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps = np.array(figures['steps'])
    axes.plot(steps, figures['values'], '.', color='0.6', label=figures['term'])
    for found in figures['fits']:
        values = _columns(steps, found['law'], tuple(found['parameters'])) @ np.array(found['heights'])
        name = {'one': 'one exponential', 'two': 'two exponentials', 'power': 'power law'}[found['law']]
        error = figures['mean']['convergence'][found['law']]
        axes.plot(steps, values, linewidth=1.3, label=f'{name}, held-out error {100 * error:.2f} %')
    if figures['fits']:
        for scale in figures['fits'][1]['parameters']:
            axes.axvline(scale, color='0.7', linestyle='--', linewidth=0.8)
        axes.set_yscale('log')
    axes.set_xlabel('step; dashed: time constants of the two exponentials')
    axes.set_title('loss at constant learning rate', fontsize=9, loc='left')
    axes.legend(fontsize=8)
    save_figure(figure, path)


def analyze_convergence(folder: Path, mode: str | None, term: str | None, out: Path) -> dict[str, Any]:
    """Run the analysis and write ``convergence.json`` and ``convergence.png``.

    Args:
        folder: work directory of a training.
        mode: see :func:`measure_convergence`.
        term: name of the logged loss; None for the first one that is not adversarial.
        out: folder of the results.

    Raises:
        ConfigError: there is no log, or no such loss in it.
    """
    series = read_scalars(sorted(folder.glob('*/vis_data/scalars.json')))
    losses = [name for name in series if name.startswith('loss') and name not in ('loss', 'loss_d', 'loss_adv')]
    if not series:
        raise ConfigError(f'analyze-convergence: {folder} has no log of a training (*/vis_data/scalars.json)')
    if term is not None and term not in series:
        raise ConfigError(f'--term {term}: {folder} has no such loss; it has {", ".join(losses)}')
    chosen = term or (losses or ['loss'])[0]
    figures = measure_convergence({chosen: (), **series}, chosen, mode)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / 'convergence.json', json_bytes(figures))
    draw_convergence(figures, out / 'convergence.png')
    return figures
