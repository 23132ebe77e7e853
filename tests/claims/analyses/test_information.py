"""How much of its input a network carries: the figures on cases that are known."""

import pytest
import torch

from restorebox.claims.analyses.information import explained, gradients
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


class Scaled(torch.nn.Module):
    """A discriminator whose logits are those values of the candidate, times a number."""

    def forward(self, pair):
        return {'realness': 3 * pair[:, 3:]}


@pytest.mark.parametrize('size', [(32, 32), (20, 33), (5, 7)])
def test_gradients_are_those_of_the_losses_at_any_size(size):
    restorer = small_restorer('AdversarialRestorer').eval()
    assert restorer.smallest_crop > 5
    restorer.discriminator = Scaled()
    restorer.generator.forward = lambda x: {'picture': torch.full_like(x, 0.5)}  # so that the gradient is known
    pictures = [torch.rand(3, *size), torch.rand(3, 9, 9)]
    found = gradients(restorer, {'inputs': {'lq': pictures, 'gt': pictures}, 'data_samples': []})
    logit = torch.tensor(3 * 0.5)
    expected = {
        'cross entropy, saturating': 3 * torch.sigmoid(logit),
        'cross entropy': 3 * torch.sigmoid(-logit),
        'least squares': 3 * 2 * (logit - 1),
    }
    assert found == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-4)
