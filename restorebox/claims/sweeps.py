"""Sweeps: a figure's curves over the values of a key or over rows, as models of a ledger.

An entry of ``sweeps`` in ``claims.yml``::

    - id: fig6
      where: 'Fig 6'
      axis: 'layers L of InfoAccum'
      metric: psnr_rgb
      curves:
        infoaccum:
          label: UNet-3 + InfoAccum-L
          model: infoaccum                                      # of this ledger; each point changes it
          key: model.generator.backbone.stems.down1.layers
          values: [0, 1, 3, 5]
          paper_values: [0, 1, 5, 10, 15]                       # at the budget paper; default: values
          existing: {3: infoaccum}                              # points that are models of the ledger already

Instead of ``key`` and ``values``, ``points`` lists named changes of the model: ``NAME: {label, row, overrides, ...}``,
with the keys of a model. A point becomes the model ``SWEEP-CURVE-POINT``, so that claims can name it, and runs are
shared, resumed and recorded as those of other models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from restorebox.claims.entries import MODEL, check_entry
from restorebox.errors import ConfigError
from restorebox.registry import nearest

SWEEP = {'id': str, 'where': str, 'axis': str, 'metric': str, 'curves': dict}
CURVE = {
    'label': str,
    'model': str,
    'key': str,
    'values': list,
    'paper_values': list,
    'points': dict,
    'existing': dict,
}
NAME = r'[A-Za-z0-9.+-]+'  # of sweeps, curves and points: parts of file names


@dataclass(frozen=True)
class Point:
    """Point of a curve: its place on the axis (a number, or the text of a tick) and the model that gives its score."""

    place: float | str
    model: str


@dataclass(frozen=True)
class Curve:
    """Curve of a sweep: its name in the legend, and its points in order."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Sweep:
    """Figure of a paper: score over the points of curves."""

    id: str
    where: str
    axis: str
    metric: str
    curves: tuple[Curve, ...]

    def models(self) -> tuple[str, ...]:
        """Return the models of all points, without repetition, the first points of all curves first."""
        longest = max(len(curve.points) for curve in self.curves)
        names = [curve.points[i].model for i in range(longest) for curve in self.curves if i < len(curve.points)]
        return tuple(dict.fromkeys(names))


def expand(where: str, nodes: list, models: Mapping[str, dict]) -> tuple[tuple[Sweep, ...], dict[str, dict]]:
    """Return the sweeps of a ledger, and the models of their points by name.

    Args:
        where: file of the ledger, for the messages.
        nodes: the entries of ``sweeps``.
        models: the models of the ledger, which the curves change.

    Raises:
        ConfigError: an entry is invalid.
    """
    sweeps: list[Sweep] = []
    found: dict[str, dict] = {}
    for number, node in enumerate(nodes, 1):
        name = node.get('id', f'number {number}') if isinstance(node, dict) else f'number {number}'
        here = f'{where}: sweep {name}'
        check_entry(here, node, SWEEP, tuple(SWEEP))
        _check_name(here, node['id'])
        if node['id'] in {sweep.id for sweep in sweeps}:
            raise ConfigError(f'{here}: id: occurs twice')
        if not node['curves']:
            raise ConfigError(f'{here}: curves: there is none')
        curves = []
        for key, entry in node['curves'].items():
            curve, new = _curve(f'{here}, curve {key}', f'{node["id"]}-{key}', str(key), entry, models)
            for model in new:
                if model in models or model in found:
                    raise ConfigError(f"{here}, curve {key}: there is a model '{model}' already")
            curves.append(curve)
            found |= new
        sweeps.append(Sweep(**{**node, 'curves': tuple(curves)}))
    return tuple(sweeps), found


def _curve(where: str, prefix: str, name: str, node: Any, models: Mapping[str, dict]) -> tuple[Curve, dict[str, dict]]:
    """Return a curve and the models of its points that are new."""
    check_entry(where, node, CURVE, ('label', 'model'))
    _check_name(where, name)
    if node['model'] not in models:
        raise ConfigError(
            f"{where}: model: there is no model '{node['model']}'; {nearest(node['model'], tuple(models))}"
        )
    if ('points' in node) == ('key' in node and 'values' in node):
        raise ConfigError(f'{where}: needs either key and values, or points')
    base = models[node['model']]
    changes = _named(where, node) if 'points' in node else _numbered(node)
    existing = {str(key): model for key, model in node.get('existing', {}).items()}
    for key, model in existing.items():
        if key not in changes:
            raise ConfigError(f"{where}: existing: there is no point '{key}'; {nearest(key, tuple(changes))}")
        if model not in models:
            raise ConfigError(f"{where}: existing: there is no model '{model}'; {nearest(str(model), tuple(models))}")
    points, new = [], {}
    for key, (place, change) in changes.items():
        _check_name(where, key)
        if key not in existing:
            new[f'{prefix}-{key}'] = _changed(base, change, f'{node["label"]}, {place}')
        points.append(Point(place, existing.get(key, f'{prefix}-{key}')))
    return Curve(node['label'], tuple(points)), new


def _named(where: str, node: dict) -> dict[str, tuple[float | str, dict]]:
    """Return point -> (its label or else its name, a number or text; its changes of the model)."""
    for key, change in node['points'].items():
        check_entry(f'{where}, point {key}', change, MODEL)
    return {str(key): (change.get('label', key), change) for key, change in node['points'].items()}


def _numbered(node: dict) -> dict[str, tuple[float | str, dict]]:
    """Return value -> (place, changes of the model); a value of one budget only has no run at the others."""
    small, paper = node['values'], node.get('paper_values', node['values'])
    values = sorted({*small, *paper}) if all(isinstance(v, (int, float)) for v in (*small, *paper)) else small
    changes: dict[str, tuple[float | str, dict]] = {}
    for value in values:
        change: dict[str, Any] = {}
        if value in small:
            change['overrides'] = {node['key']: value}
        else:
            change['why'] = 'a value of the paper, trained at the budget paper only'
        if value in paper:
            change['paper_overrides'] = {node['key']: value}
        else:
            change['paper'] = None
        changes[str(value)] = value, change
    return changes


def _changed(base: dict, change: dict, label: str) -> dict:
    """Return a model with changes; overrides are added to those of the model."""
    entry = {**base, **change, 'label': label}
    for key in ('overrides', 'paper_overrides', 'medium_overrides'):
        if key in base or key in change:
            entry[key] = {**base.get(key, {}), **change.get(key, {})}
    return {key: value for key, value in entry.items() if value is not None}


def _check_name(where: str, name: object) -> None:
    if not re.fullmatch(NAME, str(name)):
        raise ConfigError(f'{where}: {name!r} is no name; letters, digits, dots and signs only')
