"""Noise schedules of the forward diffusion process.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020); Nichol and Dhariwal, "Improved Denoising Diffusion
Probabilistic Models" (ICML 2021). Timesteps are 1 to T; timestep 0 is the clean picture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restorebox.errors import ConfigError
from restorebox.registry import nearest

SCHEDULES = ('linear', 'cosine')


def linear_betas(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """Return linearly increasing variances, by default those of Ho et al. at T = 1000: ``(T,)`` float64."""
    return torch.linspace(first, last, steps, dtype=torch.float64, device='cpu')


def cosine_betas(steps: int, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """Return the variances for which ``abar`` is a squared cosine, eq 17 of Nichol and Dhariwal: ``(T,)`` float64."""
    at = torch.arange(steps + 1, dtype=torch.float64, device='cpu') / steps
    level = ((at + offset) / (1 + offset) * math.pi / 2).cos().square()
    return (1 - level[1:] / level[:-1]).clamp(max=largest)


class NoiseSchedule:
    """Noise schedule: the cumulative products ``abar`` for training and sampling.

    Args:
        name: ``'linear'`` or ``'cosine'``.
        steps: number T of timesteps, at least 5.

    Attributes:
        steps: T.
        abar: ``(T + 1,)`` float64 on the CPU, ``abar[t] = (1 - beta_1) ... (1 - beta_t)`` and ``abar[0] = 1``: the
            fraction of the picture's variance that is left after t steps.

    Raises:
        ConfigError: an unknown name or an invalid number of timesteps.
    """

    def __init__(self, name: str = 'linear', steps: int = 1000) -> None:
        if name not in SCHEDULES:
            raise ConfigError(f"schedule is '{name}'; {nearest(str(name), SCHEDULES)}")
        if not isinstance(steps, int) or steps < 5:
            raise ConfigError(f'timesteps is {steps!r}; it must be a whole number from 5')
        betas = linear_betas(steps) if name == 'linear' else cosine_betas(steps)
        self.steps = steps
        self.abar = torch.cat((betas.new_ones(1), (1 - betas).cumprod(0)))

    def noisy(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return the forward process at timestep t: ``sqrt(abar_t) x + sqrt(1 - abar_t) noise``.

        Args:
            x: ``(N, ...)`` pictures.
            t: ``(N,)`` int64 timesteps on the CPU, 0 to T.
            noise: standard normal noise of the shape of ``x``.
        """
        level = self.abar[t].view(-1, *[1] * (x.dim() - 1))
        return level.sqrt().to(x) * x + (1 - level).sqrt().to(x) * noise
