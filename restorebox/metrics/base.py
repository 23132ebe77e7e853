"""Metrics that are right on any number of ranks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from restorebox.errors import DataError, WeightsError


class RestorationMetric(BaseMetric):
    """Scores over a set, the same on one rank and on many.

    MMEngine interleaves the ranks' results and cuts the tail, which scores the wrong pictures twice when ranks hold
    uneven shares. Here each result is a dict with the picture's ``'index'`` in its set; a picture that two ranks saw
    (samplers pad) counts once, and results are taken in the set's order. Works on gloo and NCCL alike.

    A subclass appends dicts with ``'index'`` (and CPU data) to ``results`` in :meth:`process` and writes
    :meth:`compute_metrics`, which runs on the first rank only.

    Attributes:
        table: one dict per picture of the last :meth:`evaluate`: ``index``, ``name`` and the scores. On every rank.
        unavailable: score's name -> why the last :meth:`evaluate` went on without it. On every rank.
    """

    default_prefix = ''  # None would make MMEngine warn about a missing prefix

    def __init__(self) -> None:
        super().__init__()
        self.table: list[dict] = []
        self.unavailable: dict[str, str] = {}
        self._absent: dict[str, str] = {}  # scores whose weights this process has found absent: not tried again

    def evaluate(self, size: int) -> dict[str, float]:
        """Score all pictures that were processed since the last call.

        Args:
            size: length of the set; a line is logged when pictures are missing.

        Returns:
            Score's name -> value, the same on every rank.
        """
        gathered = all_gather_object((self.results, self._absent))
        self.results = []  # not clear(): on one rank the gathered list is this very one
        outcome: list = [None]
        if is_main_process():
            try:
                outcome = [self._conclude(gathered, size)]
            except Exception as error:  # sent on: the other ranks would wait for ever
                outcome = [error]
        broadcast_object_list(outcome)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        metrics, self.table, self.unavailable = outcome[0]
        return metrics

    def _conclude(self, gathered: list[tuple[list, dict]], size: int) -> tuple[dict, list, dict]:
        by_index = {}
        for results, absent in gathered:
            for score, reason in absent.items():
                self.mark_absent(score, reason)
            for result in results:
                by_index.setdefault(result['index'], result)
        self.unavailable = dict(self._absent)
        if len(by_index) < size:
            name = type(self).__name__
            print_log(f'{name}: {len(by_index)} of {size} pictures were scored', 'current', logging.WARNING)
        self.table = []
        metrics = self.compute_metrics([by_index[index] for index in sorted(by_index)]) if by_index else {}
        return metrics, self.table, self.unavailable

    def mark_absent(self, score: str, reason: WeightsError | str) -> None:
        """Go on without a score from here on: one warning line in the whole run."""
        if score not in self._absent:
            self._absent[score] = str(reason)
            print_log(f'{score} is not available: {reason}', 'current', logging.WARNING)

    def is_absent(self, score: str) -> bool:
        """Whether a score's weights were found absent."""
        return score in self._absent

    def give_up(self, score: str, reason: str) -> None:
        """Called by :meth:`compute_metrics`: this set has no such score."""
        self.unavailable[score] = reason
        print_log(f'{score} is not available: {reason}', 'current', logging.WARNING)


def sample_index(sample: dict) -> int:
    """The position of a picture in its set.

    Raises:
        DataError: the sample carries none.
    """
    if 'index' not in sample:
        raise DataError(f"picture '{sample.get('name', '?')}' has no index; it is needed to count each picture once")
    return int(sample['index'])


def picture_pairs(sample: dict, do_nothing: bool) -> dict[str, Tensor]:
    """The pictures of a sample that are scored against its ``gt``.

    Returns:
        ``''`` -> ``pred`` and, where asked for and ``lq`` has the size of ``gt``, ``'input/'`` -> ``lq``.

    Raises:
        DataError: ``pred`` and ``gt`` differ in shape.
    """
    pred, gt = sample['pred'], sample['gt']
    if pred.shape != gt.shape:
        raise DataError(
            f"picture '{sample['name']}': restored it is {tuple(pred.shape)}, its gt is {tuple(gt.shape)} (C, H, W)"
        )
    pairs = {'': pred}
    lq = sample.get('lq')
    if do_nothing and lq is not None and lq.shape == gt.shape:
        pairs['input/'] = lq
    return pairs


def saved_tensor(picture: Tensor) -> Tensor:
    """A picture in [0, 1] as its 8-bit file would be read back: float32 multiples of 1/255."""
    return picture.detach().float().clamp(0, 1).mul(255).round() / 255


def mean_ignoring_nan(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; nan when none is."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float('nan')
