"""From noise to a picture, given estimates of the noise and of what is behind it.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020): ancestral sampling; Song et al., "Denoising
Diffusion Implicit Models" (ICLR 2021): DDIM. Nothing here knows what the picture is conditioned on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from restorebox.diffusion.estimate import Estimate
from restorebox.diffusion.schedules import NoiseSchedule

Progress = Callable[[int, int], None]


def draw_noise(shape: Sequence[int], like: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal noise from an explicit random number generator, on its device, then as ``like`` is."""
    return torch.randn(tuple(shape), generator=rng, device=rng.device).to(like)


def ddim_step(
    estimate: Estimate,
    abar: float,
    abar_next: float,
    eta: float = 0.0,
    clip: bool = False,
    rng: torch.Generator | None = None,
) -> Tensor:
    """One step of DDIM, eqs 12 and 16 of Song et al.

    Args:
        estimate: of the noise in a picture at a step with ``abar``, and of the picture without it.
        abar: of this step.
        abar_next: of the next, larger; 1 at the last.
        eta: 0 draws nothing, 1 is as random as ancestral sampling.
        clip: limit the clean picture to [-1, 1].
        rng: of what is drawn where ``eta`` is not 0.
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
    """One step of the reverse process, algorithm 2 of Ho et al. with ``sigma^2 = beta``; nothing is drawn at the last.

    Between steps that are not neighbours alpha is the product of those left out: ``abar / abar_next``.

    Args:
        x: ``(N, C, H, W)`` at a step with ``abar``.
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
    """Walk from noise to a picture.

    Args:
        estimate: ``(x, t)`` -> the noise in ``x`` at step t and the picture without it, both of its shape.
        x: ``(N, C, H, W)`` noise at the first of ``steps``.
        steps: falling, see :func:`~restorebox.diffusion.timesteps.spaced_steps`.
        schedule: of the training.
        kind: ``'ddim'`` or ``'ancestral'``.
        eta: see :func:`ddim_step`.
        clip: see :func:`ddim_step`.
        rng: of what is drawn on the way.
        progress: called with (steps done, all steps).

    Returns:
        The picture, unclamped.
    """
    abar = [float(schedule.abar[t]) for t in (*steps, 0)]
    for i, t in enumerate(steps):
        seen = estimate(x, t)
        if kind == 'ddim':
            x = ddim_step(seen, abar[i], abar[i + 1], eta, clip, rng)
        else:
            x = ancestral_step(x, seen, abar[i], abar[i + 1], clip, rng)
        if progress is not None:
            progress(i + 1, len(steps))
    return x
