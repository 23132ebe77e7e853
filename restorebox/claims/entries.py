"""Checks of the entries of ``claims.yml``: their keys and the types of their values."""

from __future__ import annotations

from typing import Any

from restorebox.errors import ConfigError
from restorebox.registry import nearest

MODEL = {
    'label': str,
    'paper': str,
    'small': str,
    'row': (str, dict),
    'overrides': dict,
    'medium_overrides': dict,
    'paper_overrides': dict,
    'after': str,
    'analysis': str,
    'why': str,
}


def check_entry(where: str, node: object, keys: dict[str, Any], required: tuple[str, ...] = ()) -> dict:
    """Check an entry and return it.

    Args:
        where: file and entry, for the messages.
        node: the entry.
        keys: its keys with the types of their values; several types as a tuple.
        required: keys that it must have.

    Raises:
        ConfigError: it is no mapping, or a key is unknown, absent or of another type.
    """
    if not isinstance(node, dict):
        raise ConfigError(f'{where}: must be keys with values, got {node!r}')
    for key, value in node.items():
        if key not in keys:
            raise ConfigError(f"{where}: has no key '{key}'; {nearest(str(key), tuple(keys))}")
        wanted = (int, float) if keys[key] is float else keys[key]
        if not isinstance(value, wanted) or (keys[key] is float and isinstance(value, bool)):
            kinds = keys[key] if isinstance(keys[key], tuple) else (keys[key],)
            raise ConfigError(
                f'{where}: {key} is {value!r}; it must be a {" or ".join(kind.__name__ for kind in kinds)}'
            )
    for key in required:
        if key not in node:
            raise ConfigError(f"{where}: misses the key '{key}'")
    return node
