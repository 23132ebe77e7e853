"""From noise to a picture, given an estimate of the noise.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020): ancestral sampling; Song et al., "Denoising
Diffusion Implicit Models" (ICLR 2021): DDIM. Nothing here knows what the picture is conditioned on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from restorebox.diffusion.schedules import NoiseSchedule

Estimate = Callable[[Tensor, int], Tensor]
Progress = Callable[[int, int], None]


def draw_noise(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise from an explicit generator, on its device, then as ``like`` is."""
    return torch.randn(tuple(shape), generator=generator, device=generator.device).to(like)


def clean_estimate(x: Tensor, noise: Tensor, abar: float) -> Tensor:
    """The picture that ``x`` would be without ``noise``: ``(x - sqrt(1 - abar) noise) / sqrt(abar)``."""
    return (x - (1 - abar) ** 0.5 * noise) / abar**0.5


def noise_estimate(x: Tensor, clean: Tensor, abar: float) -> Tensor:
    """The noise that makes ``x`` of ``clean``: the inverse of :func:`clean_estimate`."""
    return (x - abar**0.5 * clean) / (1 - abar) ** 0.5


def ddim_step(
    x: Tensor,
    noise: Tensor,
    abar: float,
    abar_next: float,
    eta: float = 0.0,
    clip: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One step of DDIM, eqs 12 and 16 of Song et al.

    Args:
        x: ``(N, C, H, W)`` at a step with ``abar``.
        noise: its estimated noise.
        abar: of this step.
        abar_next: of the next, larger; 1 at the last.
        eta: 0 draws nothing, 1 is as random as ancestral sampling.
        clip: limit the picture behind the noise to [-1, 1].
        generator: of what is drawn where ``eta`` is not 0.
    """
    clean = clean_estimate(x, noise, abar)
    if clip:
        clean = clean.clamp(-1, 1)
    variance = eta**2 * (1 - abar_next) / (1 - abar) * (1 - abar / abar_next)
    y = abar_next**0.5 * clean + max(1 - abar_next - variance, 0.0) ** 0.5 * noise
    return y + variance**0.5 * draw_noise(x.shape, x, generator) if variance else y


def ancestral_step(
    x: Tensor,
    noise: Tensor,
    abar: float,
    abar_next: float,
    clip: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One step of the reverse process, algorithm 2 of Ho et al. with ``sigma^2 = beta``; nothing is drawn at the last.

    Between steps that are not neighbours alpha is the product of those left out: ``abar / abar_next``.

    Args:
        x: see :func:`ddim_step`, as are ``noise``, ``abar``, ``abar_next``, ``clip`` and ``generator``.
    """
    alpha = abar / abar_next
    if clip:
        noise = noise_estimate(x, clean_estimate(x, noise, abar).clamp(-1, 1), abar)
    y = (x - (1 - alpha) / (1 - abar) ** 0.5 * noise) / alpha**0.5
    return y + (1 - alpha) ** 0.5 * draw_noise(x.shape, x, generator) if abar_next < 1 else y


def sample(
    estimate: Estimate,
    x: Tensor,
    steps: Sequence[int],
    schedule: NoiseSchedule,
    kind: str = 'ddim',
    eta: float = 0.0,
    clip: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Walk from noise to a picture.

    Args:
        estimate: ``(x, t)`` -> the noise in ``x`` at step t, of its shape.
        x: ``(N, C, H, W)`` noise at the first of ``steps``.
        steps: falling, see :func:`~restorebox.diffusion.timesteps.spaced_steps`.
        schedule: of the training.
        kind: ``'ddim'`` or ``'ancestral'``.
        eta: see :func:`ddim_step`.
        clip: see :func:`ddim_step`.
        generator: of what is drawn on the way.
        progress: called with (steps done, all steps).

    Returns:
        The picture, unclamped.
    """
    abar = [float(schedule.abar[t]) for t in (*steps, 0)]
    for i, t in enumerate(steps):
        noise = estimate(x, t)
        if kind == 'ddim':
            x = ddim_step(x, noise, abar[i], abar[i + 1], eta, clip, generator)
        else:
            x = ancestral_step(x, noise, abar[i], abar[i + 1], clip, generator)
        if progress is not None:
            progress(i + 1, len(steps))
    return x
