"""How much of its input a network carries: the figures on cases that are known, and the verb."""

import json

import pytest
import torch

from restorebox.cli.analyze_information import explained, gradients
from tests.factories import small_restorer, write_pairs
from tests.processes import one_line_error, run, succeed


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


@pytest.mark.slow
def test_the_verb_measures_draws_and_stores(tmp_path):
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data', split, 2, size=(64, 72))
    sizes = [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')]
    steps = ['train_cfg.max_samples=2', 'default_hooks.checkpoint.every_samples=1', 'train_dataloader.num_workers=0']
    config, where = 'configs/infoaccum/rain800_pix2pix.py', ['--data-root', 'data', '--work-dir', 'w']
    succeed(run('train.py', config, *where, '--no-data-check', '--cfg-options', *sizes, *steps, cwd=tmp_path))
    succeed(run('analyze_information.py', config, 'w/iter_2.pth', *where, '--cfg-options', *sizes, cwd=tmp_path))
    figures = json.loads((tmp_path / 'w' / 'information.json').read_text())
    assert figures['carried']['pictures'] == 2
    assert figures['gan_mode'] == 'vanilla'
    assert figures['carried']['reconstruction_psnr_rgb'] > 5
    assert [row['step'] for row in figures['gradients']] == [1, 2]
    assert all(value > 0 for row in figures['gradients'] for value in row['norms'].values())
    assert (tmp_path / 'w' / 'information.png').stat().st_size > 5000
    result = run('analyze_information.py', config, 'w/nothing.pth', *where, '--cfg-options', *sizes, cwd=tmp_path)
    assert 'no such file' in one_line_error(result)
