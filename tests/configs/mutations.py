"""Configs with one wrong value, made from a seed: typical user errors at every position of every config."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any


class Code(str):
    """Text that is written to a config unchanged."""

    def __repr__(self) -> str:
        return str(self)


def _misspelt(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    return word[:at] + rng.choice('xq' if word[at] not in 'xq' else 'yz') + word[at + 1 :]


# kind of mistake -> what it makes of a value
KINDS: dict[str, Callable[[Any, random.Random], Any]] = {
    'string': lambda value, rng: rng.choice(['five', '', 'None', '3']),
    'number': lambda value, rng: rng.choice([7, 0.5]),
    'not a number': lambda value, rng: Code("float('nan')"),
    'infinite': lambda value, rng: Code("float('-inf')"),
    'negative': lambda value, rng: -abs(value) - 1 if isinstance(value, (int, float)) else -1,
    'zero': lambda value, rng: 0,
    'huge': lambda value, rng: rng.choice([10**9, 10**30, 1e300, 10**400]),
    'truth': lambda value, rng: not value if isinstance(value, bool) else True,
    'none': lambda value, rng: None,
    'empty': lambda value, rng: rng.choice([[], {}, ()]),
    'list': lambda value, rng: [value],
    'dict': lambda value, rng: {'value': value},
    'reversed': lambda value, rng: list(value)[::-1] if isinstance(value, (list, tuple)) else [value, value],
    'another type': lambda value, rng: _misspelt(value, rng) if isinstance(value, str) and value else object.__name__,
    'bytes': lambda value, rng: b'\x00',
    'deep': lambda value, rng: [[[[[[[[value]]]]]]]],
}


def places(node: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths of everything in a config, containers included."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*path, key)
        if isinstance(value, (dict, list, tuple)):
            yield from places(value, (*path, key))


def _as_lists(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _as_lists(value) for key, value in node.items()}
    return [_as_lists(value) for value in node] if isinstance(node, (list, tuple)) else node


def mutate(cfg: dict, seed: int) -> tuple[dict, str]:
    """A copy with one mistake -> it, and what was done where."""
    rng = random.Random(seed)
    made = _as_lists(copy.deepcopy(cfg))
    path = rng.choice(list(places(made)))
    node = made
    for key in path[:-1]:
        node = node[key]
    kind = rng.choice([*KINDS, 'misspelt key', 'key left out', 'key of a number'])
    last = path[-1]
    if isinstance(last, str) and kind == 'misspelt key':
        node[_misspelt(last, rng)] = node.pop(last)
    elif kind in ('misspelt key', 'key left out'):
        del node[last]
    elif kind == 'key of a number':
        if isinstance(last, str):
            node[5] = node.pop(last)
        else:
            node[last] = {5: node[last]}
    else:
        node[last] = KINDS[kind](node[last], rng)
    return made, f'seed {seed}: {kind} at {".".join(map(str, path))}'


def write(cfg: dict) -> str:
    """The text of a config file."""
    return ''.join(f'{key} = {value!r}\n' for key, value in cfg.items() if isinstance(key, str))
