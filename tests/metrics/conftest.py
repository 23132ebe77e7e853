"""Pictures to score, and weights files with random content."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

from restorebox.encoders import frozen


def make_pairs(count: int, height: int = 96, width: int = 80) -> list[tuple[np.ndarray, np.ndarray]]:
    """(damaged, clean) crops of scikit-image's photographs, HWC float64; the damaged ones reach out of [0, 1]."""
    rng = np.random.default_rng(7)
    photos = [data.astronaut(), data.chelsea(), data.coffee()]
    pairs = []
    for k in range(count):
        photo = photos[k % 3]
        top, left = 11 * k, 9 * k
        clean = photo[top : top + height, left : left + width].astype(np.float64) / 255
        blurred = gaussian_filter(clean, (0.2 * (k % 4), 0.2 * (k % 4), 0)) if k % 4 else clean
        pairs.append((blurred + rng.normal(0, 0.01 + 0.02 * k / count, clean.shape), clean))
    return pairs


def make_samples(count: int, height: int = 96, width: int = 80) -> list[dict]:
    """What a restorer hands to a metric; the input is the damaged picture with twice the error."""
    samples = []
    for index, (pred, gt) in enumerate(make_pairs(count, height, width)):
        roles = {'pred': pred, 'gt': gt, 'lq': gt + 2 * (pred - gt)}
        tensors = {role: torch.tensor(x.transpose(2, 0, 1), dtype=torch.float32) for role, x in roles.items()}
        samples.append({**tensors, 'name': f'picture_{index}', 'index': index})
    return samples


@pytest.fixture(scope='session')
def pairs():
    return make_pairs(20)


@pytest.fixture(scope='session')
def samples():
    return make_samples(5)


@pytest.fixture(scope='session')
def random_weights(tmp_path_factory):
    """A TORCH_HOME with whole weights files, random where they are read."""
    home = tmp_path_factory.mktemp('torch_home')
    folder = home / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    from torchvision import models

    for make, file in ((models.alexnet, frozen.ALEXNET_FILE), (models.vgg16, frozen.VGG16_FILE)):
        with torch.device('meta'):
            net = make(weights=None)
        # one zero, spread: the classifiers' 180 million weights are needed by name only
        state = {key: torch.zeros(1).expand(value.shape) for key, value in net.state_dict().items()}
        features = frozen.randomise(net.features.to_empty(device='cpu'), seed=5)
        state.update({f'features.{key}': value for key, value in features.state_dict().items()})
        torch.save(state, folder / file)

    from pytorch_fid import inception

    with pytest.MonkeyPatch.context() as patch:
        made = []
        make_inception = inception._inception_v3
        patch.setattr(inception, '_inception_v3', lambda **given: made.append(make_inception(**given)) or made[0])
        patch.setattr(inception, 'load_state_dict_from_url', lambda *_, **__: made[0].state_dict())
        inception.fid_inception_v3()
    torch.save(frozen.randomise(made[0], seed=6).state_dict(), folder / frozen.INCEPTION_FILE)
    return home


@pytest.fixture
def with_weights(random_weights, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(random_weights))
    return random_weights


@pytest.fixture
def without_weights(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'empty'))
    return tmp_path / 'empty'


@pytest.fixture
def warnings_logged(monkeypatch):
    """Lines that metrics log as warnings."""
    import logging

    from restorebox.metrics import base, fid

    lines = []

    def keep(message, logger=None, level=logging.INFO):
        assert logger == 'current'
        if level == logging.WARNING:
            lines.append(message)

    for module in (base, fid):
        monkeypatch.setattr(module, 'print_log', keep)
    return lines


@pytest.fixture(scope='session')
def seven_samples():
    return make_samples(7)
