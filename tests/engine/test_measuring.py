"""Times in turn, and peaks of memory."""

import sys

import numpy as np
import pytest
import torch

from restorebox.engine.measuring import held_before, peak_since, time_in_turn


def test_functions_take_turns_after_one_call_each():
    called = []
    works = [lambda item: called.append(('a', item)), lambda item: called.append(('b', item))]
    seconds = time_in_turn(works, [1, 2], rounds=2)
    assert called == [('a', 1), ('b', 1)] + [('a', 1), ('b', 1), ('a', 2), ('b', 2)] * 2
    assert [len(row) for row in seconds] == [2] * 4
    assert all(value >= 0 for row in seconds for value in row)


@pytest.mark.skipif(sys.platform != 'linux' or torch.cuda.is_available(), reason='resident size, which Linux tells')
def test_a_peak_is_counted_from_what_was_held():
    before = held_before()
    np.ones(50 * 2**20, np.uint8)
    taken = (peak_since() - before) / 2**20
    assert 45 < taken < 100
    again = held_before()
    assert (peak_since() - again) / 2**20 < 45
