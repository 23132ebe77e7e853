"""Untrusted JSON: what it may hold, and what it may cost."""

import json
import tracemalloc

import pytest

from restorebox.untrusted import NODES, read_json


@pytest.mark.parametrize('text', ['{"a": NaN}', '[' * 100_000, '{"a": 1e999}', f'[{"0," * NODES}0]', str(2**70)])
def test_what_it_may_not_hold(text):
    with pytest.raises(ValueError, match=r'no number|deeply|the number|values'):
        read_json(text)


def test_a_long_key_is_not_copied_for_each_value_under_it():
    """It would take 90 GB."""
    text = json.dumps({'k' * 1_000_000: [0] * 90_000})
    tracemalloc.start()
    read_json(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
