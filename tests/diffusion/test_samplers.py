"""Samplers: exact for a known noise, a known picture and a Gaussian, and equal to those of diffusers."""

import pytest
import torch

from restorebox.diffusion import Estimate, NoiseSchedule, ancestral_step, ddim_step, sample, spaced_steps

SCHEDULE = NoiseSchedule()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def picture(*shape, seed=0):
    return torch.rand(shape, dtype=torch.float64, generator=seeded(seed)) * 2 - 1


def of_noise(network, schedule=SCHEDULE):
    """The estimate of a network that gives the noise at a step."""
    return lambda x, t: Estimate.of_noise(x, network(x, t), float(schedule.abar[t]))


def alpha_instead_of_abar():
    """The schedule as equations 7, 8, 9, 16 of the paper print it, without the bars."""
    wrong = NoiseSchedule()
    alpha = SCHEDULE.abar[1:] / SCHEDULE.abar[:-1]
    wrong.abar = torch.cat((torch.ones(1, dtype=torch.float64), alpha))
    return wrong


def walk_with_fixed_noise(schedule):
    """Invariant 1: the largest error of any step when the estimate is the noise that was put in."""
    x0, e = picture(2, 3, 8, 8), torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=seeded(1))
    steps = spaced_steps(1000, 25)
    x = SCHEDULE.noisy(x0, torch.full((2,), steps[0]), e)
    worst = 0.0
    for t, following in zip(steps, [*steps[1:], 0], strict=True):
        abar = float(schedule.abar[t])
        x = ddim_step(Estimate.of_noise(x, e, abar), abar, float(schedule.abar[following]))
        expected = SCHEDULE.noisy(x0, torch.full((2,), following), e)
        worst = max(worst, float((x - expected).abs().max()))
    return worst


def test_oracle_of_fixed_noise_is_met_at_every_step():
    assert walk_with_fixed_noise(SCHEDULE) < 1e-11


def test_oracle_of_fixed_noise_tells_alpha_from_abar():
    assert walk_with_fixed_noise(alpha_instead_of_abar()) > 1


@pytest.mark.parametrize('spacing', ['leading', 'trailing'])
@pytest.mark.parametrize('count', [5, 25, 100])
def test_oracle_of_the_picture(count, spacing):
    """Invariant 2: noise recomputed from the true picture leads to it for any number of steps."""
    x0 = picture(1, 3, 8, 8)
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64, generator=seeded(1))
    for kind in ('ddim', 'ancestral'):
        out = sample(
            lambda x, t: Estimate.of_clean(x, x0, float(SCHEDULE.abar[t])),
            x,
            spaced_steps(1000, count, spacing),
            SCHEDULE,
            kind,
            rng=seeded(2),
        )
        torch.testing.assert_close(out, x0, atol=1e-9, rtol=0)


def gaussian(count, spacing='leading', schedule=SCHEDULE):
    """Standard deviation of samples of N(0, 0.3^2) under the exact estimate."""

    def exact(x, t):
        abar = float(schedule.abar[t])
        return (1 - abar) ** 0.5 * x / (0.09 * abar + 1 - abar)

    x = torch.randn(1, 1, 200, 200, dtype=torch.float64, generator=seeded())
    return float(sample(of_noise(exact, schedule), x, spaced_steps(1000, count, spacing), schedule).std() / x.std())


@pytest.mark.parametrize(('count', 'expected'), [(25, 0.252), (1000, 0.298), (10, 0.19), (5, 0.12)])
def test_gaussian_keeps_its_width_as_far_as_the_steps_allow(count, expected):
    assert gaussian(count) == pytest.approx(expected, abs=0.006)


def test_gaussian_shows_the_missing_bar():
    assert gaussian(25, schedule=alpha_instead_of_abar()) > 0.7


@pytest.mark.parametrize(('count', 'expected'), [(25, 0.247), (10, 0.185), (5, 0.111)])
def test_trailing_steps_shrink_the_width_alike(count, expected):
    assert gaussian(count, 'trailing') == pytest.approx(expected, abs=0.006)


def test_ancestral_samples_have_the_width_too():
    def exact(x, t):
        abar = float(SCHEDULE.abar[t])
        return (1 - abar) ** 0.5 * x / (0.09 * abar + 1 - abar)

    x = torch.randn(1, 1, 100, 100, generator=seeded())
    out = sample(of_noise(exact), x, spaced_steps(1000, 1000), SCHEDULE, 'ancestral', rng=seeded(1))
    assert float(out.std()) == pytest.approx(0.3, abs=0.01)


def test_ancestral_step_is_the_published_one():
    x, e = picture(1, 3, 4, 4), picture(1, 3, 4, 4, seed=1)
    t, abar = 500, SCHEDULE.abar
    alpha = float(abar[t] / abar[t - 1])
    z = torch.randn(x.shape, generator=seeded(3)).double()
    expected = (x - (1 - alpha) / (1 - float(abar[t])) ** 0.5 * e) / alpha**0.5 + (1 - alpha) ** 0.5 * z
    estimate = Estimate.of_noise(x, e, float(abar[t]))
    out = ancestral_step(x, estimate, float(abar[t]), float(abar[t - 1]), rng=seeded(3))
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)


def test_nothing_is_drawn_at_the_last_step():
    x, e = picture(1, 3, 4, 4), picture(1, 3, 4, 4, seed=1)
    estimate = Estimate.of_noise(x, e, float(SCHEDULE.abar[1]))
    for out in (
        ancestral_step(x, estimate, float(SCHEDULE.abar[1]), 1.0),
        ddim_step(estimate, float(SCHEDULE.abar[1]), 1.0, eta=1.0),
    ):
        torch.testing.assert_close(out, estimate.clean, atol=1e-12, rtol=0)


def test_noise_and_clean_picture_imply_each_other():
    x, e = picture(1, 3, 4, 4), picture(1, 3, 4, 4, seed=1)
    one = Estimate.of_noise(x, e, 0.3)
    torch.testing.assert_close(0.3**0.5 * one.clean + 0.7**0.5 * one.noise, x, atol=1e-12, rtol=0)
    other = Estimate.of_clean(x, one.clean, 0.3)
    assert other.clean is one.clean
    torch.testing.assert_close(other.noise, e, atol=1e-12, rtol=0)


def test_clipping_limits_the_picture_behind_the_noise():
    x, e = 3 * picture(1, 3, 4, 4), picture(1, 3, 4, 4, seed=1)
    estimate = Estimate.of_noise(x, e, 0.5)
    for step in (ddim_step, lambda *a, clip: ancestral_step(x, *a, clip=clip)):
        free, clipped = (step(estimate, 0.5, 1.0, clip=clip) for clip in (False, True))
        assert free.abs().max() > 1
        torch.testing.assert_close(clipped, free.clamp(-1, 1), atol=1e-12, rtol=0)


def test_eta_draws_from_the_generator_alone():
    def walk(seed):
        x = torch.ones(1, 1, 4, 4)
        steps = spaced_steps(1000, 5)
        return sample(of_noise(lambda x, t: 0.1 * x), x, steps, SCHEDULE, eta=1.0, rng=seeded(seed))

    assert torch.equal(walk(1), walk(1))
    assert not torch.equal(walk(1), walk(2))


def test_progress_counts_the_steps():
    seen = []
    x = torch.zeros(1, 1, 2, 2)
    sample(of_noise(lambda x, t: x), x, spaced_steps(1000, 5), SCHEDULE, progress=lambda *a: seen.append(a))
    assert seen == [(i, 5) for i in range(1, 6)]


@pytest.mark.parametrize('spacing', ['leading', 'trailing'])
@pytest.mark.parametrize(('eta', 'clip'), [(0.0, False), (0.0, True), (0.7, False)])
def test_ddim_equals_that_of_diffusers(spacing, eta, clip):
    """25 steps of an estimate that depends on picture and step; both draw the same noise."""
    diffusers = pytest.importorskip('diffusers', reason='diffusers (requirements/tests.txt) is what is compared with')
    theirs = diffusers.DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule='linear',
        clip_sample=clip,
        set_alpha_to_one=True,
        timestep_spacing=spacing,
        steps_offset=0,
    )
    theirs.alphas_cumprod = SCHEDULE.abar[1:]  # theirs are in single precision
    theirs.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    theirs.set_timesteps(25)
    steps = spaced_steps(1000, 25, spacing)
    assert [int(t) + 1 for t in theirs.timesteps] == steps  # they count from 0

    def estimate(x, t):
        return 0.9 * x + 0.3 * torch.sin(3 * x + t / 100)

    start = torch.randn(1, 3, 8, 8, dtype=torch.float64, generator=seeded())
    noises = seeded(5)
    x = start
    for t in theirs.timesteps:
        z = torch.randn(x.shape, generator=noises).double() if eta else None
        x = theirs.step(estimate(x, int(t) + 1), t, x, eta=eta, variance_noise=z).prev_sample
    out = sample(of_noise(estimate), start, steps, SCHEDULE, eta=eta, clip=clip, rng=seeded(5))
    torch.testing.assert_close(out, x, atol=1e-6, rtol=0)
