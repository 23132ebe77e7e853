"""Times in turn. Peaks of memory are tested in fresh processes, by tests/tools/test_benchmarks.py."""

from restorebox.engine.measuring import time_alternately


def test_functions_take_turns_after_one_call_each():
    called = []
    works = [lambda item: called.append(('a', item)), lambda item: called.append(('b', item))]
    seconds = time_alternately(works, [1, 2], rounds=2)
    assert called == [('a', 1), ('b', 1)] + [('a', 1), ('b', 1), ('a', 2), ('b', 2)] * 2
    assert [len(row) for row in seconds] == [2] * 4
    assert all(value >= 0 for row in seconds for value in row)
