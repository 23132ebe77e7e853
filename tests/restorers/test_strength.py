"""Strength: the input at 0, the prediction at 1, in between and beyond by pictures or by layers."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.heads.physics import PhysicsHead
from restorebox.restorers.strength import checked_strength, mix, mix_layers
from tests.factories import small_restorer


def random(*shape, low=0.0, high=1.0, seed=0):
    return low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def rainy():
    """A clean picture, its layers, and the picture in rain by the model T (J + S) + (1 - T) A."""
    clean = random(1, 3, 8, 9, high=0.6)
    streak = random(1, 1, 8, 9, high=0.2, seed=1).expand(-1, 3, -1, -1)
    transmission = random(1, 1, 8, 9, low=0.3, high=0.9, seed=2).expand(-1, 3, -1, -1)
    airlight = torch.full((1, 3, 8, 9), 0.8)
    seen = transmission * (clean + streak) + (1 - transmission) * airlight
    return seen, {'pred': clean, 'streak': streak, 'transmission': transmission, 'airlight': airlight}


@pytest.mark.parametrize('strength', [-0.1, 2.01, float('nan'), float('inf'), True, '1', None])
def test_what_is_no_strength_is_refused(strength):
    with pytest.raises(ConfigError, match=r'strength is .*; it must be a number from 0 to 2'):
        checked_strength(strength)


def test_pictures_are_mixed_and_clipped():
    lq, pred = torch.tensor([0.5, 0.1, 0.9]), torch.tensor([0.7, 0.0, 1.0])
    torch.testing.assert_close(mix(lq, pred, 0.5), torch.tensor([0.6, 0.05, 0.95]))
    torch.testing.assert_close(mix(lq, pred, 2), torch.tensor([0.9, 0.0, 1.0]))


def test_layers_are_removed_in_part():
    seen, layers = rainy()
    head = PhysicsHead(eps=0.0)
    torch.testing.assert_close(mix_layers(head, seen, layers, 0.0), seen)
    torch.testing.assert_close(mix_layers(head, seen, layers, 1.0), layers['pred'])
    half = mix_layers(head, seen, layers, 0.5)
    root = layers['transmission'].sqrt()  # half the optical depth is left
    expected = root * (layers['pred'] + layers['streak']) + (1 - root) * layers['airlight'] - layers['streak'] / 2
    torch.testing.assert_close(half, expected.clamp(0, 1))
    assert (half - (seen + layers['pred']) / 2).abs().max() > 0.02, 'it should differ from the mean of the pictures'


def test_the_refinement_is_added_in_part():
    seen, layers = rainy()
    head = PhysicsHead(eps=0.0)
    without = mix_layers(head, seen, layers, 0.4)
    torch.testing.assert_close(mix_layers(head, seen, {**layers, 'pred': layers['pred'] + 0.1}, 0.4), without + 0.04)


@pytest.mark.parametrize('name', ['HeavyRainPhysics', 'HeavyRainRestorer'])
def test_restorers_of_layers_use_them(name):
    restorer = small_restorer(name).eval()
    lq = random(1, 3, 32, 32)
    out = restorer.restore(lq, shared=restorer.estimate_shared(lq))
    torch.testing.assert_close(restorer.at_strength(lq, out, 1.0), out['pred'])
    torch.testing.assert_close(restorer.at_strength(lq, out, 0.0), lq)
    assert not torch.allclose(restorer.at_strength(lq, out, 0.5), mix(lq, out['pred'], 0.5), atol=1e-3)
