"""Full-reference scores of single pictures, and their means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restorebox.encoders.frozen import LPIPS_MIN_SIZE, LazyFrozen, lpips_network
from restorebox.errors import ConfigError, DataError, WeightsError
from restorebox.metrics.base import (
    NO_INPUT,
    RestorationMetric,
    is_finite,
    picture_pairs,
    sample_index,
    saved_tensor,
    scores_of,
    why_undefined,
)
from restorebox.metrics.protocols import NETWORK_PROTOCOLS, parse_protocol, protocol, resize_saved
from restorebox.pixels import to_array, to_tensor
from restorebox.registry import METRICS
from restorebox.values import Names


@METRICS.register_module()
class PictureScores(RestorationMetric):
    """Compare each prediction, and optionally each input, with its ground truth.

    A nan score (prediction with nan or infinite values, picture too small for SSIM or LPIPS) makes the mean nan; the
    reason is logged. If the weights file of a network is missing, one warning is logged and its score is skipped.

    Args:
        protocols: names of :mod:`restorebox.metrics.protocols`, including ``lpips_alex`` and ``lpips_vgg``, each
            optionally with ``@SIZE`` or ``@HxW``.
        do_nothing: also score ``lq`` as ``input/NAME`` if it has the size of ``gt``.
        lpips_weights: weights of the LPIPS backbones: ``'pretrained'``, ``'random'`` (for tests) or the path of a state
            dict.

    Raises:
        ConfigError: unknown protocol, or an empty list.
    """

    def __init__(
        self,
        protocols: Names = ('psnr_y', 'ssim_y', 'psnr_rgb'),
        do_nothing: bool = True,
        lpips_weights: str = 'pretrained',
    ) -> None:
        super().__init__()
        if isinstance(protocols, str) or not protocols:
            raise ConfigError(f'PictureScores: protocols is {protocols!r}; it must be a list of names')
        self.protocols = tuple(dict.fromkeys(protocols))
        parsed = {name: parse_protocol(name) for name in self.protocols}
        self._sizes = {name: size for name, (_, size) in parsed.items()}
        self._nets = {name: NETWORK_PROTOCOLS[base] for name, (base, _) in parsed.items() if base in NETWORK_PROTOCOLS}
        self._functions = {name: protocol(name) for name in self.protocols if name not in self._nets}
        self._lpips = {net: LazyFrozen(partial(lpips_network, net, lpips_weights)) for net in set(self._nets.values())}
        self.do_nothing = do_nothing

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Score a batch.

        Args:
            data_batch: not used.
            data_samples: dicts with ``pred``, ``gt``, optionally ``lq`` (CHW RGB in [0, 1]), ``name``, ``index``.

        Raises:
            DataError: a picture has no ``gt`` or ``index``, or not the size of its ``gt``.
        """
        for sample in data_samples:
            if sample.get('gt') is None:
                raise DataError(f"picture '{sample['name']}' has no gt; use FID or a paired set")
            row: dict[str, Any] = {'index': sample_index(sample), 'name': sample['name']}
            why: dict[str, str] = {}
            if self.do_nothing:  # replaced below if the input can be scored
                why = {f'input/{name}': NO_INPUT for name in self.protocols}
            for prefix, picture in picture_pairs(sample, self.do_nothing).items():
                for name, value in self._score(picture, sample['gt']).items():
                    row[prefix + name] = value
                    why.pop(prefix + name, None)
                    if not math.isfinite(value):
                        why[prefix + name] = why_undefined(prefix, picture, sample['gt'])
            self.results.append({**row, 'why': why})

    def _score(self, picture: Tensor, gt: Tensor) -> dict[str, float]:
        if not (is_finite(picture) and is_finite(gt)):  # some scores do not depend on every pixel
            return {name: math.nan for name in self.protocols if not self.is_absent(name)}
        ours, clean = to_array(picture, np.float64), to_array(gt, np.float64)
        scores = {name: score(ours, clean) for name, score in self._functions.items()}
        for name, net in self._nets.items():
            if self.is_absent(name):
                continue
            size = self._sizes[name]
            first, second = (x if size is None else resize_saved(x, size) for x in (ours, clean))
            try:
                scores[name] = self._lpips_of(net, first, second, picture.device)
            except WeightsError as error:
                self.mark_absent(name, error)
        return {name: scores[name] for name in self.protocols if name in scores}

    @torch.no_grad()
    def _lpips_of(self, net: str, ours: np.ndarray, clean: np.ndarray, device: torch.device) -> float:
        if min(ours.shape[:2]) < LPIPS_MIN_SIZE[net]:
            return float('nan')
        pair = [saved_tensor(to_tensor(x, device)) for x in (ours, clean)]
        return float(self._lpips[net](*(x * 2 - 1 for x in pair)))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the means over the set and fill the table.

        Args:
            results: rows sorted by index.
        """
        names = [prefix + name for prefix in ('', 'input/') for name in self.protocols if name not in self.unavailable]
        names = [name for name in names if any(name in row for row in results)]
        self.table = [scores_of(row, names) for row in results]
        return self.means(self.table, names)
