"""Diffusion given what physics made of the picture."""

import copy

import torch

from tests.factories import small_restorer
from tests.restorers.test_all_restorers import batch_for, wrappers


def test_it_trains_the_denoiser_alone():
    restorer = small_restorer('PhysicsDiffusion').train()
    made, batch = wrappers(restorer), batch_for(restorer, size=32)
    before = copy.deepcopy(restorer.state_dict())
    logs = [restorer.train_step(batch, made) for _ in range(20)]
    assert all(torch.isfinite(log['loss']) for log in logs)
    assert logs[-1]['loss'] < logs[0]['loss']
    moved = {key.split('.')[0] for key, value in restorer.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {'denoiser'}
    assert not restorer.physics.training


def test_the_condition_is_what_physics_made_of_the_picture(monkeypatch):
    restorer = small_restorer('PhysicsDiffusion').eval()
    seen = []
    network = restorer._network
    monkeypatch.setattr(restorer, '_network', lambda x, t: seen.append(x[:, :3]) or network(x, t))
    lq = torch.rand(1, 3, 40, 36)
    out = restorer.restore(lq)
    assert out['pred'].shape == out['physics'].shape == lq.shape
    padded = torch.nn.functional.pad(lq, (0, 12, 0, 8), mode='reflect')
    with torch.no_grad():
        expected = restorer.physics(padded)['picture'].clamp(0, 1)
    assert torch.allclose(seen[0] / 2 + 0.5, expected, atol=1e-4)


def test_it_begins_from_the_first_stage():
    first = small_restorer('HeavyRainPhysics')
    restorer = small_restorer('PhysicsDiffusion')
    assert restorer.roles_in(first.state_dict()) == ('physics',)
