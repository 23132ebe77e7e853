"""Validation of untrusted data: JSON, and model configs stored inside files.

MMEngine imports and calls any Python object that a dotted ``type`` names, and imports the package in ``_scope_``. A
user's own config file may do that. A config inside a weights file or a manifest is untrusted. It goes through
:func:`checked_config`, which allows registered names and plain values only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from restorebox import registry as own
from restorebox.errors import ConfigError, printable

DEPTH = 40  # maximum nesting of dicts and lists
NODES = 100_000  # maximum number of values
PATH = 200  # characters of a value's path that are kept
LARGEST = 2**20  # maximum number in a model config; no network has as many levels, blocks or channels
# registries of a model's components
MODEL = (own.RESTORERS, own.BACKBONES, own.HEADS, own.LOSSES, own.ENCODERS, own.STEMS)


def read_json(text: Any) -> Any:
    """Parse untrusted JSON text.

    Raises:
        ValueError: invalid JSON, nested more than :data:`DEPTH` deep, or with numbers that are not finite or exceed 64
            bits.
    """
    if not isinstance(text, str):
        raise ValueError(f'it is a {type(text).__name__}, not a text')

    def refuse(word: str) -> None:
        raise ValueError(f'{word} is no number')

    try:
        value = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError('it is nested too deeply') from None
    check_plain(value)
    return value


def check_plain(value: Any) -> None:
    """Check that a value is a finite tree of dicts, lists, strings, finite numbers, True, False and None.

    Raises:
        ValueError: it is not; the message has the reason.
    """
    for node, _ in _nodes(value):
        if node is None or isinstance(node, (bool, str, dict, list, tuple)):
            continue
        if not isinstance(node, (int, float)):
            raise ValueError(f'it holds a {type(node).__name__}, which is no plain value')
        if not (math.isfinite(node) if isinstance(node, float) else abs(node) < 2**63):
            raise ValueError(f'it holds the number {str(node)[:20]}')


def _nodes(value: Any) -> Iterator[tuple[Any, str]]:
    """Iterate over the nodes of nested dicts and lists with their paths; depth and number are limited."""
    waiting: list[tuple[Any, str, int]] = [(value, '', 0)]
    count = 0
    while waiting:
        node, path, depth = waiting.pop()
        count += 1
        if depth > DEPTH:
            raise ValueError('it is nested too deeply')
        yield node, path
        if isinstance(node, dict):
            odd = [key for key in node if not isinstance(key, str)]
            if odd:
                raise ValueError(f'{path or "the top level"} has a key that is no text')
            inside: Iterable[tuple[Any, Any]] = node.items()
        elif isinstance(node, (list, tuple)):
            inside = enumerate(node)
        else:
            continue
        if count + len(waiting) + len(node) > NODES:
            raise ValueError(f'it has more than {NODES} values')
        # messages show 80 characters; a whole path for each child of a long key would take gigabytes
        waiting += [(each, (f'{path}.{key}' if path else str(key))[:PATH], depth + 1) for key, each in inside]


def checked_config(cfg: Any, registries: tuple[own.Registry, ...] = MODEL) -> dict:
    """Check that an untrusted config of a component is safe to build.

    Args:
        cfg: dict with ``type``, and nested configs of further components.
        registries: registries whose names are allowed.

    Returns:
        ``cfg``.

    Raises:
        ConfigError: a ``type`` that is not a name in ``registries``, a ``_scope_``, or a value that is not plain.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise ConfigError(f"it must be a dict with the key 'type', and is {printable(repr(cfg))[:80]}")
    known: set[str] = set()
    try:
        check_plain(cfg)
        for node, path in _nodes(cfg):
            where = printable(path)[:80] or 'top level'
            if isinstance(node, (int, float)) and abs(node) > LARGEST:
                raise ConfigError(f'{where} is larger than {LARGEST}')
            if not isinstance(node, dict):
                continue
            if '_scope_' in node:
                raise ConfigError(f"{where}: '_scope_' imports a package, which a config inside a file may not")
            if 'type' not in node:
                continue
            known = known or {name for each in registries for name in each.own_names()}
            kind = node['type']
            if not isinstance(kind, str) or kind not in known:
                raise ConfigError(
                    f'{where}: type {printable(repr(kind))[:80]} is no registered name; a config inside a file may '
                    'name components of restorebox and its installed plugins only'
                )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return cfg
