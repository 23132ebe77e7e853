"""Base class of metrics that give the same result on any number of ranks."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from restorebox.errors import DataError, WeightsError, printable
from restorebox.pixels import whole_numbers

NAMED = 3  # maximum number of pictures listed in a message
NO_INPUT = 'the input does not have the size of its gt'


class RestorationMetric(BaseMetric):
    """Metric over a data set with the same result on any number of ranks.

    MMEngine interleaves the results of the ranks and truncates the list, which duplicates the wrong pictures if the
    ranks have different numbers of samples. Here each result is a dict with the picture's ``'index'`` in its set.
    Pictures processed by two ranks (samplers pad) count once, and results are sorted by index. Works with gloo and
    NCCL.

    A subclass appends dicts with ``'index'``, ``'name'`` and CPU data to ``results`` in :meth:`process`. It implements
    :meth:`compute_metrics`, which runs on rank 0 only. ``'why'`` of a result maps the name of each score that is not
    finite to the reason.

    If the data set consists of several named sets (``sets`` of its ``metainfo``), :meth:`compute_metrics` is called for
    each of them. A score is then given as ``SET/NAME`` for each set, and as ``NAME``: the mean of these over the sets,
    each with the same weight, as tables of several benchmarks have it.

    Attributes:
        table: one dict per picture of the last :meth:`evaluate`: ``index``, ``name``, ``set`` if there are several, the
            scores, and ``why`` if one of them is nan. On every rank.
        unavailable: name of each score that the last :meth:`evaluate` skipped -> reason. On every rank.
        undefined: name of each score that the last :meth:`evaluate` returned as nan -> number of pictures, their names
            and reasons. On every rank.
    """

    default_prefix = ''  # with None, MMEngine warns about a missing prefix
    results: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self.table: list[dict] = []
        self.unavailable: dict[str, str] = {}
        self.undefined: dict[str, str] = {}
        self._absent: dict[str, str] = {}  # score -> reason; missing weights are not looked for again

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the scores of all pictures processed since the last call.

        Args:
            size: length of the set; a warning is logged if pictures are missing.

        Returns:
            Score name -> value, the same on every rank.
        """
        gathered = all_gather_object((self.results, self._absent))
        self.results = []  # not clear(): with one rank, gathered contains this list itself
        outcome: list = [None]
        if is_main_process():
            try:
                outcome = [self._conclude(gathered, size)]
            except Exception as error:  # broadcast, since the other ranks would wait forever
                outcome = [error]
        broadcast_object_list(outcome)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        metrics, self.table, self.unavailable, self.undefined = outcome[0]
        return metrics

    def _conclude(self, gathered: list[tuple[list, dict]], size: int) -> tuple[dict, list, dict, dict]:
        by_index: dict[int, dict] = {}
        for results, absent in gathered:
            for score, reason in absent.items():
                self.mark_absent(score, reason)
            for result in results:
                if not isinstance(result, dict) or 'index' not in result:
                    raise DataError(
                        f"{type(self).__name__}: a result has no 'index'; process() must append dicts with the 'index' "
                        "and 'name' of the sample, see sample_index"
                    )
                known = by_index.setdefault(result['index'], result)
                if known.get('name') != result.get('name'):
                    names = ' and '.join(f"'{each.get('name')}'" for each in (known, result))
                    raise DataError(f'two pictures of the set have the index {result["index"]}: {names}')
        self.unavailable = dict(self._absent)
        self.undefined = {}
        if len(by_index) < size:
            name = type(self).__name__
            print_log(f'{name}: {len(by_index)} of {size} pictures were scored', 'current', logging.WARNING)
        rows = [by_index[index] for index in sorted(by_index)]
        sets = (self.dataset_meta or {}).get('sets')
        metrics = self._of_sets(rows, sets) if sets else self._of_rows(rows)
        return metrics, self.table, self.unavailable, self.undefined

    def _of_rows(self, rows: list[dict]) -> dict[str, float]:
        self.table = []
        return self.compute_metrics(rows) if rows else {}

    def _of_sets(self, rows: list[dict], sets: Sequence[tuple[str, int]]) -> dict[str, float]:
        """Compute the scores of each set, and their means over the sets."""
        metrics: dict[str, float] = {}
        table: list[dict] = []
        undefined: dict[str, str] = {}
        by_set: dict[str, dict[str, float]] = {}
        begin = 0
        for name, count in sets:
            self.undefined = {}
            by_set[name] = self._of_rows([row for row in rows if begin <= row['index'] < begin + count])
            table += [{'index': row['index'], 'set': name, **row} for row in self.table]
            undefined |= {f'{name}/{score}': reason for score, reason in self.undefined.items()}
            metrics |= {f'{name}/{score}': value for score, value in by_set[name].items()}
            begin += count
        self.table, self.undefined = table, undefined
        for score in dict.fromkeys(score for scores in by_set.values() for score in scores):
            absent = [name for name, scores in by_set.items() if scores and score not in scores]
            if absent:
                self.unavailable[score] = f'the set {absent[0]} has no such score, so there is no mean over the sets'
                continue
            values = {name: scores.get(score, math.nan) for name, scores in by_set.items()}
            metrics[score] = float(np.mean([*values.values()]))
            without = [name for name, value in values.items() if not math.isfinite(value)]
            if without:
                self.undefined[score] = f'{len(without)} of {len(sets)} sets without a number ({", ".join(without)})'
        return metrics

    def means(self, rows: Sequence[dict], names: Sequence[str]) -> dict[str, float]:
        """Return the mean of each score over all rows; a score that is nan or missing in a row makes its mean nan.

        A mean over the remaining rows would belong to another set. The reasons are logged and stored in ``undefined``.

        Args:
            rows: results sorted by index.
            names: score names.
        """
        found = {}
        for name in names:
            values = [row.get(name, math.nan) for row in rows]
            found[name] = float(np.mean(values))
            bad = [row for row, value in zip(rows, values, strict=True) if not math.isfinite(value)]
            if bad:
                self.mark_undefined(name, bad, rows)
        return found

    def mark_undefined(self, score: str, bad: Sequence[dict], rows: Sequence[dict]) -> None:
        """Record and log that a score is nan; called by :meth:`compute_metrics`.

        Args:
            score: score name.
            bad: rows in which the score is nan or missing.
            rows: all rows.
        """
        named = [f'{printable(row.get("name"))}: {_why(row, score)}' for row in bad[:NAMED]]
        more = f' and {len(bad) - NAMED} more' if len(bad) > NAMED else ''
        self.undefined[score] = f'{len(bad)} of {len(rows)} pictures without a number ({"; ".join(named)}{more})'
        print_log(f'{score} is nan: {self.undefined[score]}', 'current', logging.WARNING)

    def mark_absent(self, score: str, reason: WeightsError | str) -> None:
        """Mark a score as unavailable for the rest of the run, e.g. for missing weights; log one warning."""
        if score not in self._absent:
            self._absent[score] = str(reason)
            print_log(f'{score} is not available: {reason}', 'current', logging.WARNING)

    def is_absent(self, score: str) -> bool:
        """Return whether :meth:`mark_absent` was called for a score."""
        return score in self._absent

    def mark_absent_in_set(self, score: str, reason: str) -> None:
        """Mark a score as unavailable for the current set; called by :meth:`compute_metrics`."""
        self.unavailable[score] = reason
        print_log(f'{score} is not available: {reason}', 'current', logging.WARNING)


def sample_index(sample: dict) -> int:
    """Return the index of a picture in its set.

    Raises:
        DataError: the sample has no index.
    """
    if 'index' not in sample:
        raise DataError(f"picture '{sample.get('name', '?')}' has no index; it is needed to count each picture once")
    return int(sample['index'])


def picture_pairs(sample: dict, do_nothing: bool) -> dict[str, Tensor]:
    """Return the pictures of a sample to be compared with its ``gt``.

    Args:
        sample: dict with ``pred``, ``gt``, ``name`` and optionally ``lq``, CHW tensors.
        do_nothing: include ``lq``.

    Returns:
        ``''`` -> ``pred`` and, if ``do_nothing`` and ``lq`` has the size of ``gt``, ``'input/'`` -> ``lq``.

    Raises:
        DataError: ``pred`` and ``gt`` differ in shape.
    """
    pred, gt = sample['pred'], sample['gt']
    if pred.shape != gt.shape:
        raise DataError(
            f"picture '{sample['name']}': prediction is {tuple(pred.shape)}, gt is {tuple(gt.shape)} (C, H, W)"
        )
    pairs = {'': pred}
    lq = sample.get('lq')
    if do_nothing and lq is not None and lq.shape == gt.shape:
        pairs['input/'] = lq
    return pairs


def saved_tensor(picture: Tensor) -> Tensor:
    """Quantise a finite picture in [0, 1] to 8 bits: float32 multiples of 1/255."""
    return whole_numbers(picture.detach().float()) / 255


def is_finite(picture: Tensor) -> bool:
    """Return whether all values are finite. To be checked first: clamping hides infinity, resizing can hide nan."""
    return bool(torch.isfinite(picture).all())


def why_undefined(prefix: str, picture: Tensor, truth: Tensor | None) -> str:
    """Return the reason why a score of ``picture`` is nan.

    Args:
        prefix: ``'input/'`` for the degraded picture, ``''`` for the prediction.
        picture: CHW.
        truth: the reference, CHW, or None.
    """
    if truth is not None and not is_finite(truth):
        return 'the reference has nan or infinite values'
    if not is_finite(picture):
        return 'the input has nan or infinite values' if prefix else 'the prediction has nan or infinite values'
    return f'{picture.shape[-1]}x{picture.shape[-2]} is too small for this score'


def scores_of(row: dict, names: Sequence[str]) -> dict:
    """Convert a result to a row of the table.

    Args:
        row: a result.
        names: score names; a missing score becomes nan.

    Returns:
        ``index``, ``name``, the scores, and ``why`` if one of them is nan.
    """
    scores = {name: row.get(name, math.nan) for name in names}
    why = {name: _why(row, name) for name, value in scores.items() if not math.isfinite(value)}
    return {'index': row['index'], 'name': row['name'], **scores, **({'why': why} if why else {})}


def _why(row: dict, score: str) -> str:
    """Return the reason why a score of a row is not finite."""
    given = row.get('why', {}).get(score)
    return given or ('the metric gave no reason' if score in row else f"the metric gave no '{score}'")
