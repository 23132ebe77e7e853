"""Times in turn, processes. Peaks of memory are tested in fresh processes, by tests/tools/test_benchmarks.py."""

import os
import signal
import subprocess
import sys

import pytest

from restorebox.engine.measuring import (
    compare_pairs,
    descendants,
    median_interval,
    proportional_size,
    resident_size,
    time_alternately,
)


def test_functions_take_turns_after_one_call_each():
    called = []
    works = [lambda item: called.append(('a', item)), lambda item: called.append(('b', item))]
    seconds = time_alternately(works, [1, 2], rounds=2)
    assert called == [('a', 1), ('b', 1)] + [('a', 1), ('b', 1), ('a', 2), ('b', 2)] * 2
    assert [len(row) for row in seconds] == [2] * 4
    assert all(value >= 0 for row in seconds for value in row)


def test_the_interval_of_a_median_is_that_of_a_binomial_distribution():
    # 21 values: ranks 6 and 16 have a coverage of 97.3 %, ranks 7 and 15 one of 92.2 % (Conover, table A3)
    assert median_interval(range(21)) == (5, 15)
    assert median_interval([3, 1, 2, 5, 4, 6]) == (1, 6)
    assert median_interval([1, 2, 3, 4, 5]) is None


def test_pairs_are_compared_by_their_ratios():
    found = compare_pairs([(1, 2), (2, 3), (4, 12)])
    assert (found['seconds'], found['ratio'], found['range']) == ([2, 3], 2, [1.5, 3])
    assert (found['interval'], found['pairs']) == (None, 3)


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_processes_in_sessions_of_their_own_are_descendants():
    code = (
        'import subprocess; p = subprocess.Popen(["sleep", "60"], start_new_session=True); '
        'print(p.pid, flush=True); p.wait()'
    )
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    try:
        child = int(process.stdout.readline())
        assert descendants(process.pid) == [process.pid, child]
    finally:
        for each in descendants(process.pid):
            os.kill(each, signal.SIGKILL)
        process.communicate()


def test_the_proportional_size_is_at_most_the_resident_size_and_zero_after_the_end():
    assert 0 < proportional_size(os.getpid()) <= resident_size('VmHWM')
    ended = subprocess.Popen([sys.executable, '-c', ''])
    ended.wait()
    assert proportional_size(ended.pid) == 0
