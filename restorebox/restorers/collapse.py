"""Detection of generators that have become the identity in unpaired training."""

from __future__ import annotations

import torch
from mmengine.logging import MMLogger
from torch import Tensor

THRESHOLD = 0.01  # mean absolute difference in [-1, 1]
STEPS = 100  # steps averaged per check


class CollapseMonitor:
    """Average the differences between pictures and those generated from them, and warn when all of them vanish.

    Attributes:
        last: name -> mean over the last complete interval of ``STEPS`` steps; empty before the first.
    """

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    @property
    def collapsed(self) -> bool:
        """Whether all differences of the last interval are below the threshold."""
        return bool(self.last) and all(value < THRESHOLD for value in self.last.values())

    def add(self, shifts: dict[str, Tensor]) -> None:
        """Add the differences of a step; they are read from the device and checked once per interval."""
        for name, value in shifts.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().double()
        self._count += 1
        if self._count < STEPS:
            return
        before = self.collapsed
        self.last = {name: float(total) / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        if self.collapsed and not before:
            each = ', '.join(f'{name} = {value:.4f}' for name, value in self.last.items())
            MMLogger.get_current_instance().warning(
                f'COLLAPSE: the generators have become the identity ({each}, both under {THRESHOLD} over {STEPS} '
                'steps): pseudo pictures look like their sources, and the denoiser learns to copy its condition. '
                'Freeze the generators of a CycleGAN or use domain_prior; see configs/raindiffusion/README.md'
            )

    def state(self) -> dict:
        """Return the state for a checkpoint."""
        sums = {name: torch.as_tensor(total).cpu() for name, total in self._sums.items()}
        return {'last': dict(self.last), 'sums': sums, 'count': self._count}

    def load(self, state: dict) -> None:
        """Restore the result of :meth:`state`."""
        self.last, self._count = dict(state['last']), state['count']
        self._sums = dict(state['sums'])
