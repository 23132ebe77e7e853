"""Data preprocessor: a batch to the device, in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.layers.precision import at_least_float32
from restorebox.pixels import unit_range
from restorebox.registry import RESTORERS


@RESTORERS.register_module()
class RestorationPreprocessor(nn.Module):
    """Move a batch to the model's device; uint8 pictures are converted to float32 in [0, 1] there, after the copy."""

    place: Tensor

    def __init__(self) -> None:
        super().__init__()
        # a buffer without values, since a module has no device of its own; not on a surrounding meta device
        self.register_buffer('place', torch.empty(0, device='cpu'), persistent=False)

    def _to_float(self, picture: Tensor) -> Tensor:
        # from pinned memory the host need not wait for the copy; MPS would read memory that may be reused by then
        moved = picture.to(self.place.device, non_blocking=self.place.device.type == 'cuda')
        return at_least_float32(unit_range(moved))

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a batch as ``collate_roles`` makes it.

        Args:
            data: ``inputs``: role -> ``(N, C, H, W)`` uint8 or float32, or a list of ``(C, H, W)`` where sizes differ;
                ``data_samples``: one per picture.
            training: unused; part of MMEngine's interface.

        Returns:
            ``inputs`` as float32 in [0, 1] on the device, and ``data_samples``.
        """
        floats = {
            role: [self._to_float(p) for p in value] if isinstance(value, (list, tuple)) else self._to_float(value)
            for role, value in data['inputs'].items()
        }
        return {'inputs': floats, 'data_samples': data['data_samples']}
