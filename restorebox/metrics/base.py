"""Metrics that are right on any number of ranks."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from restorebox.errors import DataError, WeightsError, printable
from restorebox.pixels import whole_numbers

NAMED = 3  # pictures that a line names
NO_INPUT = 'the input does not have the size of its gt'


class RestorationMetric(BaseMetric):
    """Scores over a set, the same on one rank and on many.

    MMEngine interleaves the ranks' results and cuts the tail, which scores the wrong pictures twice when ranks hold
    uneven shares. Here each result is a dict with the picture's ``'index'`` in its set; a picture that two ranks saw
    (samplers pad) counts once, and results are taken in the set's order. Works on gloo and NCCL alike.

    A subclass appends dicts with ``'index'``, ``'name'`` (and CPU data) to ``results`` in :meth:`process` and writes
    :meth:`compute_metrics`, which runs on the first rank only. A result's ``'why'`` says of each score that is not a
    number why it is none.

    Attributes:
        table: one dict per picture of the last :meth:`evaluate`: ``index``, ``name``, the scores, and ``why`` where one
            of them is nan. On every rank.
        unavailable: score's name -> why the last :meth:`evaluate` went on without it. On every rank.
        undefined: score's name -> why the last :meth:`evaluate` gave nan: of how many pictures, which, for what reason.
            On every rank.
    """

    default_prefix = ''  # None would make MMEngine warn about a missing prefix

    def __init__(self) -> None:
        super().__init__()
        self.table: list[dict] = []
        self.unavailable: dict[str, str] = {}
        self.undefined: dict[str, str] = {}
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
        metrics, self.table, self.unavailable, self.undefined = outcome[0]
        return metrics

    def _conclude(self, gathered: list[tuple[list, dict]], size: int) -> tuple[dict, list, dict, dict]:
        by_index: dict[int, dict] = {}
        for results, absent in gathered:
            for score, reason in absent.items():
                self.mark_absent(score, reason)
            for result in results:
                known = by_index.setdefault(result['index'], result)
                if known.get('name') != result.get('name'):
                    names = ' and '.join(f"'{each.get('name')}'" for each in (known, result))
                    raise DataError(f'two pictures of the set have the index {result["index"]}: {names}')
        self.unavailable = dict(self._absent)
        self.undefined = {}
        if len(by_index) < size:
            name = type(self).__name__
            print_log(f'{name}: {len(by_index)} of {size} pictures were scored', 'current', logging.WARNING)
        self.table = []
        metrics = self.compute_metrics([by_index[index] for index in sorted(by_index)]) if by_index else {}
        return metrics, self.table, self.unavailable, self.undefined

    def means(self, rows: Sequence[dict], names: Sequence[str]) -> dict[str, float]:
        """The mean of each score over ALL rows: one that is nan, or that a row lacks, makes it nan.

        A mean over the other rows would be that of another set. What is wrong goes to the log and to ``undefined``.

        Args:
            rows: results in the set's order.
            names: of the scores.
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
        """Called by :meth:`compute_metrics`: a score is nan because of these of all rows; one line in the log."""
        named = [f'{printable(row.get("name"))}: {row.get("why", {}).get(score, "nan")}' for row in bad[:NAMED]]
        more = f' and {len(bad) - NAMED} more' if len(bad) > NAMED else ''
        self.undefined[score] = f'{len(bad)} of {len(rows)} pictures without a number ({"; ".join(named)}{more})'
        print_log(f'{score} is nan: {self.undefined[score]}', 'current', logging.WARNING)

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
    """A picture in [0, 1], all finite, as its 8-bit file would be read back: float32 multiples of 1/255."""
    return whole_numbers(picture.detach().float()) / 255


def is_finite(picture: Tensor) -> bool:
    """Whether a picture has no nan and no infinity. Clamping would hide an infinity, resizing a nan."""
    return bool(torch.isfinite(picture).all())


def why_undefined(prefix: str, picture: Tensor, truth: Tensor | None) -> str:
    """Why a score of ``picture`` is nan, in words.

    Args:
        prefix: ``'input/'`` where the picture is the degraded one, ``''`` where the network made it.
        picture: CHW.
        truth: what it was compared with.
    """
    if truth is not None and not is_finite(truth):
        return 'what it is compared with holds nan or infinity'
    if not is_finite(picture):
        return 'the input holds nan or infinity' if prefix else 'the network gave nan or infinity'
    return f'{picture.shape[-1]}x{picture.shape[-2]} is too small for it'


def scores_of(row: dict, names: Sequence[str]) -> dict:
    """A result as a row of the table: all of these scores, nan where it has none, and ``why`` where one is nan."""
    scores = {name: row.get(name, math.nan) for name in names}
    why = {name: row['why'][name] for name, value in scores.items() if not math.isfinite(value)}
    return {'index': row['index'], 'name': row['name'], **scores, **({'why': why} if why else {})}
