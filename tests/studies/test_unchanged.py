"""All configs that were ever listed resolve to what they were, as files or as rows."""

from __future__ import annotations

import json

import pytest

from tests.conftest import load_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def study():
    return load_study('unchanged')


def test_resolved_configs_are_unchanged(study):
    listed = json.loads(study.LISTING.read_text())['configs']
    now = study.configs(listed)
    assert {name for name in listed if now[name] != listed[name]} == set()


def test_a_changed_leaf_a_missing_file_and_another_output_are_seen(study):
    before = {
        'files': {'a.json': '1', 'b.json': '2'},
        'configs': {'m/c.py': ['m/c.py', None, 'x']},
        'outputs': {'whole': [1.0, 2.0], 'grey': [3.0]},
    }
    after = {
        'files': {'a.json': '9', 'new.json': '3'},
        'configs': {'m/c.py': ['m/c.py', None, 'y']},
        'outputs': {'whole': [1.0, 2.1], 'grey': [3.0 + study.TOLERANCE / 2]},
    }
    assert len(study.differences(before, after)) == 4
    assert study.differences(before, before) == []
