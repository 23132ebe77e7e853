"""Metrics and named score protocols, which fix quantity, colour space and rounding."""

from restorebox.metrics.base import RestorationMetric
from restorebox.metrics.protocols import PROTOCOLS, protocol
from restorebox.metrics.scores import score_table, write_scores

__all__ = ['PROTOCOLS', 'RestorationMetric', 'protocol', 'score_table', 'write_scores']
