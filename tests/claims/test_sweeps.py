"""Sweeps become models of the ledger, and share its runs."""

import pytest

from restorebox.claims.sweeps import expand
from restorebox.errors import ConfigError

MODELS = {
    'a': {'paper': 'm/a.py', 'small': 'm/b.py', 'overrides': {'x': 1}, 'paper_overrides': {'y': 2}},
    'b': {'paper': 'm/a.py'},
}


def sweep(**curve):
    curve = {'label': 'A', 'model': 'a', **curve}
    return {'id': 'f', 'where': 'Fig', 'axis': 'k', 'metric': 'psnr_y', 'curves': {'c': curve}}


def test_values_are_overrides_of_the_model_at_each_budget():
    node = sweep(key='k', values=[1, 3], paper_values=[1, 9], existing={3: 'b'})
    (one,), models = expand('file', [node], MODELS)
    assert [(point.place, point.model) for point in one.curves[0].points] == [(1, 'f-c-1'), (3, 'b'), (9, 'f-c-9')]
    assert one.models() == ('f-c-1', 'b', 'f-c-9')
    assert models['f-c-1'] == {
        'paper': 'm/a.py',
        'small': 'm/b.py',
        'label': 'A, 1',
        'overrides': {'x': 1, 'k': 1},
        'paper_overrides': {'y': 2, 'k': 1},
    }
    assert 'why' in models['f-c-9']  # no run but at the budget paper
    assert models['f-c-9']['paper_overrides'] == {'y': 2, 'k': 9}


def test_a_value_that_the_paper_lacks_has_no_config_of_the_paper():
    models = expand('file', [sweep(key='k', values=[1, 3], paper_values=[1])], MODELS)[1]
    assert ('paper' in models['f-c-1'], 'paper' in models['f-c-3']) == (True, False)


def test_points_are_changes_of_the_model_and_the_first_points_of_all_curves_come_first():
    node = sweep(points={'p': {'row': 'r', 'label': 'first'}, 'q': {'overrides': {'z': 3}}})
    node['curves']['d'] = {'label': 'D', 'model': 'b', 'points': {'p': {}}}
    (one,), models = expand('file', [node], MODELS)
    assert one.models() == ('f-c-p', 'f-d-p', 'f-c-q')
    assert models['f-c-p']['row'] == 'r'
    assert models['f-c-q']['overrides'] == {'x': 1, 'z': 3}
    assert one.curves[0].points[0].place == 'first'


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        ({'label': 'A', 'model': 'aa', 'key': 'k', 'values': [1]}, "there is no model 'aa'; did you mean 'a'"),
        ({'label': 'A', 'model': 'a', 'key': 'k'}, 'needs either key and values, or points'),
        ({'label': 'A', 'model': 'a', 'key': 'k', 'values': [1], 'points': {}}, 'either key and values, or points'),
        (
            {'label': 'A', 'model': 'a', 'points': {'p': {'rows': 'r'}}},
            "point p: has no key 'rows'; did you mean 'row'",
        ),
        ({'label': 'A', 'model': 'a', 'points': {'p/q': {}}}, "'p/q' is no name"),
        ({'label': 'A', 'model': 'a', 'key': 'k', 'values': [1], 'existing': {2: 'b'}}, "there is no point '2'"),
        ({'label': 'A', 'model': 'a', 'key': 'k', 'values': [1], 'existing': {1: 'c'}}, "there is no model 'c'"),
        ({'model': 'a', 'key': 'k', 'values': [1]}, "misses the key 'label'"),
    ],
)
def test_a_mistake_is_one_line_with_the_curve(change, expected):
    node = sweep()
    node['curves'] = {'c': change}
    with pytest.raises(ConfigError) as error:
        expand('file', [node], MODELS)
    assert expected in str(error.value)
    assert str(error.value).startswith('file: sweep f')
    assert '\n' not in str(error.value)


def test_a_point_may_not_hide_a_model():
    with pytest.raises(ConfigError, match="there is a model 'f-c-1' already"):
        expand('file', [sweep(key='k', values=[1])], {**MODELS, 'f-c-1': {}})
