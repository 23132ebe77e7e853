"""The base class of metrics, with results of a metric of another package."""

import math

import pytest

from restorebox.errors import DataError
from restorebox.metrics import RestorationMetric
from restorebox.metrics.base import scores_of


class Given(RestorationMetric):
    """Scores that are given."""

    protocols = ('a', 'b')

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        self.table = [scores_of(row, self.protocols) for row in results]
        return self.means(self.table, self.protocols)


def test_a_score_that_is_missing_or_nan_without_a_reason_gives_nan_and_says_so():
    metric = Given()
    metric.process({}, [{'index': 0, 'name': 'x', 'a': 1.0}, {'index': 1, 'name': 'y', 'a': math.nan, 'b': 2.0}])
    scores = metric.evaluate(2)
    assert math.isnan(scores['a'])
    assert math.isnan(scores['b'])
    assert metric.table[0]['why'] == {'b': "the metric gave no 'b'"}
    assert metric.table[1]['why'] == {'a': 'the metric gave no reason'}
    assert metric.undefined['a'] == '1 of 2 pictures without a number (y: the metric gave no reason)'


@pytest.mark.parametrize('result', [{'name': 'x', 'a': 1.0, 'b': 1.0}, 3.0])
def test_a_result_without_an_index_is_refused(result):
    metric = Given()
    metric.results.append(result)
    with pytest.raises(DataError, match=r"Given: a result has no 'index'; process\(\) must append dicts"):
        metric.evaluate(1)
