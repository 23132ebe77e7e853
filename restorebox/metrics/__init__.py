"""Named protocols: what is measured, in which colour space, with which rounding."""

from restorebox.metrics.base import RestorationMetric
from restorebox.metrics.protocols import PROTOCOLS, protocol
from restorebox.metrics.scores import score_table, write_scores

__all__ = ['PROTOCOLS', 'RestorationMetric', 'protocol', 'score_table', 'write_scores']
