"""Scores of estimated physics layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from restorebox.errors import ConfigError
from restorebox.metrics.base import RestorationMetric, is_finite, sample_index, scores_of, why_undefined
from restorebox.metrics.protocols import LAYER_PROTOCOLS
from restorebox.pixels import to_array
from restorebox.registry import METRICS, nearest
from restorebox.values import Names


@METRICS.register_module()
class LayerScores(RestorationMetric):
    """Compare each estimated layer with the ground-truth layer of samples that have both.

    A score that no sample has is reported as unavailable. The mean of a score that only some samples have is nan, since
    a mean over these would belong to another set.

    Args:
        protocols: names of ``LAYER_PROTOCOLS`` in :mod:`restorebox.metrics.protocols`.

    Raises:
        ConfigError: unknown protocol, or an empty list.
    """

    def __init__(self, protocols: Names = tuple(LAYER_PROTOCOLS)) -> None:
        super().__init__()
        if isinstance(protocols, str) or not protocols:
            raise ConfigError(f'LayerScores: protocols is {protocols!r}; it must be a list of names')
        for name in protocols:
            if name not in LAYER_PROTOCOLS:
                raise ConfigError(f"LayerScores: no protocol is called '{name}'; {nearest(name, [*LAYER_PROTOCOLS])}")
        self.protocols = tuple(dict.fromkeys(protocols))

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Score a batch.

        Args:
            data_batch: not used.
            data_samples: dicts with estimated layers and ``true_LAYER`` (CHW in [0, 1]), ``name`` and ``index``.
        """
        for sample in data_samples:
            row: dict[str, Any] = {'index': sample_index(sample), 'name': sample['name']}
            why: dict[str, str] = {}
            for name in self.protocols:
                estimate, truth, score = LAYER_PROTOCOLS[name]
                if sample.get(estimate) is None or sample.get(truth) is None:
                    why[name] = f'it lacks {truth if sample.get(truth) is None else estimate}'
                    continue
                pair = sample[estimate], sample[truth]
                row[name] = score(*_alike(*pair)) if all(map(is_finite, pair)) else math.nan
                if not math.isfinite(row[name]):
                    why[name] = why_undefined('', *pair)
            self.results.append({**row, 'why': why})

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the means over the set and fill the table.

        Args:
            results: rows sorted by index.
        """
        names = [name for name in self.protocols if any(name in row for row in results)]
        for name in self.protocols:
            if name not in names:
                estimate, truth, _ = LAYER_PROTOCOLS[name]
                self.mark_absent_in_set(name, f'no picture has both {estimate} and {truth}')
        self.table = [scores_of(row, names) for row in results]
        return self.means(self.table, names)


def _alike(estimate: Tensor, truth: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Convert CHW tensors to HWC arrays with the same number of channels; one channel is broadcast."""
    channels = max(estimate.shape[0], truth.shape[0])
    first, second = (to_array(x.expand(channels, -1, -1), np.float64) for x in (estimate, truth))
    return first, second
