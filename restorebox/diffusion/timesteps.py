"""Subsets of timesteps for accelerated sampling."""

from __future__ import annotations

from restorebox.errors import ConfigError
from restorebox.registry import nearest

SPACINGS = ('leading', 'trailing')
FEWEST = 5  # with one step 'leading' is only t = 1, where there is almost no noise


def spaced_steps(total: int, count: int, spacing: str = 'leading') -> list[int]:
    """Return timesteps in the order of sampling, decreasing; the one after the last is 0.

    - ``'leading'``: ``t_i = (i - 1) floor(T / S) + 1`` for i = S .. 1, as in WeatherDiffusion and eq 17 of
      RainDiffusion: 961, 921, ..., 41, 1 for S = 25.
    - ``'trailing'``: ``t_i = round(i T / S)``: starts at T, where the training input is nearly pure noise, and does not
      include t = 1 (Lin et al., WACV 2024).

    With few steps both reduce the variance of the samples, by the same amount for Gaussian data.

    Args:
        total: number T of timesteps of the schedule.
        count: number S of sampling steps, 5 to T.
        spacing: ``'leading'`` or ``'trailing'``.

    Raises:
        ConfigError: an invalid ``count`` or ``spacing``.
    """
    if not isinstance(count, int) or not FEWEST <= count <= total:
        raise ConfigError(f'steps is {count!r}; it must be a whole number from {FEWEST} to timesteps ({total})')
    if spacing == 'leading':
        return [i * (total // count) + 1 for i in reversed(range(count))]
    if spacing == 'trailing':
        return [round(i * total / count) for i in reversed(range(1, count + 1))]
    raise ConfigError(f"spacing is '{spacing}'; {nearest(str(spacing), SPACINGS)}")
