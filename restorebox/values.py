"""Which values a constructor takes: said once, by the type hints of its arguments, and checked before it is called.

A hint gives the kind (``int``, ``str | None``, ``Sequence[float]``, ``dict[str, dict]``), and ``Annotated`` adds what a
kind does not say: ``p: Fraction``, ``base_width: Width``. What concerns several arguments at once, a constructor checks
itself.
"""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import PurePath
from typing import Annotated, Any

from restorebox.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``; both belong to it, ``low`` only where it is not ``above``."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False

    def __call__(self, value: float) -> bool:
        """Whether a number lies in it."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low = f' above {self.low:,g}' if self.above else f' from {self.low:,g}'
        return low if self.high == math.inf else f'{low} to {self.high:,.15g}'


class Ordered:
    """A pair whose first number is the smaller one."""

    def __call__(self, value: Sequence[float]) -> bool:
        return value[0] < value[1]

    def __str__(self) -> str:
        return ', the first below the second'


class NotEmpty:
    """Something with a length above 0."""

    def __call__(self, value: Sequence) -> bool:
        return len(value) > 0

    def __str__(self) -> str:
        return ' (at least one)'


# bounds above are no taste: beyond them nothing is built in a reasonable time, or no picture is so large
Count = Annotated[int, Range(1, 1024)]  # how many layers, blocks, repeats
Depth = Annotated[int, Range(0, 1024)]  # the same, where there may be none
Levels = Annotated[int, Range(1, 16)]  # how often a picture is halved
Width = Annotated[int, Range(1, 65_536)]  # channels
Pixels = Annotated[int, Range(1, 65_536)]
StatisticsWindow = Annotated[int, Range(8, 65_536)]
Timesteps = Annotated[int, Range(5, 100_000)]
PoolSize = Annotated[int, Range(0, 1_000_000)]
Samples = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
NotNegative = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, above=True)]
ValueRange = Annotated[tuple[float, float], Ordered()]
Counts = Annotated[Sequence[Count], NotEmpty()]
Depths = Annotated[Sequence[Depth], NotEmpty()]
Widths = Annotated[Sequence[Width], NotEmpty()]
Names = Annotated[Sequence[str], NotEmpty()]

KINDS = {
    bool: 'True or False',
    int: 'a whole number',
    float: 'a finite number',
    str: 'a string',
    dict: 'a dict',
    list: 'a list',
    tuple: 'a list',
    type(None): 'None',
}


def _phrase(hint: Any) -> str:
    """A hint in words."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _phrase(args[0]) + ''.join(str(rule) for rule in hint.__metadata__ if callable(rule))
    if origin in (typing.Union, types.UnionType):
        told = [arg for arg in args if _is_told(arg)] or args  # a class is nothing that a config could name
        return ' or '.join(dict.fromkeys(_phrase(arg) for arg in told))
    if origin is typing.Literal:
        return ' or '.join(repr(arg) for arg in args)
    if origin is tuple and Ellipsis not in args:
        of = dict.fromkeys(_phrase(arg) for arg in args)
        return f'a list of {len(args)}, each {" or ".join(of)}'
    if _is_list(origin or hint):
        return f'a list, each item {_phrase(args[0])}' if args else 'a list'
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, PurePath):
        return 'a string'
    return KINDS.get(kind) or getattr(kind, '__name__', str(kind))


def _is_told(hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    if kind is Annotated:
        return True
    return not isinstance(kind, type) or kind in KINDS or _is_list(kind) or issubclass(kind, PurePath)


def _is_list(kind: Any) -> bool:
    return kind in (list, tuple, Sequence) or (isinstance(kind, type) and issubclass(kind, (list, tuple)))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def mismatch(value: Any, hint: Any) -> tuple[str, Any, str] | None:
    """Where a value is not what a hint says.

    A hint that is a class of some other kind, or can't be told, takes everything: what stands there is built first.

    Returns:
        The path inside of the value ('' for itself), what stands there and what it must be; None where all fits.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    kind = origin or hint
    if origin is Annotated:
        wrong = mismatch(value, args[0])
        if wrong is None and not all(rule(value) for rule in hint.__metadata__ if callable(rule)):
            wrong = '', value, _phrase(hint)
        return wrong if wrong is None or wrong[0] else ('', value, _phrase(hint))
    if origin in (typing.Union, types.UnionType):
        each = [mismatch(value, arg) for arg in args]
        inside = [wrong for wrong in each if wrong is not None and wrong[0]]
        if any(wrong is None for wrong in each):
            return None
        return inside[0] if inside else ('', value, _phrase(hint))
    if origin is typing.Literal:
        fits = any(value == arg and type(value) is type(arg) for arg in args)
    elif kind is bool:
        fits = isinstance(value, bool)
    elif kind is int:
        fits = isinstance(value, Integral) and not isinstance(value, bool) and abs(value) < 2**63
    elif kind is float:
        fits = isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
    elif kind is str or kind is type(None):
        fits = isinstance(value, kind)
    elif isinstance(kind, type) and issubclass(kind, PurePath):
        fits = isinstance(value, (str, PurePath))
    elif kind is dict:
        if not isinstance(value, dict):
            return '', value, _phrase(hint)
        return _dict_mismatch(value, args[1]) if args else None
    elif _is_list(kind):
        return _list_mismatch(value, hint, args, fixed=kind is tuple and args and Ellipsis not in args)
    elif kind is Callable:
        fits = callable(value) or isinstance(value, dict)
    elif kind is object or kind is Any or not isinstance(kind, type):
        return None
    else:  # some class: an object, or a dict that is built into one
        fits = value is not None and not isinstance(value, (bool, int, float, str, bytes, list, tuple))
    return None if fits else ('', value, _phrase(hint))


def _dict_mismatch(value: dict, hint: Any) -> tuple[str, Any, str] | None:
    for key, item in value.items():
        if not isinstance(key, str):
            return '', value, 'a dict with strings as keys'
        wrong = mismatch(item, hint)
        if wrong is not None:
            return f'.{key}{wrong[0]}', *wrong[1:]
    return None


def _list_mismatch(value: Any, hint: Any, args: tuple, fixed: bool) -> tuple[str, Any, str] | None:
    if not isinstance(value, (list, tuple)) or (fixed and len(value) != len(args)):
        return '', value, _phrase(hint)
    for i, item in enumerate(value):
        wrong = mismatch(item, args[i] if fixed else args[0]) if args else None
        if wrong is not None:
            return f'.{i}{wrong[0]}', *wrong[1:]
    return None


@cache
def hints(build: Callable) -> dict[str, Any]:
    """Name -> type hint of what a class or function takes; a class that passes ``**kwargs`` on has its parents' too."""
    known: dict[str, Any] = {}
    for layer in layers(build):
        try:
            parameters = inspect.signature(layer).parameters.values()
            told = typing.get_type_hints(layer, include_extras=True)
        except (TypeError, ValueError, NameError, AttributeError):  # no signature, or names that only checkers see
            break
        for p in parameters:
            if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                continue
            if p.name in told:
                known.setdefault(p.name, typing.Optional[told[p.name]] if p.default is None else told[p.name])  # noqa: UP045
            elif isinstance(p.default, (bool, int, float, str)):  # others' code without hints
                known.setdefault(p.name, float if type(p.default) is int else type(p.default))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return known


def layers(build: Callable) -> list[Callable]:
    """The functions that take a constructor's arguments: a class's own ``__init__``, then its parents'."""
    if not inspect.isclass(build):
        return [build]
    return [vars(c)['__init__'] for c in build.__mro__ if '__init__' in vars(c)]


def short(value: Any, longest: int = 80) -> str:
    """A value as a message shows it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits; nested without end
        return f'({type(value).__name__}, too long to show)'
    return text if len(text) <= longest else f'{text[:longest]}...'


def check_value(value: Any, hint: Any, name: str) -> None:
    """Refuse a value that is not what a hint says.

    Args:
        value: from a config.
        hint: a type hint, with rules in ``Annotated``.
        name: of the key, as the message begins.

    Raises:
        ConfigError: says where in the value, what stands there and what it must be.
    """
    wrong = mismatch(value, hint)
    if wrong is not None:
        path, found, wanted = wrong
        raise ConfigError(f'{name}{path} is {short(found)}; it must be {wanted}')


def check_values(build: Callable, given: dict, where: str) -> None:
    """Refuse values that are not what the constructor's type hints say.

    Args:
        build: a class or function.
        given: its keys and values; keys that it does not name are passed over.
        where: how the message names it.

    Raises:
        ConfigError: see :func:`check_value`.
    """
    known = hints(build)
    for key, value in given.items():
        if key in known:
            check_value(value, known[key], f'{where}: {key}')
