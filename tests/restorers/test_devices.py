"""Every restorer on a simulated GPU: what meets in an operation is on one device."""

import numpy as np
import pytest
import torch

from restorebox.inference.tiles import Tiler
from restorebox.restorers import base, diffusion
from tests.factories import restorer_names, small_restorer
from tests.restorers.test_all_restorers import batch_for, wrappers
from tests.simulated_device import WRONG_DEVICE, simulated

NAMES = restorer_names()
PLAIN = [name for name in NAMES if ':' not in name]


def train(restorer, steps=1):
    restorer.train()
    made = wrappers(restorer)
    return [restorer.train_step(batch_for(restorer), made) for _ in range(steps)][-1]


def predict(restorer):
    return restorer.eval().test_step(batch_for(restorer))


def tile(restorer):
    restorer.eval().statistics_window = 16
    sampled = restorer.needs.tiling == 'noise'
    picture = np.zeros((20, 36, 3) if sampled else (230, 250, 3), np.uint8)
    tiler = Tiler(restorer, memory=1)
    assert sampled or not tiler.fits(*picture.shape[:2])
    return picture, tiler(picture)


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_everything_is_on_the_device(name):
    with simulated() as device:
        restorer = small_restorer(name).to(device)
        log = train(restorer, steps=2)
        assert {value.device for value in log.values()} == {device}
        assert {sample.pred.device for sample in predict(restorer)} == {device}
        picture, restored = tile(restorer)
        assert restored.shape == picture.shape


@pytest.mark.parametrize('name', ['SupervisedRestorer', 'CycleRestorer', 'HeavyRainRestorer', 'DiffusionRestorer'])
def test_one_step_is_on_the_device(name):
    with simulated() as device:
        assert {value.device for value in train(small_restorer(name).to(device)).values()} == {device}


def leave_on_the_cpu(network):
    """What a layer does that keeps a constant as an attribute instead of a buffer: ``.to()`` does not move it."""
    network.register_forward_hook(lambda _, args, out: {name: x * torch.ones(x.shape[-1]) for name, x in out.items()})


@pytest.mark.slow
class TestPlantedMistakes:
    """The checks above would be worth nothing if they passed over a mistake."""

    @pytest.mark.parametrize('name', PLAIN)
    @pytest.mark.parametrize('work', [train, predict, tile])
    def test_a_weight_on_the_cpu(self, name, work):
        with simulated() as device:
            plain = small_restorer(name)
            for role in sum(plain.steps.values(), ()) if work is train else plain.deployed:
                restorer = small_restorer(name).to(device)
                layer = next(m for m in restorer.role(role).modules() if m._parameters.get('weight') is not None)
                layer.weight = torch.nn.Parameter(torch.zeros(layer.weight.shape))
                with pytest.raises(RuntimeError, match=WRONG_DEVICE):
                    work(restorer)

    @pytest.mark.parametrize('name', PLAIN)
    def test_a_constant_of_a_network_on_the_cpu(self, name):
        with simulated() as device:
            for work in (train, predict, tile):
                restorer = small_restorer(name).to(device)
                leave_on_the_cpu(restorer.role(restorer.deployed[0]))
                with pytest.raises(RuntimeError, match=WRONG_DEVICE):
                    work(restorer)

    @pytest.mark.parametrize('name', PLAIN)
    def test_a_target_on_the_cpu(self, name, monkeypatch):
        monkeypatch.setattr(
            base, 'training_inputs', lambda restorer, data: {k: v / 255 for k, v in data['inputs'].items()}
        )
        with simulated() as device, pytest.raises(RuntimeError, match=WRONG_DEVICE):
            train(small_restorer(name).to(device))

    @pytest.mark.parametrize('name', [name for name in PLAIN if 'Diffusion' in name])
    def test_noise_from_a_generator_of_another_device(self, name, monkeypatch):
        def wrong(shape, like, rng):
            return torch.randn(tuple(shape), generator=rng, device=like.device)

        with simulated() as device:
            restorer = small_restorer(name).to(device).eval()
            monkeypatch.setattr(diffusion, 'draw_noise', wrong)
            predict(restorer)  # its generator is for the device
            with pytest.raises(RuntimeError, match='a generator for cpu draws on cuda'):
                restorer.restore(torch.rand(1, 3, 16, 16, device=device))

    def test_positions_on_the_device_for_a_tensor_on_the_cpu(self):
        with simulated() as device, pytest.raises(RuntimeError, match='indices on cuda'):
            torch.rand(5)[torch.zeros(3, dtype=torch.long, device=device)]


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', NAMES)
def test_every_restorer_trains_and_restores_on_a_gpu(name):
    restorer = small_restorer(name).to('cuda')
    log = train(restorer, steps=2)
    assert all(torch.isfinite(value).all() and value.device.type == 'cuda' for value in log.values())
    assert all(torch.isfinite(sample.pred).all() for sample in predict(restorer))
    picture, restored = tile(restorer)
    assert restored.shape == picture.shape
