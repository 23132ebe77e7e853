"""Adversarial losses: values and gradients of the formulas."""

import math

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.losses.adversarial import AdversarialLoss


def discriminator(loss, real, fake):
    return (loss(real, True) + loss(fake, False)) / 2


def test_hinge():
    loss = AdversarialLoss('hinge')
    assert discriminator(loss, torch.tensor([1.0, 4.0]), torch.tensor([-1.0, -3.0])).item() == 0
    assert discriminator(loss, torch.zeros(2), torch.zeros(2)).item() == 1
    assert loss(torch.tensor([1.0, 2.0]), True).item() == 0
    assert loss(torch.tensor([0.9, 2.0]), True).item() > 0


@pytest.mark.parametrize(
    ('mode', 'logit', 'real', 'fake'),
    [
        ('lsgan', 0.3, 0.49, 0.09),
        ('vanilla', 0.3, -math.log(1 / (1 + math.exp(-0.3))), -math.log(1 - 1 / (1 + math.exp(-0.3)))),
        ('hinge', 0.3, 0.7, 1.3),
    ],
)
def test_formulas(mode, logit, real, fake):
    loss = AdversarialLoss(mode, weight=2.0)
    logits = torch.full((2, 1, 3, 3), logit)
    assert loss(logits, True).item() == pytest.approx(2 * real, rel=1e-5)
    assert loss(logits, False).item() == pytest.approx(2 * fake, rel=1e-5)


@pytest.mark.parametrize('mode', ['hinge', 'lsgan', 'vanilla'])
def test_the_gradient_moves_logits_towards_the_target(mode):
    for real in (True, False):
        logits = torch.zeros(3, requires_grad=True)
        AdversarialLoss(mode)(logits, real).backward()
        assert ((logits.grad < 0) == real).all()


def test_another_mode_is_refused():
    with pytest.raises(ConfigError, match="no mode 'hing'; did you mean 'hinge'"):
        AdversarialLoss('hing')
