"""Collation of samples to a batch."""

from __future__ import annotations

from typing import Any

import torch

from restorebox.errors import DataError
from restorebox.pixels import unit_range
from restorebox.registry import FUNCTIONS


@FUNCTIONS.register_module()
def collate_roles(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Collate packed samples to a batch.

    Args:
        samples: results of :class:`restorebox.datasets.transforms.Pack`. Samples without inputs (an unreadable picture
            at test time) are dropped.

    Returns:
        ``inputs``: role -> NCHW tensor, or list of CHW tensors if sizes differ; empty if all samples were dropped. In a
        batch with 8-bit and 16-bit pictures, 8-bit ones are converted to float32 in [0, 1] too. ``data_samples``: list
        of the samples kept. ``dropped``: list of the samples dropped. ``bad``: 'path: reason' of every unreadable
        picture.

    Raises:
        DataError: the samples don't have the same roles.
    """
    kept = [sample for sample in samples if sample['inputs']]
    bad = [line for sample in samples for line in sample['data_samples'].get('bad', [])]
    inputs: dict[str, torch.Tensor | list[torch.Tensor]] = {}
    for role in kept[0]['inputs'] if kept else ():
        for sample in kept:
            if sample['inputs'].keys() != kept[0]['inputs'].keys():
                raise DataError(
                    f'samples of one batch have different roles: {kept[0]["data_samples"].name} has '
                    f'{", ".join(kept[0]["inputs"])}, {sample["data_samples"].name} has {", ".join(sample["inputs"])}'
                )
        tensors = [sample['inputs'][role] for sample in kept]
        if len({tensor.dtype for tensor in tensors}) > 1:
            tensors = [unit_range(tensor) for tensor in tensors]
        alike = len({tensor.shape for tensor in tensors}) == 1
        inputs[role] = torch.stack(tensors) if alike else tensors
    return {
        'inputs': inputs,
        'data_samples': [sample['data_samples'] for sample in kept],
        'dropped': [sample['data_samples'] for sample in samples if not sample['inputs']],
        'bad': bad,
    }
