"""The paired diffusion model: condition, random draws and sampling."""

import copy

import pytest
import torch
from torch import nn

from restorebox.diffusion import spaced_steps
from restorebox.errors import ConfigError
from restorebox.registry import RESTORERS
from restorebox.restorers.diffusion import CONDITION_ERROR, DiffusionRestorer
from tests.factories import SMALL_RESTORERS, small_restorer

SMALL = SMALL_RESTORERS['DiffusionRestorer']


def build(**settings):
    return DiffusionRestorer(**{**copy.deepcopy(SMALL), **settings})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Fake(nn.Module):
    """Replacement of a denoiser that records its inputs and returns a function of them."""

    def __init__(self, network, answer):
        super().__init__()
        self.needs, self.answer, self.seen = network.needs, answer, []

    def forward(self, x, timestep):
        self.seen.append((x, timestep))
        return {'estimate': self.answer(x, timestep)}


def replaced(answer, **settings):
    restorer = build(**settings)
    restorer.denoiser = Fake(restorer.denoiser, answer)
    return restorer


def batch(size=16, count=4):
    return {role: torch.rand(count, 3, size, size, generator=seeded(i)) for i, role in enumerate(('lq', 'gt'))}


def test_a_training_step_shows_the_condition_first_and_counts_steps_from_zero():
    restorer = replaced(lambda x, t: torch.zeros_like(x[:, :3]))
    inputs = batch()
    loss = restorer.losses('denoiser', inputs, {})['loss_noise']
    x, timestep = restorer.denoiser.seen[0]
    assert torch.equal(x[:, :3], inputs['lq'] * 2 - 1)
    noise = restorer.schedule.noisy(inputs['gt'] * 2 - 1, timestep + 1, torch.zeros(4, 3, 16, 16))
    drawn = (x[:, 3:] - noise) / (1 - restorer.schedule.abar[timestep + 1]).sqrt().float().view(-1, 1, 1, 1)
    assert float(drawn.std()) == pytest.approx(1, abs=0.05)
    assert float(loss) == pytest.approx(float(drawn.square().mean()), rel=1e-3)


def test_steps_are_drawn_from_1_to_the_last():
    restorer = build(timesteps=6, sampling=dict(steps=5))
    t, noise = restorer.draw_step_and_noise(torch.zeros(600, 1, 2, 2))
    assert t.unique().tolist() == [1, 2, 3, 4, 5, 6]
    assert torch.bincount(t)[1:].min() > 60
    assert float(noise.mean()) == pytest.approx(0, abs=0.1)


def test_the_clean_picture_is_the_target_when_it_is_what_is_estimated():
    restorer = replaced(lambda x, t: x[:, :3], prediction='x0')
    inputs = batch()
    loss = restorer.losses('denoiser', inputs, {})['loss_x0']
    assert float(loss) == pytest.approx(float(4 * (inputs['lq'] - inputs['gt']).square().mean()), rel=1e-5)


def test_a_residual_of_nothing_is_the_degraded_picture():
    restorer = replaced(lambda x, t: torch.zeros_like(x[:, :3]), prediction='residual', sampling=dict(steps=5))
    inputs = batch()
    loss = restorer.losses('denoiser', inputs, {})['loss_residual']
    assert float(loss) == pytest.approx(float(4 * (inputs['lq'] - inputs['gt']).square().mean()), rel=1e-5)
    assert torch.allclose(restorer.eval().restore(inputs['lq'])['pred'], inputs['lq'], atol=1e-5)


@pytest.mark.parametrize('t', [1, 60, 250, 1000])
def test_what_a_preconditioned_network_adds_to_is_the_best_mixture(t):
    restorer = replaced(lambda x, t: torch.zeros_like(x[:, :3]), prediction='preconditioned', sampling=dict(steps=5))
    rng = torch.Generator().manual_seed(0)
    clean, error, noise = (torch.randn(1, 3, 200, 200, generator=rng) for _ in range(3))
    condition = clean + CONDITION_ERROR**0.5 * error
    step, abar = torch.tensor([t]), float(restorer.schedule.abar[t])
    noisy = restorer.schedule.noisy(clean, step, noise)

    def missed(begin):
        return float((begin - clean).square().mean())

    begin = restorer.estimate('denoiser', condition, noisy, step).clean
    best = min(missed(share * noisy / abar**0.5 + (1 - share) * condition) for share in torch.linspace(0, 1, 201))
    assert missed(begin) == pytest.approx(best, rel=1e-2)
    replaced_by_one = replaced(lambda x, t: torch.ones_like(x[:, :3]), prediction='preconditioned')
    unit = replaced_by_one.estimate('denoiser', condition, noisy, step).clean - begin
    assert float(unit.square().mean()) == pytest.approx(best, rel=2e-2)  # an output of size 1 is an error of that size
    sampled = restorer._complete(restorer._network(torch.cat((condition, noisy), 1), t), condition, noisy, abar)
    assert torch.allclose(sampled.clean, begin, atol=1e-5)


def test_ranks_draw_the_parts_of_one_batch(monkeypatch):
    def drawn(rank, world, count):
        monkeypatch.setattr('restorebox.restorers.diffusion.get_dist_info', lambda: (rank, world))
        torch.manual_seed(0)
        return build().draw_step_and_noise(torch.zeros(count, 3, 4, 4))

    t, noise = drawn(0, 1, 4)
    for rank in (0, 1):
        own_t, own_noise = drawn(rank, 2, 2)
        assert torch.equal(own_t, t[rank::2])
        assert torch.equal(own_noise, noise[rank::2])


def test_draws_go_on_after_a_resume():
    restorer, twin = build(), build()
    restorer.draw_step_and_noise(torch.zeros(2, 1, 2, 2))
    twin.load_training_state(restorer.training_state())
    (t, noise), (other_t, other) = (r.draw_step_and_noise(torch.zeros(2, 1, 2, 2)) for r in (restorer, twin))
    assert torch.equal(t, other_t)
    assert torch.equal(noise, other)


@pytest.mark.parametrize(
    'sampling', [dict(), *(dict(mode=mode, window=16, window_stride=8) for mode in ('overlap', 'shifted'))]
)
@pytest.mark.parametrize('sampler', ['ddim', 'ancestral'])
def test_a_perfect_denoiser_restores_perfectly(sampling, sampler):
    """The denoiser gets the clean picture as condition: 'degraded' is clean here."""
    restorer = replaced(lambda x, t: x[:, :3], prediction='x0', sampling=dict(steps=5, sampler=sampler, **sampling))
    lq = torch.rand(1, 3, 37, 22, generator=seeded())
    out = restorer.eval().restore(lq, rng=seeded(1))['pred']
    torch.testing.assert_close(out, lq, atol=1e-4, rtol=0)


def test_sampling_visits_the_steps_and_tells_how_far_it_is():
    restorer = replaced(lambda x, t: x[:, 3:], sampling=dict(steps=7, spacing='trailing')).eval()
    seen = []
    restorer.restore(torch.rand(1, 3, 8, 8), progress=lambda *a: seen.append(a))
    assert [int(t) + 1 for _, t in restorer.denoiser.seen] == spaced_steps(1000, 7, 'trailing')
    assert seen == [(i, 7) for i in range(1, 8)]


@pytest.mark.parametrize('name', ['DiffusionRestorer', 'DiffusionRestorer: x0 in windows', 'RainDiffusion'])
def test_the_seed_makes_the_picture(name):
    torch.manual_seed(0)
    restorer = small_restorer(name).eval()
    lq = torch.rand(1, 3, 20, 20, generator=seeded())
    first, again, other = (restorer.restore(lq, rng=seeded(s))['pred'] for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(restorer.restore(lq)['pred'], restorer.restore(lq)['pred'])


def test_nothing_global_is_drawn():
    restorer = build(sampling=dict(steps=5, eta=1.0)).eval()
    before = torch.get_rng_state()
    restorer.restore(torch.rand(1, 3, 8, 8, generator=seeded()), rng=seeded())
    restorer.draw_step_and_noise(torch.zeros(1, 3, 4, 4))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_tiler_never_cuts_a_sampled_picture():
    needs = build().needs
    assert needs.tiling == 'noise'
    assert needs.in_channels == 3
    assert build(sampling=dict(mode='overlap', window=64)).needs.min_size == 64


def test_windows_see_crops_of_the_training_size_only():
    sampling = dict(steps=5, mode='overlap', window=16, window_stride=8)
    restorer = replaced(lambda x, t: 0.5 * x[:, 3:], sampling=sampling).eval()
    restorer.restore(torch.rand(1, 3, 21, 30))
    assert {tuple(x.shape[-2:]) for x, _ in restorer.denoiser.seen} == {(16, 16)}


def test_constant_noise_is_the_same_whole_and_in_windows():
    lq = torch.rand(1, 3, 40, 24, generator=seeded())
    whole, windows = (
        replaced(lambda x, t: torch.full_like(x[:, :3], 0.3), sampling=dict(steps=25, clip_x0=True, **mode))
        .eval()
        .restore(lq, rng=seeded())['pred']
        for mode in (dict(), dict(mode='overlap', window=16, window_stride=8))
    )
    torch.testing.assert_close(whole, windows, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        (dict(prediction='nois'), "did you mean 'noise'"),
        (dict(schedule='cosin'), "did you mean 'cosine'"),
        (dict(sampling=dict(step=5)), "sampling has no key 'step'; did you mean 'steps'"),
        (dict(sampling=dict(steps=1)), 'steps is 1'),
        (dict(sampling=dict(steps=2000)), r'to timesteps \(1000\)'),
        (dict(sampling=dict(mode='overlap', window=30)), 'window is 30; the denoiser needs multiples of 4'),
        (
            dict(denoiser=dict(backbone=dict(type='UNet', levels=2, base_width=4), head=dict(type='PictureHead'))),
            'UNet with PictureHead; it must read the step',
        ),
        (
            dict(
                denoiser=dict(backbone=dict(SMALL['denoiser']['backbone'], in_channels=3), head=dict(type='NoiseHead'))
            ),
            'takes 3 channels; two pictures are 6',
        ),
    ],
)
def test_mistakes_are_named(settings, expected):
    with pytest.raises(ConfigError, match=expected):
        RESTORERS.build(dict(type='DiffusionRestorer', **{**copy.deepcopy(SMALL), **settings}))
