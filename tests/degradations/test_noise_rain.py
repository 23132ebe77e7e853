"""Motion-blurred noise, blended as a white layer or added."""

import numpy as np
import pytest

from restorebox.degradations.noise_rain import NoiseRain

SIZE = (128, 160)
EVEN = dict(uneven=(0, 0))


def rain(seed=0, **given):
    drawn = NoiseRain(**{**EVEN, **given})
    return NoiseRain.rain(SIZE, drawn.sample(np.random.default_rng(seed), SIZE))


def test_screen_covers_the_scene_and_a_sum_does_not():
    scene = np.full((*SIZE, 3), 0.4, np.float32)
    given = dict(amount=(0.2, 0.2), length=(10, 10), sparseness=(0, 0))
    expected = rain(**given)[..., None]
    screened, added = (NoiseRain(**EVEN, **given, screen=s)(scene, np.random.default_rng(0)) for s in (True, False))
    np.testing.assert_allclose(screened['lq'], 1 - (1 - scene) * (1 - expected), atol=1e-6)
    np.testing.assert_allclose(added['lq'], np.minimum(scene + expected, 1), atol=1e-6)
    assert set(screened) == {'lq', 'transmission', 'airlight', 'parameters'}
    assert set(added) == {'lq', 'streak', 'parameters'}


@pytest.mark.parametrize('amount', [0.05, 0.15])
def test_the_mean_is_the_amount(amount):
    assert rain(amount=(amount, amount), sparseness=(0, 0)).mean() == pytest.approx(amount, rel=1e-3)


def test_sparse_rain_has_fewer_and_brighter_streaks():
    dense, sparse = (rain(amount=(0.05, 0.05), sparseness=(s, s), length=(12, 12), seed=1) for s in (0.0, 1.5))
    assert sparse.std() > 1.5 * dense.std()
    assert np.median(sparse) < 0.8 * np.median(dense)


def test_grain_is_the_width_of_streaks():
    def width(layer):
        """Return pixels across the rain at which its autocorrelation falls below a half."""
        layer = layer - layer.mean()
        lags = [(layer[:, : -lag or None] * layer[:, lag:]).mean() for lag in range(1, 20)]
        return 1 + next(lag for lag, value in enumerate(lags) if value < 0.5 * layer.var())

    narrow, wide = (rain(angle=(0, 0), grain=(g, g), length=(30, 30)) for g in (1.2, 6.0))
    assert width(narrow) <= 2
    assert 3 <= width(wide) <= 7


def test_uneven_rain_varies_over_the_picture():
    def spread(layer):
        means = [layer[y : y + 32, x : x + 32].mean() for y in range(0, 128, 32) for x in range(0, 160, 32)]
        return np.std(means) / np.mean(means)

    given = dict(amount=(0.1, 0.1), length=(8, 8), sparseness=(0, 0))
    assert spread(rain(uneven=(1, 1), **given)) > 3 * spread(rain(**given))
