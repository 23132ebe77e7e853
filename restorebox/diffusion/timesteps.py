"""Subsets of timesteps for accelerated sampling."""

from __future__ import annotations

from restorebox.errors import ConfigError
from restorebox.registry import nearest

SPACINGS = ('leading', 'trailing')
FEWEST = 5  # the leading list of one step is t = 1 alone, where there is nothing left to remove


def spaced_steps(total: int, count: int, spacing: str = 'leading') -> list[int]:
    """Steps in the order of sampling, from noisy to clean; the step after the last is 0.

    - ``'leading'``: ``t_i = (i - 1) floor(T / S) + 1`` for i = S .. 1, as in WeatherDiffusion and eq 17 of
      RainDiffusion: 961, 921, ..., 41, 1 for S = 25.
    - ``'trailing'``: ``t_i = round(i T / S)``: begins at T itself, where a network has learnt to expect noise alone,
      and spends no step on t = 1 (Lin et al., WACV 2024).

    With few steps both shrink the variance of what is sampled, by the same amount for Gaussian data.

    Args:
        total: T.
        count: S, from 5 to T.
        spacing: see above.

    Raises:
        ConfigError: another count or spacing.
    """
    if not isinstance(count, int) or not FEWEST <= count <= total:
        raise ConfigError(f'steps is {count!r}; it must be a whole number from {FEWEST} to timesteps ({total})')
    if spacing == 'leading':
        return [i * (total // count) + 1 for i in reversed(range(count))]
    if spacing == 'trailing':
        return [round(i * total / count) for i in reversed(range(1, count + 1))]
    raise ConfigError(f"spacing is '{spacing}'; {nearest(str(spacing), SPACINGS)}")
