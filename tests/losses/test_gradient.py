"""Edges: the gradient loss, and VGG features as the code of heavy rain takes them."""

import pytest
import torch

from restorebox.encoders.frozen import vgg16_taps
from restorebox.losses.gradient import GradientLoss
from restorebox.losses.perceptual import PerceptualLoss


def test_edges_by_hand():
    pred, target = torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 2, 3)
    pred[..., 2] = 0.5  # one edge across of two
    target[..., 1, :] = 0.25
    assert GradientLoss()(pred, target).item() == pytest.approx(0.5 / 2 + 0.25)
    assert GradientLoss(weight=0.5)(pred, target).item() == pytest.approx(0.25)


def test_it_is_blind_to_brightness_and_to_the_side_of_an_edge():
    x = torch.rand(2, 3, 8, 9)
    assert GradientLoss()(x, x + 0.3).item() == pytest.approx(0, abs=1e-6)
    assert GradientLoss()(x, 1 - x).item() == pytest.approx(0, abs=1e-6)
    assert GradientLoss()(x, 0.5 * x).item() > 0.05


def test_raw_pictures_reach_vgg_as_they_are():
    x = torch.rand(1, 3, 32, 32)
    raw, normalised = (vgg16_taps(('relu2_1',), 'random', normalise) for normalise in (False, True))
    with torch.no_grad():
        as_is, usual = raw(x)['relu2_1'], normalised(x)['relu2_1']
        unmade = normalised(x * normalised.std + normalised.mean)['relu2_1']
    torch.testing.assert_close(as_is, unmade, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(as_is, usual, atol=1e-2)
    assert as_is.shape == (1, 128, 16, 16)
    given = dict(layers=dict(relu2_1=1.0), criterion='mse', weights='random')
    y = torch.rand(1, 3, 32, 32)
    assert PerceptualLoss(**given)(x, y) != PerceptualLoss(**given, normalise=False)(x, y)
