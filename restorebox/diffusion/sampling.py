"""Sampling settings at test time; changing them needs no new training."""

from __future__ import annotations

from dataclasses import dataclass

from restorebox.diffusion.windows import check_windows
from restorebox.errors import ConfigError
from restorebox.registry import nearest
from restorebox.values import Fraction, Pixels, Positive, Timesteps

SAMPLERS = ('ddim', 'ancestral')
MODES = ('whole', 'overlap')


@dataclass(frozen=True)
class Sampling:
    """Settings of a sampler.

    Attributes:
        sampler: ``'ddim'`` or ``'ancestral'``.
        steps: S, 5 or more.
        spacing: ``'leading'`` or ``'trailing'``, see :func:`~restorebox.diffusion.timesteps.spaced_steps`.
        eta: randomness of DDIM, 0 to 1.
        clip_x0: limit the picture that each step arrives at to [-1, 1]; helps a weak model.
        mode: ``'whole'`` picture at once, or ``'overlap'``: the estimates of overlapping windows are averaged at every
            step, so that the network sees what it was trained on.
        window: side of a window in pixels, the training crop.
        window_stride: pixels from window to window.
        window_memory: MiB that a batch of windows may take.

    Raises:
        ConfigError: values that don't exist.
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
        """Refuse what can be refused without a schedule."""
        for name, value, known in (('sampler', self.sampler, SAMPLERS), ('mode', self.mode, MODES)):
            if value not in known:
                raise ConfigError(f"sampling: {name} is '{value}'; {nearest(str(value), known)}")
        if not 0 <= self.eta <= 1:
            raise ConfigError(f'sampling: eta is {self.eta}; it must be from 0 to 1')
        if self.eta and self.sampler == 'ancestral':
            raise ConfigError('sampling: eta belongs to ddim; ancestral sampling has a randomness of its own')
        check_windows(self.window, self.window_stride, self.window_memory)
