"""Samplers of diffusion models: ancestral sampling and DDIM.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020): ancestral sampling; Song et al., "Denoising
Diffusion Implicit Models" (ICLR 2021): DDIM. Conditions are part of the ``estimate`` callable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from restorebox.diffusion.estimate import Estimate
from restorebox.diffusion.schedules import NoiseSchedule

Progress = Callable[[int, int], None]


def draw_noise(shape: Sequence[int], like: Tensor, rng: torch.Generator | None) -> Tensor:
    """Draw standard normal noise on the generator's device; return it with the device and dtype of ``like``.

    Raises:
        ValueError: no generator.
    """
    if rng is None:
        raise ValueError('draw_noise: rng is None; random sampling needs a torch.Generator')
    return torch.randn(tuple(shape), generator=rng, device=rng.device).to(like)


def ddim_step(
    estimate: Estimate,
    abar: float,
    abar_next: float,
    eta: float = 0.0,
    clip: bool = False,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Return the result of one DDIM step, eqs 12 and 16 of Song et al.

    Args:
        estimate: noise and clean picture, ``(N, C, H, W)``.
        abar: cumulative product at this timestep.
        abar_next: the same at the next timestep, larger; 1 at the last step.
        eta: 0 is deterministic; 1 has the variance of ancestral sampling.
        clip: clamp the clean picture to [-1, 1].
        rng: generator of the noise; needed if ``eta`` is not 0.
    """
    clean = estimate.clean.clamp(-1, 1) if clip else estimate.clean
    variance = eta**2 * (1 - abar_next) / (1 - abar) * (1 - abar / abar_next)
    y = abar_next**0.5 * clean + max(1 - abar_next - variance, 0.0) ** 0.5 * estimate.noise
    return y + variance**0.5 * draw_noise(y.shape, y, rng) if variance else y


def ancestral_step(
    x: Tensor,
    estimate: Estimate,
    abar: float,
    abar_next: float,
    clip: bool = False,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Return the result of one reverse step, algorithm 2 of Ho et al. with ``sigma^2 = beta``; the last adds no noise.

    If timesteps are skipped, alpha is the product over the skipped ones: ``abar / abar_next``.

    Args:
        x: ``(N, C, H, W)``, the noisy picture at this timestep.
        estimate: see :func:`ddim_step`, as are ``abar``, ``abar_next``, ``clip`` and ``rng``.
    """
    alpha = abar / abar_next
    noise = Estimate.of_clean(x, estimate.clean.clamp(-1, 1), abar).noise if clip else estimate.noise
    y = (x - (1 - alpha) / (1 - abar) ** 0.5 * noise) / alpha**0.5
    return y + (1 - alpha) ** 0.5 * draw_noise(x.shape, x, rng) if abar_next < 1 else y


def sample(
    estimate: Callable[[Tensor, int], Estimate],
    x: Tensor,
    steps: Sequence[int],
    schedule: NoiseSchedule,
    kind: str = 'ddim',
    eta: float = 0.0,
    clip: bool = False,
    rng: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Sample pictures from noise.

    Args:
        estimate: ``(x, t)`` -> estimated noise and clean picture at timestep t, both of the shape of ``x``.
        x: ``(N, C, H, W)`` noise at the first timestep.
        steps: decreasing timesteps, see :func:`~restorebox.diffusion.timesteps.spaced_steps`.
        schedule: noise schedule of the training.
        kind: ``'ddim'`` or ``'ancestral'``.
        eta: see :func:`ddim_step`.
        clip: see :func:`ddim_step`.
        rng: generator of the noise; needed for ``'ancestral'`` or ``eta`` above 0.
        progress: called after each step with (steps done, number of steps).

    Returns:
        Pictures ``(N, C, H, W)``, unclamped.
    """
    abar = [float(schedule.abar[t]) for t in (*steps, 0)]
    for i, t in enumerate(steps):
        current = estimate(x, t)
        if kind == 'ddim':
            x = ddim_step(current, abar[i], abar[i + 1], eta, clip, rng)
        else:
            x = ancestral_step(x, current, abar[i], abar[i + 1], clip, rng)
        if progress is not None:
            progress(i + 1, len(steps))
    return x
