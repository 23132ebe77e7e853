"""Measurement of FDR-Net's feature disentanglement per distortion, after Li et al. (ECCV 2020, Fig 8).

The command ``analyze-distortions`` describes it, see :mod:`restorebox.cli.analyze_distortions`.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from restorebox.degradations import build_degradation
from restorebox.engine.checkpoint import write_bytes
from restorebox.engine.running import load_for_test
from restorebox.errors import ConfigError
from restorebox.figures import save_figure
from restorebox.files import json_bytes

# distortion -> recipes from the weakest to the strongest level
DISTORTIONS: dict[str, list[dict]] = {
    'noise': [{'type': 'GaussianNoise', 'sigma': (s, s)} for s in (10, 25, 50)],
    'blur': [{'type': 'GaussianBlur', 'sigma': (s, s)} for s in (1, 2.5, 5)],
    'jpeg': [{'type': 'JPEG', 'quality': (q, q)} for q in (60, 30, 10)],
    'rain': [{'type': 'HeavyRain', 'beta': (0, 0), 'brightness': (b, b)} for b in (0.3, 0.8, 1.6)],
}


def correlation(features: Any) -> float:
    """Mean absolute Pearson correlation between two channels over the pixels.

    Args:
        features: ``(1, C, H, W)``; constant channels are ignored.

    Returns:
        In [0, 1]; NaN with fewer than two channels that are not constant.
    """
    x = features[0].flatten(1).double()
    x = x - x.mean(1, keepdim=True)
    length = x.norm(dim=1, keepdim=True)
    x = (x / length)[length[:, 0] > 0]
    count = len(x)
    if count < 2:
        return float('nan')
    return float(((x @ x.T).abs().sum() - count) / (count * (count - 1)))


def cosines(responses: dict[str, list[Any]]) -> dict[str, float]:
    """Mean cosine between responses to two levels of one distortion (within), and to two distortions (across).

    Args:
        responses: distortion -> vector ``(C,)`` per level.
    """

    def mean_cosine(pairs: list[tuple[Any, Any]]) -> float:
        return float(torch.stack([torch.cosine_similarity(a, b, dim=0) for a, b in pairs]).mean())

    within = [pair for levels in responses.values() for pair in combinations(levels, 2)]
    across = [(a, b) for one, other in combinations(responses.values(), 2) for a in one for b in other]
    return {'within': mean_cosine(within), 'across': mean_cosine(across)}


def phases_of(backbone: Any) -> list[tuple[str, str]]:
    """Return the names of the taps before and after each phase's FD layers.

    Raises:
        ConfigError: the backbone has no such taps.
    """
    names = getattr(backbone, 'tap_names', ())
    before = [name for name in names if name.endswith('_in')]
    if not before:
        raise ConfigError(f"analyze-distortions: {type(backbone).__name__} has no taps 'phase*_in'; it is for FDRNet")
    return [(name, [n for n in names if n.startswith(f'{name[:-2]}d')][-1]) for name in before]


def measure_distortions(restorer: Any, loader: Any, pictures: int, side: int) -> dict[str, Any]:
    """Measure correlation and response per phase, as means over pictures."""
    network = restorer.role('generator')
    phases = phases_of(network.backbone)
    taps = tuple(dict.fromkeys(tap for pair in phases for tap in pair))
    recipes = {kind: [build_degradation(recipe) for recipe in levels] for kind, levels in DISTORTIONS.items()}
    correlations: dict[str, list[float]] = {tap: [] for tap in taps}
    change: dict[str, list[dict[str, Any]]] = {
        kind: [{last: 0.0 for _, last in phases} for _ in levels] for kind, levels in recipes.items()
    }

    @torch.no_grad()
    def features(picture: np.ndarray) -> dict[str, Any]:
        x = torch.from_numpy(picture).permute(2, 0, 1)[None].to(next(network.parameters()).device)
        return network(restorer.to_range(x), taps=taps, only_taps=True)

    done = 0
    for batch in loader:
        for gt in restorer.data_preprocessor(batch)['inputs']['gt']:
            top, left = (max(0, length - side) // 2 for length in gt.shape[-2:])
            clean = gt[:, top : top + side, left : left + side].permute(1, 2, 0).cpu().numpy()
            reference = features(clean)
            for kind, levels in recipes.items():
                for level, recipe in enumerate(levels):
                    seen = features(recipe(clean, np.random.default_rng(done))['lq'])
                    for tap in taps:
                        correlations[tap].append(correlation(seen[tap]))
                    for _, last in phases:
                        size, before = (f[last].abs().mean((0, 2, 3)) for f in (seen, reference))
                        change[kind][level][last] += (size - before).cpu()
            done += 1
            if done == pictures:
                break
        if done == pictures:
            break
    rows = []
    for before, after in phases:
        responses = {kind: [level[after] / done for level in levels] for kind, levels in change.items()}
        rows.append(
            {
                'correlation': {
                    'before': float(np.mean(correlations[before])),
                    'after': float(np.mean(correlations[after])),
                },
                'cosine': cosines(responses),
                'response': {kind: [vector.tolist() for vector in levels] for kind, levels in responses.items()},
            }
        )
    return {'pictures': done, 'side': side, 'distortions': DISTORTIONS, 'phases': rows}


def mean_over_phases(figures: dict) -> dict[str, dict[str, float]]:
    """Return correlation and cosine as means over phases."""
    rows = figures['phases']
    return {
        key: {name: sum(row[key][name] for row in rows) / len(rows) for name in rows[0][key]}
        for key in ('correlation', 'cosine')
    }


def draw_distortions(figures: dict, path: Path) -> None:
    """Plot correlations and cosines per phase, and the responses of the last phase; the PNG is written atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.8), layout='constrained')
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.6))
    rows = figures['phases']
    numbers = range(1, len(rows) + 1)
    for axes, key, title in (
        (left, 'correlation', '1. correlation of channels'),
        (middle, 'cosine', '2. cosine of responses'),
    ):
        for name in rows[0][key]:
            axes.plot(numbers, [row[key][name] for row in rows], marker='.', label=name)
        axes.set_title(title, fontsize=9, loc='left')
        axes.set_xlabel('phase')
        axes.set_xticks(numbers)
        axes.legend(fontsize=7)
    left.set_ylim(0)
    response = rows[-1]['response']
    table = np.array([vector for levels in response.values() for vector in levels])
    table = table / np.maximum(np.abs(table).max(1, keepdims=True), 1e-12)
    names = [f'{kind} {level + 1}' for kind, levels in response.items() for level in range(len(levels))]
    shown = right.imshow(table, aspect='auto', cmap='RdBu_r', vmin=-1, vmax=1, interpolation='nearest')
    right.set_yticks(range(len(names)), names, fontsize=7)
    right.set_xlabel('channel')
    right.set_title(f'response of phase {len(rows)}, each row by its largest', fontsize=9, loc='left')
    figure.colorbar(shown, ax=right)
    save_figure(figure, path)


def analyze_distortions(cfg: Config, config: str, pictures: int, side: int) -> dict[str, Any]:
    """Run the analysis and write ``distortions.json`` and ``distortions.png`` into the work directory.

    Args:
        cfg: config of a restorer with FDR-Net as generator, from :func:`~restorebox.engine.running.keep_test`.
        config: its name, for the report.
        pictures: number of pictures of the test set.
        side: side of the centre crop in pixels.

    Returns:
        The content of the JSON file: results per phase, and their ``mean``.

    Raises:
        ConfigError: the generator is not FDR-Net.
        CheckpointError, DataError: weights or pictures can't be read.
    """
    restorer, loader = load_for_test(cfg)
    figures = {'config': config, 'checkpoint': cfg.load_from}
    figures |= measure_distortions(restorer, loader, pictures, side)
    figures['mean'] = mean_over_phases(figures)
    out = Path(cfg.work_dir)
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(json_bytes(figures), out / 'distortions.json')
    draw_distortions(figures, out / 'distortions.png')
    return figures
