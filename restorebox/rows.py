"""Rows of a paper's tables, given in ``configs/METHOD/rows.yml`` as differences from a config.

A row::

    ccl_only:
      about: 'Table 2, row F: both cycle contrastive losses, no location loss'
      of: [cclgan_rain_cityscapes.py]           # applicable configs in the same folder
      differences: {model.lambda_lcl: 0.0}      # dotted keys, as in --cfg-options

``from: ROW`` names a row whose differences are applied first.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restorebox.errors import ConfigError
from restorebox.registry import nearest
from restorebox.yaml_files import read_yaml

KEYS = {'about': str, 'of': list, 'from': str, 'differences': dict}


@dataclass(frozen=True)
class Row:
    """Row of a table.

    Attributes:
        name: name, unique per method.
        about: one line with its place in the paper and its settings.
        of: file names of the applicable configs, in the folder of its ``rows.yml``.
        differences: dotted key -> value, including those of the row in ``from``.
    """

    name: str
    about: str
    of: tuple[str, ...]
    differences: dict[str, Any]


def read_rows(folder: Path) -> dict[str, Row]:
    """Read the rows of a method's folder, name -> row; empty without ``rows.yml``.

    Raises:
        ConfigError: the file is invalid; the message has the file, the row and the key.
    """
    file = folder / 'rows.yml'
    if not file.is_file():
        return {}
    entries = read_yaml(file) or {}
    if not isinstance(entries, dict):
        raise ConfigError(f'{file}: must be rows by name, got {type(entries).__name__}')
    for name, entry in entries.items():
        _check(f'{file}: {name}', entry, folder)
    return {name: _row(file, name, entries) for name in entries}


def find_row(config: Path, name: str) -> Row:
    """Return the row with a name for a config's file.

    Raises:
        ConfigError: there is none; the message suggests similar names, or has the configs of the row.
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
