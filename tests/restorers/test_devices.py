"""Every restorer on a simulated GPU: what meets in an operation is on one device."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from restorebox.diffusion import samplers
from restorebox.hooks.ema import RoleEMAHook
from restorebox.inference.tiles import Tiler
from restorebox.restorers import base, diffusion
from tests.factories import restorer_names, small_restorer
from tests.restorers.test_all_restorers import batch_for, wrappers
from tests.simulated_device import WRONG_DEVICE, recorded, simulated

NAMES = restorer_names()
SOLVES = 'SupervisedRestorer: losses of features'  # SVDOLoss: torch.linalg.eigvalsh waits on CUDA in any case
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
    """A step that checks no value also waits for none: otherwise train_cfg.sync_every would save nothing."""
    with recorded() as (device, operations):
        restorer = small_restorer(name).to(device)
        made = wrappers(restorer.train())
        restorer.train_step(batch_for(restorer), made)
        assert operations.waits, 'the check of the sum is a wait, which must be seen'
        operations.waits.clear()
        restorer.checks_finite = False
        log = restorer.train_step(batch_for(restorer), made)
        assert operations.waits == [] or name == SOLVES
        assert {value.device for value in log.values()} == {device}
        assert {sample.pred.device for sample in predict(restorer)} == {device}
        picture, restored = tile(restorer)
        assert restored.shape == picture.shape


@pytest.mark.parametrize('name', ['SupervisedRestorer', 'CycleRestorer', 'HeavyRainRestorer', 'DiffusionRestorer'])
def test_one_step_is_on_the_device(name):
    with simulated() as device:
        assert {value.device for value in train(small_restorer(name).to(device)).values()} == {device}


# (a tensor on the CPU, one on the GPU), each of 4x4
MIXED = (
    lambda cpu, gpu: gpu + cpu,
    lambda cpu, gpu: cpu.add_(gpu),
    lambda cpu, gpu: torch.cat((gpu, cpu)),
    lambda cpu, gpu: functional.conv2d(gpu[None, None], cpu[None, None]),
    lambda cpu, gpu: functional.scaled_dot_product_attention(gpu, cpu, gpu),
    lambda cpu, gpu: functional.grid_sample(gpu[None, None], torch.zeros(1, 2, 2, 2), align_corners=False),
    lambda cpu, gpu: gpu.gather(0, torch.zeros(1, 4, dtype=torch.long)),
    lambda cpu, gpu: torch.mul(gpu, gpu, out=cpu),
    lambda cpu, gpu: cpu[torch.zeros(3, dtype=torch.long, device=gpu.device)],
    lambda cpu, gpu: torch._foreach_add_([gpu, gpu], [gpu, cpu]),
    lambda cpu, gpu: torch._foreach_mul_([gpu, cpu], torch.ones((), device=gpu.device)),
    lambda cpu, gpu: torch.multinomial(gpu, 1, generator=torch.Generator()),
    lambda cpu, gpu: gpu.normal_(generator=torch.Generator()),
    lambda cpu, gpu: torch.randperm(4, generator=torch.Generator(), device=gpu.device),
)


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
    def test_a_buffer_on_the_cpu(self, name):
        with simulated() as device:
            for work in (train, predict, tile):
                restorer = small_restorer(name).to(device)
                role = restorer.role(restorer.deployed[0])
                role.register_buffer('factor', torch.ones(3, 1, 1))  # after .to(device), as a lazily made buffer is
                role.register_forward_pre_hook(lambda network, args: (args[0][:, :3] * network.factor, *args[1:]))
                with pytest.raises(RuntimeError, match=WRONG_DEVICE):
                    work(restorer)

    @pytest.mark.parametrize('name', PLAIN)
    def test_a_constant_of_a_loss_on_the_cpu(self, name):
        with simulated() as device:
            restorer = small_restorer(name).to(device)
            original = restorer.losses

            def losses(step, inputs, prepared):
                weights = torch.full((2,), 0.5)
                return {k: (v.expand(2) * weights).sum() for k, v in original(step, inputs, prepared).items()}

            restorer.losses = losses
            with pytest.raises(RuntimeError, match=WRONG_DEVICE):
                train(restorer)

    @pytest.mark.parametrize('name', PLAIN)
    def test_a_moving_average_on_the_cpu(self, name):
        with simulated() as device:
            restorer = small_restorer(name).to(device)
            hook, runner = (
                RoleEMAHook(decay=0.9),
                SimpleNamespace(restorer=restorer, iter=1, optim_wrapper=wrappers(restorer)),
            )
            hook.before_train(runner)
            hook.after_train_iter(runner, 1, {}, {})
            hook.average = {name: torch.zeros(value.shape) for name, value in hook.average.items()}
            with pytest.raises(RuntimeError, match=WRONG_DEVICE):
                hook.after_train_iter(runner, 1, {}, {})

    @pytest.mark.parametrize('name', [name for name in PLAIN if 'Diffusion' in name])
    def test_a_schedule_of_the_sampler_on_the_cpu(self, name, monkeypatch):
        step = samplers.ddim_step

        def wrong(estimate, abar, *rest):
            return step(estimate, torch.full((1, 1, 1, 1), abar), *rest)

        with simulated() as device:
            restorer = small_restorer(name).to(device)
            monkeypatch.setattr(samplers, 'ddim_step', wrong)
            with pytest.raises(RuntimeError, match=WRONG_DEVICE):
                predict(restorer)

    @pytest.mark.parametrize('name', PLAIN)
    def test_a_draw_in_training_from_a_generator_of_another_device(self, name):
        with simulated() as device:
            restorer = small_restorer(name).to(device)
            original = restorer.losses

            def losses(step, inputs, prepared):
                torch.rand(2, generator=torch.Generator(device), device='cpu')
                return original(step, inputs, prepared)

            restorer.losses = losses
            with pytest.raises(RuntimeError, match='a generator for cuda:0 draws on cpu'):
                train(restorer)

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

    @pytest.mark.parametrize('operation', MIXED, ids=range(len(MIXED)))
    def test_an_operation_on_two_devices(self, operation):
        with simulated() as device, pytest.raises(RuntimeError, match=WRONG_DEVICE + '|same device type'):
            operation(torch.rand(4, 4), torch.rand(4, 4).to(device))

    def test_a_number_on_the_cpu_may_meet_any_tensor(self):
        with simulated() as device:
            assert (torch.rand(4).to(device) * torch.tensor(2.0)).device == device


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
