"""Noise schedules with the published values, and the chosen steps."""

import pytest
import torch

from restorebox.diffusion import NoiseSchedule, spaced_steps
from restorebox.errors import ConfigError


def test_linear_levels_have_the_published_values():
    abar = NoiseSchedule('linear', 1000).abar
    for t, value in {0: 1.0, 1: 0.9999, 41: 0.979767, 481: 0.0948687, 961: 8.741e-5, 1000: 4.036e-5}.items():
        assert float(abar[t]) == pytest.approx(value, rel=2e-4 if value < 1e-3 else 1e-6)


@pytest.mark.parametrize('name', ['linear', 'cosine'])
def test_levels_fall_within_zero_and_one(name):
    abar = NoiseSchedule(name, 1000).abar
    assert abar.shape == (1001,)
    assert abar[0] == 1
    assert (abar.diff() < 0).all()
    assert 0 < abar[-1] < abar[1] < 1


def test_cosine_is_half_way_where_the_formula_is():
    abar = NoiseSchedule('cosine', 1000).abar
    at = torch.tensor([0.0, 0.25, 0.5, 0.75], dtype=torch.float64)
    level = ((at + 0.008) / 1.008 * torch.pi / 2).cos().square()
    torch.testing.assert_close(abar[[0, 250, 500, 750]], level / level[0], atol=1e-12, rtol=0)


def test_noisy_mixes_by_the_share_of_variance():
    schedule = NoiseSchedule()
    x, noise = torch.rand(2, 3, 4, 4, dtype=torch.float64), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    out = schedule.noisy(x, torch.tensor([0, 481]), noise)
    assert torch.equal(out[0], x[0])
    torch.testing.assert_close(out[1], 0.0948687**0.5 * x[1] + (1 - 0.0948687) ** 0.5 * noise[1], atol=1e-6, rtol=0)


def test_schedules_are_the_same_when_a_model_is_built_without_memory():
    with torch.device('meta'):
        assert torch.equal(NoiseSchedule('cosine').abar, NoiseSchedule('cosine').abar)
        assert not NoiseSchedule().abar.is_meta


def test_leading_steps():
    assert spaced_steps(1000, 25) == list(range(961, 0, -40))
    assert spaced_steps(1000, 1000) == list(range(1000, 0, -1))
    assert spaced_steps(1000, 30)[-2:] == [34, 1]


def test_trailing_steps_begin_where_the_noise_is():
    assert spaced_steps(1000, 5, 'trailing') == [1000, 800, 600, 400, 200]
    assert spaced_steps(1000, 1000, 'trailing') == list(range(1000, 0, -1))
    for count in (7, 16, 30, 999):
        steps = spaced_steps(1000, count, 'trailing')
        assert len(set(steps)) == count
        assert steps == sorted(steps, reverse=True)
        assert (steps[0], steps[-1]) == (1000, round(1000 / count))


@pytest.mark.parametrize('count', [1, 4, 1001, 12.5, '25'])
def test_numbers_of_steps_that_make_no_sense_are_refused(count):
    with pytest.raises(ConfigError, match='from 5 to timesteps'):
        spaced_steps(1000, count)


@pytest.mark.parametrize(
    ('make', 'expected'),
    [
        (lambda: NoiseSchedule('linaer'), "did you mean 'linear'"),
        (lambda: NoiseSchedule('linear', 3), 'timesteps is 3'),
        (lambda: spaced_steps(1000, 5, 'trialing'), "did you mean 'trailing'"),
    ],
)
def test_mistakes_are_named(make, expected):
    with pytest.raises(ConfigError, match=expected):
        make()
