"""Intervals and numbers of seeds, against tables and by simulation."""

import numpy as np
import pytest

from restorebox.claims.statistics import equivalent, interval, seeds_to_decide


@pytest.mark.parametrize(('count', 'quantile'), [(2, 12.706), (3, 4.303), (5, 2.776), (10, 2.262)])
def test_interval_has_the_quantiles_of_printed_tables(count, quantile):
    values = [float(value) for value in range(count)]
    low, high = interval(values)
    assert (high - low) / 2 == pytest.approx(quantile * np.std(values, ddof=1) / count**0.5, rel=1e-3)
    assert (high + low) / 2 == pytest.approx(np.mean(values))


def test_one_value_has_no_interval():
    assert interval([1.0]) is None
    assert not equivalent([0.0], 1.0)


def test_equivalence_of_unequal_means_is_found_in_one_case_of_twenty():
    rng = np.random.default_rng(0)
    draws = rng.normal(1.0, 0.5, (1000, 5))  # the mean is exactly the tolerance
    assert sum(equivalent(list(each), 1.0) for each in draws) <= 65  # 50 expected, standard deviation 7


def test_equivalence_of_equal_means_is_found():
    rng = np.random.default_rng(1)
    assert sum(equivalent(list(each), 1.0) for each in rng.normal(0.0, 0.25, (1000, 5))) >= 950


def test_seeds_to_decide():
    assert seeds_to_decide([0.9, 1.1, 1.0]) == 2  # t(1) 0.1 / sqrt(2) = 0.90, mean 1.0
    assert seeds_to_decide([0.0, 2.0]) == 11  # t(10) sqrt(2) / sqrt(11) = 0.95 < 1
    assert seeds_to_decide([-1.0, 1.001]) is None
    assert seeds_to_decide([0.1, -0.1], tolerance=0.3) == 3
