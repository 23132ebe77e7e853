"""Named protocols: what is measured, in which colour space, with which rounding."""

from restorebox.metrics.base import RestorationMetric
from restorebox.metrics.fid import FID
from restorebox.metrics.layer_scores import LayerScores
from restorebox.metrics.picture_scores import PictureScores
from restorebox.metrics.protocols import PROTOCOLS, protocol
from restorebox.metrics.scores import score_table, write_scores

__all__ = [
    'FID',
    'PROTOCOLS',
    'LayerScores',
    'PictureScores',
    'RestorationMetric',
    'protocol',
    'score_table',
    'write_scores',
]
