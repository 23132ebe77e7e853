"""Scoring of pictures under limited memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from restorebox.errors import DataError, out_of_memory

if TYPE_CHECKING:
    from mmengine.runner.loops import ValLoop as LoopMixin
else:
    LoopMixin = object  # the mixins of the loops are combined with ValLoop and TestLoop


class MemoryLimitedLoop(LoopMixin):
    """Base of the validation and test loops: a batch that exceeds the memory is processed picture by picture.

    A single picture that exceeds the memory is an error that names it, or skipped. It is not cut into tiles, since
    scores are defined for whole pictures.
    """

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Restore and score a batch.

        Raises:
            DataError: not enough memory for a picture, and the data set's ``bad_picture`` is not 'skip'.
        """
        before = [len(metric.results) for metric in self.evaluator.metrics]
        try:
            super().run_iter(idx, data_batch)
            return
        except Exception as error:
            if not out_of_memory(error):
                raise
        # outside the except block, whose traceback keeps the network's activations in memory
        for metric, count in zip(self.evaluator.metrics, before, strict=True):
            del metric.results[count:]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        samples = data_batch['data_samples']
        if len(samples) > 1:
            for i, sample in enumerate(samples):
                inputs = {role: pictures[i : i + 1] for role, pictures in data_batch['inputs'].items()}
                bad = data_batch.get('bad', []) if i == 0 else []
                self.run_iter(idx, {**data_batch, 'inputs': inputs, 'data_samples': [sample], 'bad': bad})
            return
        line = _line(samples[0], data_batch['inputs'])
        if getattr(self.dataloader.dataset, 'bad_picture', 'error') != 'skip':
            raise DataError(f"{line}, or leave such pictures out with bad_picture='skip' in its data set")
        samples[0].set_metainfo({'bad': [line]})
        bad = [*data_batch.get('bad', []), line]
        self.run_iter(idx, {'inputs': {}, 'data_samples': [], 'dropped': samples, 'bad': bad})


def _line(sample: Any, inputs: dict[str, Tensor | list[Tensor]]) -> str:
    height, width = next(iter(inputs.values()))[0].shape[-2:]
    paths = sample.metainfo.get('paths') or {}
    name = paths.get('lq') or paths.get('gt') or sample.metainfo.get('name')
    return (
        f'{name}: not enough memory to score a picture of {width} x {height}, which is restored whole; close other '
        'programs or use another machine'
    )
