"""Diffusion: noise schedules, step subsets, samplers, windows; independent of network and task."""

from restorebox.diffusion.estimate import Estimate
from restorebox.diffusion.samplers import ancestral_step, ddim_step, draw_noise, sample
from restorebox.diffusion.sampling import Sampling
from restorebox.diffusion.schedules import NoiseSchedule
from restorebox.diffusion.timesteps import spaced_steps
from restorebox.diffusion.windows import WindowAverage, window_grid

__all__ = [
    'Estimate',
    'NoiseSchedule',
    'Sampling',
    'WindowAverage',
    'ancestral_step',
    'ddim_step',
    'draw_noise',
    'sample',
    'spaced_steps',
    'window_grid',
]
