"""The physics head inverts the rain model, with and without the bound of the transmission."""

import pytest
import torch

from restorebox.degradations.weather import compose, invert
from restorebox.errors import ConfigError
from restorebox.heads.physics import PhysicsHead


def scene(t_min=0.05, seed=0):
    rng = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.rand(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    j, s, a = draw(2, 3, 20, 30), 0.5 * draw(2, 1, 20, 30), draw(2, 3, 1, 1)
    return j, s, t_min + (1 - t_min) * draw(2, 1, 20, 30), a


def read(j, s, t, a, **given):
    head = PhysicsHead(**{**dict(eps=0.0, t_min=0.0, limits=None), **given})
    return head(dict(streak=s, transmission=t, airlight=a), compose(j, s, t, a))


def test_it_undoes_the_law():
    j, s, t, a = scene()
    assert (read(j, s, t, a) - j).abs().max() < 1e-5
    single = [x.float() for x in (j, s, t, a)]
    assert (read(*single) - single[0]).abs().max() < 1e-4


@pytest.mark.parametrize('eps', [1e-4, 1e-3, 0.1])
def test_eps_errs_by_as_much_as_the_law_says(eps):
    j, s, t, a = scene()
    torch.testing.assert_close(j - read(j, s, t, a, eps=eps), (j + s) * eps / (t + eps))


def test_the_literal_equation_leaves_the_streak():
    j, s, t, a = scene()
    torch.testing.assert_close(read(j, s, t, a, subtract_streak=False) - j, s.expand_as(j))


def test_a_small_transmission_is_held_off():
    j, s, t, a = scene(t_min=0.0)
    t[:, :, :4] = 0
    assert not torch.isfinite(read(j, s, t, a)).all()
    assert torch.isfinite(read(j, s, t, a, t_min=0.01)).all()
    cut = read(j, s, t, a, t_min=1e-6, limits=(-1.0, 2.0))
    assert -1 <= cut.min() <= cut.max() <= 2
    with pytest.raises(ConfigError, match='t_min is -1'):
        PhysicsHead(t_min=-1)


def test_arrays_and_tensors_obey_one_law():
    j, s, t, a = scene()
    i = compose(j, s, t, a)
    arrays = [x.numpy() for x in (j, s, t, a)]
    assert (compose(*arrays) == i.numpy()).all()
    assert (invert(i.numpy(), *arrays[1:], eps=1e-3, t_min=0.1) == invert(i, s, t, a, 1e-3, 0.1).numpy()).all()
