"""A role or an optimiser that begins anew."""

from types import SimpleNamespace

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.hooks.reinitialise import ResetOptimiserHook, ResetRoleHook
from tests.factories import small_restorer
from tests.restorers.test_all_restorers import batch_for, wrappers


def stepped(iteration, seed=3):
    torch.manual_seed(0)
    restorer = small_restorer('HeavyRainRestorer').train()
    made = wrappers(restorer)
    restorer.train_step(batch_for(restorer), made)
    loop = SimpleNamespace(total_batch=2)
    return SimpleNamespace(restorer=restorer, optim_wrapper=made, train_loop=loop, iter=iteration, seed=seed)


def weights(runner, role):
    return {key: value.clone() for key, value in runner.restorer.role(role).state_dict().items()}


@pytest.mark.parametrize(('iteration', 'due'), [(0, False), (3, False), (4, True), (5, False), (9, True)])
def test_it_counts_samples(iteration, due):
    runner = stepped(iteration)
    before = {role: weights(runner, role) for role in ('discriminator', 'generator')}
    state = torch.get_rng_state()
    ResetRoleHook('discriminator', every_samples=10).after_train_iter(runner, 0, {}, {})
    assert torch.equal(torch.get_rng_state(), state)
    after = weights(runner, 'discriminator')
    assert all(torch.equal(value, before['generator'][k]) for k, value in weights(runner, 'generator').items())
    changed = [key for key, value in after.items() if not torch.equal(value, before['discriminator'][key])]
    assert len(changed) == (len(after) if due else 0)
    assert bool(runner.optim_wrapper['discriminator'].optimizer.state) != due
    assert runner.optim_wrapper['generator'].optimizer.state
    if due:
        runner.restorer.train_step(batch_for(runner.restorer), runner.optim_wrapper)


@pytest.mark.parametrize(('iteration', 'due'), [(3, False), (4, True), (5, False)])
def test_an_optimiser_is_cleared_and_no_weight_changes(iteration, due):
    runner = stepped(iteration)
    before = weights(runner, 'generator')
    ResetOptimiserHook('generator', every_samples=10).after_train_iter(runner, 0, {}, {})
    assert all(torch.equal(value, before[key]) for key, value in weights(runner, 'generator').items())
    assert bool(runner.optim_wrapper['generator'].optimizer.state) != due
    assert runner.optim_wrapper['discriminator'].optimizer.state
    runner.restorer.train_step(batch_for(runner.restorer), runner.optim_wrapper)


def test_all_ranks_draw_alike():
    first, second, later = stepped(4), stepped(4), stepped(9)
    for runner in (first, second, later):
        ResetRoleHook('discriminator', 10).after_train_iter(runner, 0, {}, {})
    a, b, c = (weights(runner, 'discriminator') for runner in (first, second, later))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not any(torch.equal(a[key], c[key]) for key in a)


@pytest.mark.parametrize('hook', [ResetRoleHook, ResetOptimiserHook])
def test_mistakes_are_named(hook):
    with pytest.raises(ConfigError, match=f'{hook.__name__}: every_samples is 0'):
        hook('discriminator', 0)
    with pytest.raises(ConfigError, match=f"{hook.__name__}: there is no step 'judge'"):
        hook('judge', 5).before_train(stepped(0))
