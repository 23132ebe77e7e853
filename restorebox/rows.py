"""Rows of a paper's tables: a config and what differs from it, as data in ``configs/METHOD/rows.yml``.

A row::

    ccl_only:
      about: 'Table 2, row F: both cycle contrastive losses, no location loss'
      of: [cclgan_rain_cityscapes.py]           # configs of the same folder that it can be applied to
      differences: {model.lambda_lcl: 0.0}      # dotted keys, as --cfg-options has them

``from: ROW`` names a row whose differences are applied before its own.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from restorebox.errors import ConfigError
from restorebox.registry import nearest

KEYS = {'about': str, 'of': list, 'from': str, 'differences': dict}


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: of the row, one per method.
        about: where the paper has it and what it is, a line.
        of: file names of the configs that it can be applied to, in the folder of its ``rows.yml``.
        differences: dotted key -> value, all of them, also those of the row that it is made from.
    """

    name: str
    about: str
    of: tuple[str, ...]
    differences: dict[str, Any]


def read_rows(folder: Path) -> dict[str, Row]:
    """Name -> row, of one method's folder; empty where it has no ``rows.yml``.

    Raises:
        ConfigError: names the file, the row and the key.
    """
    file = folder / 'rows.yml'
    if not file.is_file():
        return {}
    try:
        entries = yaml.safe_load(file.read_text('utf-8')) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark else ''
        raise ConfigError(f'{file}{line}: no valid YAML: {getattr(error, "problem", error)}') from error
    if not isinstance(entries, dict):
        raise ConfigError(f'{file}: must be rows by name, got {type(entries).__name__}')
    for name, entry in entries.items():
        _check(f'{file}: {name}', entry, folder)
    return {name: _row(file, name, entries) for name in entries}


def find_row(config: Path, name: str) -> Row:
    """The row of that name that can be applied to a config's file.

    Raises:
        ConfigError: there is none; names the nearest, or the configs that it belongs to.
    """
    rows = read_rows(config.parent)
    row = rows.get(name)
    if row is not None and config.name in row.of:
        return row
    if row is not None:
        raise ConfigError(f'--row {name}: is a row of {", ".join(row.of)}, not of {config.name}')
    known = [each.name for each in rows.values() if config.name in each.of]
    if not known:
        raise ConfigError(f'--row {name}: {config} has no rows')
    raise ConfigError(f'--row {name}: {config.name} has no such row; {nearest(name, known)}')


def _check(where: str, entry: object, folder: Path) -> None:
    if not isinstance(entry, dict):
        raise ConfigError(f'{where}: must be keys with values, got {entry!r}')
    for key, value in entry.items():
        if key not in KEYS:
            raise ConfigError(f"{where}: has no key '{key}'; {nearest(str(key), tuple(KEYS))}")
        if not isinstance(value, KEYS[key]):
            raise ConfigError(f'{where}: {key} is {value!r}; it must be a {KEYS[key].__name__}')
    for key in ('about', 'of', 'differences'):
        if key not in entry:
            raise ConfigError(f"{where}: misses the key '{key}'")
    for config in entry['of']:
        if not (folder / str(config)).is_file():
            raise ConfigError(f'{where}: of: there is no config {config} in {folder}')


def _row(file: Path, name: str, entries: dict[str, dict]) -> Row:
    differences: dict[str, Any] = {}
    chain = [name]
    while (before := entries[chain[-1]].get('from')) is not None:
        if before not in entries:
            raise ConfigError(
                f"{file}: {chain[-1]}: from: there is no row '{before}'; {nearest(before, tuple(entries))}"
            )
        if before in chain:
            raise ConfigError(f"{file}: {chain[-1]}: from: '{before}' leads back to itself")
        chain.append(before)
    for each in reversed(chain):
        differences |= copy.deepcopy(entries[each]['differences'])
    return Row(name, entries[name]['about'], tuple(entries[name]['of']), differences)
