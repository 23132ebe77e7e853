"""The study that measures checkouts counts what is there."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import load_study


@pytest.fixture(scope='module')
def study():
    return load_study('house')


def test_a_circle_is_found_through_functions_but_not_through_type_hints(study):
    known = {'restorebox.a', 'restorebox.b', 'restorebox.c'}
    a = ast.parse('def f():\n    from restorebox.b import g\n')
    b = ast.parse('from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from restorebox.a import f\n')
    c = ast.parse('import restorebox.a\n')
    assert study.imported(a, known) == {'restorebox.b'}
    assert study.imported(b, known) == set()
    assert study.imported(c, known) == {'restorebox.a'}
    assert study.circles({'a': {'b'}, 'b': {'c'}, 'c': {'b'}, 'd': set()}) == [['b', 'c']]
    assert study.circles({'a': {'b'}, 'b': set()}) == []


def test_files_to_read_count_each_base_once(study, tmp_path):
    for name, text in {
        'runtime': 'x = 1',
        'left': "_base_ = 'runtime.py'",
        'right': "_base_ = ['runtime.py']",
        'top': "_base_ = ['left.py', 'right.py']",
    }.items():
        (tmp_path / f'{name}.py').write_text(text + '\n')
    assert len(study.files_of(tmp_path / 'top.py')) == 4
    assert study.depth(tmp_path / 'top.py') == 3


def test_constructors_are_counted_without_self(study):
    tree = ast.parse('class A:\n    def __init__(self, x, *, y=1): ...\nclass B:\n    def f(self, x): ...\n')
    assert study.constructors({'m': tree}) == [(2, 'A')]
