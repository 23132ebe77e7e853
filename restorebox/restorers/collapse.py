"""Detection of generators that have become the identity in unpaired training."""

from __future__ import annotations

import torch
from mmengine.logging import MMLogger
from torch import Tensor

SHARE = 0.5  # of the least difference that the two domains require
STEPS = 100  # steps averaged per check
QUANTILES = 256


def difference_quantiles(x: Tensor) -> Tensor:
    """Return the quantiles of the differences between neighbouring pixels.

    Args:
        x: ``(N, C, H, W)``, at least 2 pixels high or wide.

    Returns:
        ``(QUANTILES,)``, in float64.
    """
    x = x.detach().float()
    each = torch.cat([(x[..., 1:] - x[..., :-1]).flatten(), (x[..., 1:, :] - x[..., :-1, :]).flatten()]).sort().values
    at = torch.linspace(0, each.numel() - 1, QUANTILES, device=each.device).long()
    return each[at].double()


class CollapseMonitor:
    """Compare the shifts of two generators with the least shift that their domains require; warn if both are smaller.

    A shift is the mean absolute difference between images and those generated from them. A generator that maps one
    domain to the other changes the distribution of the differences d between neighbouring pixels from that of the one
    to that of the other, so ``E|d' - d|`` is at least the 1-Wasserstein distance W of the two distributions, and since
    ``|d' - d|`` is at most the sum of two pixels' changes, the shift is at least ``W / 2``. W is computed from
    quantiles that are averaged over the interval, which needs no pairs. The detector's threshold is ``SHARE`` times
    this bound, since W is an estimate from few images.

    Attributes:
        last: name -> mean over the last complete interval of ``STEPS`` steps, and ``shift_required``, the bound; empty
            before the first.
    """

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._quantiles: Tensor | None = None
        self._count = 0

    @property
    def collapsed(self) -> bool:
        """Whether all shifts of the last interval are below the threshold."""
        limit = SHARE * self.last.get('shift_required', 0.0)
        return bool(self.last) and all(value < limit for name, value in self.last.items() if name != 'shift_required')

    def add(self, shifts: dict[str, Tensor], rainy: Tensor, clean: Tensor) -> None:
        """Add a step; values are read from the device and checked once per interval.

        Args:
            shifts: name -> mean absolute difference.
            rainy: ``(N, C, H, W)``, images of the degraded domain.
            clean: ``(N, C, H, W)``, images of the clean domain.
        """
        for name, value in shifts.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().double()
        gap = difference_quantiles(rainy) - difference_quantiles(clean)
        self._quantiles = gap if self._quantiles is None else self._quantiles.to(gap.device) + gap
        self._count += 1
        if self._count < STEPS:
            return
        before = self.collapsed
        self.last = {name: float(total) / self._count for name, total in self._sums.items()}
        self.last['shift_required'] = float(self._quantiles.abs().mean()) / self._count / 2
        self._sums, self._quantiles, self._count = {}, None, 0
        if self.collapsed and not before:
            each = ', '.join(f'{name} = {value:.4f}' for name, value in self.last.items() if name != 'shift_required')
            MMLogger.get_current_instance().warning(
                f'COLLAPSE: the generators have become the identity over {STEPS} steps ({each}; the two domains differ '
                f'by at least {self.last["shift_required"]:.4f}): pseudo pictures look like their sources, and the '
                'denoiser learns to copy its condition. Freeze the generators of a CycleGAN or use domain_prior; see '
                'configs/raindiffusion/README.md'
            )

    def state(self) -> dict:
        """Return the state for a checkpoint."""
        sums = {name: torch.as_tensor(total).cpu() for name, total in self._sums.items()}
        quantiles = None if self._quantiles is None else self._quantiles.cpu()
        return {'last': dict(self.last), 'sums': sums, 'quantiles': quantiles, 'count': self._count}

    def load(self, state: dict) -> None:
        """Restore the result of :meth:`state`."""
        self.last, self._count = dict(state['last']), state['count']
        self._sums, self._quantiles = dict(state['sums']), state['quantiles']
