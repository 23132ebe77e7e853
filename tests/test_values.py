"""Checking of config values against the type hints of constructors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from restorebox.errors import ConfigError
from restorebox.registry import BACKBONES, TRANSFORMS
from restorebox.values import Counts, Fraction, Range, ValueRange, check_value, check_values, hints, mismatch


@pytest.mark.parametrize(
    ('hint', 'right', 'wrong'),
    [
        (int, [0, -3, np.int64(3)], [True, 2.0, '2', None, 10**30, [2]]),
        (float, [0, -3, 2.5, np.float32(1)], [True, '2', math.nan, math.inf, 10**400, None]),
        (bool, [True, False], [0, 1, 'True', None]),
        (str, ['', 'x'], [5, b'x', ['x'], None]),
        (str | Path, ['x', Path('x')], [5, None]),
        (str | None, ['x', None], [5, False]),
        (dict, [{}, {'a': 1}], [[], 'a', None]),
        (dict[str, float], [{}, {'a': 1}], [{'a': 'x'}, {1: 1}, []]),
        (Sequence[int], [[], [1], (1, 2)], ['12', 5, [1.5], [True], {1: 2}]),
        (tuple[int, int], [(1, 2), [1, 2]], [(1,), (1, 2, 3), 1, ('1', 2)]),
        (tuple[int, ...], [(), (1, 2, 3)], [('x',), 1]),
        (int | tuple[int, int], [5, (5, 5)], ['5', (5,), (5, 'x')]),
        (Literal['a', 'b'], ['a'], ['c', 1, None]),
        (Fraction, [0, 0.5, 1], [-0.1, 2, math.nan, True, '0']),
        (Annotated[float, Range(0, above=True)], [1e-9], [0, -1]),
        (ValueRange, [(0, 1), [-1.0, 1.0]], [(1, 0), (1, 1), (0,), '01', 5]),
        (Counts, [[1], (1, 2)], [[], [0], [1.5], 1]),
        (Range | dict, [Range(), {}], [5, 'x', [], None]),  # an object, or the dict that it is built of
        (Any, [None, 5, math.nan], []),
    ],
)
def test_kinds(hint, right, wrong):
    assert [value for value in right if mismatch(value, hint)] == []
    assert [value for value in wrong if not mismatch(value, hint)] == []


@pytest.mark.parametrize(
    ('value', 'hint', 'line'),
    [
        (2, Fraction, 'p is 2; it must be a finite number from 0 to 1'),
        ([1, 'x'], Sequence[int], "p.1 is 'x'; it must be a whole number"),
        ({'a': {'b': 'x'}}, dict[str, dict[str, float]], "p.a.b is 'x'; it must be a finite number"),
        ([1, 0], ValueRange, 'p is [1, 0]; it must be a list of 2, each a finite number, the first below the second'),
        (3, Range | dict, 'p is 3; it must be a dict'),
        ('x' * 1000, int, f"p is '{'x' * 79}...; it must be a whole number"),
        (10**5000, float, 'p is (int, too long to show); it must be a finite number'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_error_gives_place_value_and_expected_type(value, hint, line):
    with pytest.raises(ConfigError) as caught:
        check_value(value, hint, 'p')
    assert str(caught.value) == line


class Parent:
    def __init__(self, width: int, name: str = None, old=3, flag=True):  # noqa: RUF013 (as in older code)
        pass


class Child(Parent):
    def __init__(self, depth: Fraction, **kwargs: Any):
        pass


def test_hints_of_parents_and_of_defaults():
    assert hints(Child)['depth'] == Fraction
    check_values(Child, {'depth': 1, 'width': 3, 'name': None, 'old': 2.5, 'flag': False, 'other': 5}, 'Child')
    for key, value in (('depth', 2), ('width', 'x'), ('name', 5), ('old', 'x'), ('flag', 1)):
        with pytest.raises(ConfigError, match=f'Child: {key} is'):
            check_values(Child, {key: value}, 'Child')


def test_building_in_code_checks_as_a_config_does():
    with pytest.raises(ConfigError, match=r'UNet: base_width is 64\.0; it must be a whole number'):
        BACKBONES.build(dict(type='UNet', base_width=64.0))
    with pytest.raises(ConfigError, match='Flip: p is 2; it must be a finite number from 0 to 1'):
        TRANSFORMS.build(dict(type='Flip', p=2))
