"""NIQE and BRISQUE of each prediction, for sets without ground truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from restorebox.errors import ConfigError
from restorebox.metrics.base import RestorationMetric, is_finite, sample_index, scores_of
from restorebox.metrics.no_reference import NO_REFERENCE, why_without_number
from restorebox.pixels import to_array
from restorebox.registry import METRICS, nearest
from restorebox.values import Names


@METRICS.register_module()
class NoReferenceScores(RestorationMetric):
    """Score each prediction, and optionally each input, by itself; a ``gt`` is neither needed nor used.

    Lower values are better. A nan score (picture too small or flat, nan or infinite values) makes the mean nan.

    Args:
        protocols: names of :mod:`restorebox.metrics.no_reference`.
        do_nothing: also score ``lq`` as ``input/NAME``, if there is one.

    Raises:
        ConfigError: unknown name, or an empty list.
    """

    def __init__(self, protocols: Names = ('niqe', 'brisque'), do_nothing: bool = True) -> None:
        super().__init__()
        if isinstance(protocols, str) or not protocols:
            raise ConfigError(f'NoReferenceScores: protocols is {protocols!r}; it must be a list of names')
        for name in protocols:
            if name not in NO_REFERENCE:
                raise ConfigError(
                    f"NoReferenceScores: no protocol is called '{name}'; {nearest(name, [*NO_REFERENCE])}"
                )
        self.protocols = tuple(dict.fromkeys(protocols))
        self.do_nothing = do_nothing

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Score a batch.

        Args:
            data_batch: not used.
            data_samples: dicts with ``pred``, optionally ``lq`` (CHW RGB in [0, 1]), ``name`` and ``index``.

        Raises:
            DataError: a picture has no ``index``.
        """
        for sample in data_samples:
            row: dict[str, Any] = {'index': sample_index(sample), 'name': sample['name']}
            why: dict[str, str] = {}
            pictures = {'': sample['pred']}
            if self.do_nothing and sample.get('lq') is not None:
                pictures['input/'] = sample['lq']
            for prefix, picture in pictures.items():
                finite = is_finite(picture)
                array = to_array(picture, np.float64)
                for name in self.protocols:
                    value = NO_REFERENCE[name](array) if finite else math.nan
                    row[prefix + name] = value
                    if not math.isfinite(value):
                        why[prefix + name] = why_without_number(name, array)
            self.results.append({**row, 'why': why})

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the means over the set and fill the table.

        Args:
            results: rows sorted by index.
        """
        names = [prefix + name for prefix in ('', 'input/') for name in self.protocols]
        names = [name for name in names if any(name in row for row in results)]
        absent = {name: 'the picture has no input' for name in names}
        self.table = [scores_of({**row, 'why': {**absent, **row['why']}}, names) for row in results]
        return self.means(self.table, names)
