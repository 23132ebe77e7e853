"""Sampling settings; they can be changed without new training."""

from __future__ import annotations

from dataclasses import dataclass

from restorebox.diffusion.windows import check_windows
from restorebox.errors import ConfigError
from restorebox.registry import nearest
from restorebox.values import Fraction, Pixels, Positive, Timesteps

SAMPLERS = ('ddim', 'ancestral')
MODES = ('whole', 'overlap', 'shifted')


@dataclass(frozen=True)
class Sampling:
    """Settings of a sampler.

    Attributes:
        sampler: ``'ddim'`` or ``'ancestral'``.
        steps: number S of sampling steps, at least 5.
        spacing: ``'leading'`` or ``'trailing'``, see :func:`~restorebox.diffusion.timesteps.spaced_steps`.
        eta: randomness of DDIM, 0 to 1.
        clip_x0: clamp the estimated clean picture to [-1, 1] at each step; helps a weak model.
        mode: ``'whole'``: the network gets the whole picture; ``'overlap'``: the estimates of overlapping windows of
            the training size are averaged at each step; ``'shifted'``: at each step but the last, windows without
            overlap, on a grid whose offset changes from step to step, see
            :class:`~restorebox.diffusion.ShiftedWindows`.
        window: height and width of a window in pixels; the size of the training crops.
        window_stride: distance between overlapping windows in pixels.
        window_memory: memory limit of a batch of windows in MiB.

    Raises:
        ConfigError: an invalid value.
    """

    sampler: str = 'ddim'
    steps: Timesteps = 25
    spacing: str = 'leading'
    eta: Fraction = 0.0
    clip_x0: bool = False
    mode: str = 'whole'
    window: Pixels = 128
    window_stride: Pixels = 16
    window_memory: Positive = 1024

    def __post_init__(self) -> None:
        """Check the values that do not depend on the noise schedule."""
        for name, value, known in (('sampler', self.sampler, SAMPLERS), ('mode', self.mode, MODES)):
            if value not in known:
                raise ConfigError(f"sampling: {name} is '{value}'; {nearest(str(value), known)}")
        if not 0 <= self.eta <= 1:
            raise ConfigError(f'sampling: eta is {self.eta}; it must be from 0 to 1')
        if self.eta and self.sampler == 'ancestral':
            raise ConfigError('sampling: eta is a parameter of ddim; ancestral sampling does not use it')
        check_windows(self.window, self.window_stride, self.window_memory)
