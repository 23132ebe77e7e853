"""Diffusion: noise schedules, step subsets, samplers, windows; independent of network and task."""

from restorebox.diffusion.estimate import Estimate
from restorebox.diffusion.samplers import ancestral_step, ddim_step, draw_noise, sample
from restorebox.diffusion.sampling import Sampling
from restorebox.diffusion.schedules import NoiseSchedule
from restorebox.diffusion.timesteps import spaced_steps
from restorebox.diffusion.windows import ShiftedWindows, WindowAverage, window_grid

__all__ = [
    'Estimate',
    'NoiseSchedule',
    'Sampling',
    'ShiftedWindows',
    'WindowAverage',
    'ancestral_step',
    'ddim_step',
    'draw_noise',
    'sample',
    'spaced_steps',
    'window_grid',
]
