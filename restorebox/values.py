"""Check of config values against the type hints of constructors.

A hint gives the type (``int``, ``str | None``, ``Sequence[float]``, ``dict[str, dict]``); ``Annotated`` adds ranges and
other rules: ``p: Fraction``, ``base_width: Width``. Conditions on several arguments are checked by the constructor.
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
    """Interval ``[low, high]``, or ``(low, high]`` if ``above`` is true."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False

    def __call__(self, value: float) -> bool:
        """Return whether a number is in the interval."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low = f' above {self.low:,g}' if self.above else f' from {self.low:,g}'
        return low if self.high == math.inf else f'{low} to {self.high:,.15g}'


class Ordered:
    """Rule: a pair with the first number below the second."""

    def __call__(self, value: Sequence[float]) -> bool:
        return value[0] < value[1]

    def __str__(self) -> str:
        return ', the first below the second'


class NotEmpty:
    """Rule: a sequence with at least one item."""

    def __call__(self, value: Sequence) -> bool:
        return len(value) > 0

    def __str__(self) -> str:
        return ' (at least one)'


# upper bounds: larger networks cannot be built in a reasonable time, and no picture is larger
Count = Annotated[int, Range(1, 1024)]  # number of layers, blocks or repeats
Depth = Annotated[int, Range(0, 1024)]  # the same, where 0 is allowed
Levels = Annotated[int, Range(1, 16)]  # number of downsamplings by 2
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
    """Describe a hint in words."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _phrase(args[0]) + ''.join(str(rule) for rule in hint.__metadata__ if callable(rule))
    if origin in (typing.Union, types.UnionType):
        shown = [arg for arg in args if _is_plain(arg)] or args  # other classes can't be written in a config
        return ' or '.join(dict.fromkeys(_phrase(arg) for arg in shown))
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
    return KINDS.get(kind) or str(getattr(kind, '__name__', kind))


def _is_plain(hint: Any) -> bool:
    """Return whether a config can contain values of this type, as opposed to objects of some class."""
    kind = typing.get_origin(hint) or hint
    if kind is Annotated:
        return True
    return not isinstance(kind, type) or kind in KINDS or _is_list(kind) or issubclass(kind, PurePath)


def _is_list(kind: Any) -> bool:
    return kind in (list, tuple, Sequence) or (isinstance(kind, type) and issubclass(kind, (list, tuple)))


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of float
        return False


def mismatch(value: Any, hint: Any) -> tuple[str, Any, str] | None:
    """Find where a value does not match a type hint.

    Hints that are other classes accept dicts, from which objects are built; hints that can't be checked accept all.

    Returns:
        ``(path, found, wanted)``: path inside the value ('' for the value itself), the value there and a description of
        what is allowed; None if everything matches.
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
        fits = isinstance(value, Integral) and not isinstance(value, bool) and abs(int(value)) < 2**63
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
        return _list_mismatch(value, hint, args, fixed=kind is tuple and bool(args) and Ellipsis not in args)
    elif kind is Callable:
        fits = callable(value) or isinstance(value, dict)
    elif kind is object or kind is Any or not isinstance(kind, type):
        return None
    else:  # a class: an object, or a dict from which one is built
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
    """Return name -> type hint of the arguments; with ``**kwargs``, the parents' arguments are included."""
    known: dict[str, Any] = {}
    for layer in layers(build):
        try:
            parameters = inspect.signature(layer).parameters.values()
            annotated = typing.get_type_hints(layer, include_extras=True)
        except (
            TypeError,
            ValueError,
            NameError,
            AttributeError,
        ):  # no signature, or unresolved names
            break
        for p in parameters:
            if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                continue
            if p.name in annotated:
                hint = annotated[p.name]
                known.setdefault(p.name, typing.Optional[hint] if p.default is None else hint)  # noqa: UP045
            elif isinstance(p.default, (bool, int, float, str)):  # third-party code without hints
                known.setdefault(p.name, float if type(p.default) is int else type(p.default))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return known


def layers(build: Callable) -> list[Callable]:
    """Return the functions that receive a constructor's arguments: a class's ``__init__``, then its parents'."""
    if not inspect.isclass(build):
        return [build]
    return [vars(c)['__init__'] for c in build.__mro__ if '__init__' in vars(c)]


def short(value: Any, longest: int = 80) -> str:
    """Return the representation of a value, shortened for a message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; recursive nesting
        return f'({type(value).__name__}, too long to show)'
    return text if len(text) <= longest else f'{text[:longest]}...'


def check_value(value: Any, hint: Any, name: str) -> None:
    """Check a config value against a type hint.

    Args:
        value: value from a config.
        hint: type hint, with rules in ``Annotated``.
        name: name of the key, with which the message begins.

    Raises:
        ConfigError: it does not match; the message has the path, the value and what is allowed.
    """
    wrong = mismatch(value, hint)
    if wrong is not None:
        path, found, wanted = wrong
        raise ConfigError(f'{name}{path} is {short(found)}; it must be {wanted}')


def check_values(build: Callable, given: dict, where: str) -> None:
    """Check config values against a constructor's type hints.

    Args:
        build: class or function.
        given: its keys and values; unknown keys are ignored.
        where: name used in the message.

    Raises:
        ConfigError: see :func:`check_value`.
    """
    known = hints(build)
    for key, value in given.items():
        if key in known:
            check_value(value, known[key], f'{where}: {key}')
