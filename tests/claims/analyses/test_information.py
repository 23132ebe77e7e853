"""How much of its input a network carries: the figures on cases that are known."""

import pytest
import torch

from restorebox.claims.analyses.information import explained, gradients, training_crops
from restorebox.losses.adversarial import AdversarialLoss
from tests.factories import small_restorer


def noise(seed):
    return torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(seed))


def test_what_a_picture_explains_of_another():
    x, y = noise(0), noise(1)
    assert explained(x, x) == pytest.approx(1, abs=1e-6)
    assert explained(0.3 * x + 0.2, x) == pytest.approx(1, abs=1e-4)
    assert explained(y, x) < 0.02
    assert 0.4 < explained(x + y, x) < 0.6
    assert explained(torch.full_like(x, 0.5), x) != explained(x, x)


class Logits(torch.nn.Module):
    """A discriminator whose logits are the candidate's values times a number, plus another."""

    def __init__(self, scale, shift):
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, pair):
        return {'realness': self.scale * pair[:, 3:] + self.shift}


def measured(mode, logit, size=(32, 32), scale=3.0):
    """The gradients with a discriminator that gives the same logit everywhere, on two pictures."""
    restorer = small_restorer('AdversarialRestorer').eval()
    restorer.adversarial = AdversarialLoss(mode)
    restorer.discriminator = Logits(scale, logit - scale * 0.5)
    restorer.generator.forward = lambda x: {'picture': torch.full_like(x, 0.5)}  # so that the gradient is known
    pictures = [torch.rand(3, *size, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    loader = [{'inputs': {'lq': pictures, 'gt': [x.flip(-1) for x in pictures]}, 'data_samples': []}]
    return gradients(restorer, training_crops(restorer, loader, 2))


@pytest.mark.parametrize('size', [(32, 32), (20, 33), (5, 7)])
@pytest.mark.parametrize(
    ('mode', 'logit', 'expected'),
    [
        ('lsgan', 0.5, {'lsgan': 1.0}),
        ('lsgan', 0.0, {'lsgan': 2.0}),
        ('lsgan', 1.0, {'lsgan': 0.0}),
        ('vanilla', 0.0, {'vanilla': 1.0, 'vanilla, saturating': 1.0}),
        ('vanilla', -12.0, {'vanilla': 2.0, 'vanilla, saturating': 0.0}),
        ('hinge', -12.0, {'hinge': 1.0}),
    ],
)
def test_a_sure_discriminator_has_the_same_gradient_for_least_squares_and_cross_entropy(mode, logit, expected, size):
    found = measured(mode, logit, size)
    assert {name: one['of_undecided'] for name, one in found.items()} == pytest.approx(expected, abs=1e-3)


def test_the_scale_of_the_logits_cancels_in_the_first_ratio_and_not_in_the_second():
    one, ten = (measured('lsgan', 0.0, scale=scale)['lsgan'] for scale in (1.0, 10.0))
    assert one['of_undecided'] == pytest.approx(ten['of_undecided'], rel=1e-4)
    assert ten['of_losses'] == pytest.approx(10 * one['of_losses'], rel=1e-4)
    assert one['low'] <= one['of_undecided'] <= one['high']


def test_no_more_pictures_than_asked():
    restorer = small_restorer('AdversarialRestorer').eval()
    pictures = [torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))] * 3
    loader = [{'inputs': {'lq': pictures, 'gt': pictures}, 'data_samples': []}] * 2
    assert [len(training_crops(restorer, loader, count)) for count in (1, 4, 9)] == [1, 4, 6]
