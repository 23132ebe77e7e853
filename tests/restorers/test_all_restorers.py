"""Contracts of every registered restorer."""

import copy
import inspect

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict

from restorebox.engine.optim import AutocastOptimWrapper
from restorebox.errors import CheckpointError, NonFiniteError
from restorebox.layers import LocalStatistics
from restorebox.sample import RestorationSample
from tests.factories import given_for, random_inputs, restorer_names, small_restorer


def wrappers(restorer, kind=OptimWrapper):
    made = {
        step: kind(torch.optim.Adam([p for r in roles for p in getattr(restorer, r).parameters()], lr=1e-3))
        for step, roles in restorer.steps.items()
    }
    return OptimWrapperDict(**made) if len(made) > 1 else next(iter(made.values()))


def batch_for(restorer, batch=2, size=16, seed=0):
    size = max(size, restorer.needs.stride, restorer.smallest_crop)
    inputs = {k: (v * 255).byte() for k, v in random_inputs(restorer, batch, size, seed).items()}
    samples = [RestorationSample(metainfo=dict(name=str(i), index=i)) for i in range(batch)]
    return dict(inputs=inputs, data_samples=samples)


def weights(restorer):
    """What an optimiser moves; averages of batch norm move with every pass in training."""
    return {key: value.detach().clone() for key, value in restorer.named_parameters()}


@pytest.mark.parametrize('name', restorer_names())
class TestEveryRestorer:
    def test_trains(self, name):
        restorer = small_restorer(name).train()
        before = copy.deepcopy(restorer.state_dict())
        log = restorer.train_step(batch_for(restorer), wrappers(restorer))
        assert log
        assert all(torch.isfinite(value) for value in log.values())
        for roles in restorer.steps.values():
            for role in roles:
                moved = [
                    k for k, v in restorer.state_dict().items() if k.startswith(role) and not torch.equal(v, before[k])
                ]
                assert moved, f'{role} did not move'
        assert all(
            p.requires_grad for roles in restorer.steps.values() for r in roles for p in restorer.role(r).parameters()
        )

    def test_roles_are_direct_children_that_training_calls_themselves(self, name):
        """DDP wraps the roles: a call of a part inside one would not be synchronised."""
        restorer = small_restorer(name).train()
        called = set()
        for role in {r for roles in restorer.steps.values() for r in roles}:
            assert role in dict(restorer.named_children())
            getattr(restorer, role).register_forward_hook(lambda *_, role=role: called.add(role))
        inside = []
        for role in {r for roles in restorer.steps.values() for r in roles}:
            for key, part in getattr(restorer, role).named_children():

                def check(_module, _args, role=role, key=key):
                    frames = inspect.stack()
                    if not any(
                        f.function == 'forward' and f.frame.f_locals.get('self') is getattr(restorer, role)
                        for f in frames
                    ):
                        inside.append(f'{role}.{key}')

                part.register_forward_pre_hook(check)
        restorer.train_step(batch_for(restorer), wrappers(restorer))
        assert called == {r for roles in restorer.steps.values() for r in roles}
        assert not inside, f'called past their role: {inside}'

    @pytest.mark.parametrize('size', [(1, 1), (1, 32), (37, 53)])
    def test_restores_any_size_in_unit_range(self, name, size):
        restorer = small_restorer(name).eval()
        lq = torch.rand(2, 3, *size)
        out = restorer.restore(lq, shared=restorer.estimate_shared(lq), rng=torch.Generator().manual_seed(0))
        assert out['pred'].shape == lq.shape
        for key, value in out.items():
            assert value.shape[-2:] == lq.shape[-2:], key
            assert value.dtype == torch.float32, key
            assert 0 <= value.min() <= value.max() <= 1, key

    def test_restore_repeats_with_the_same_generator(self, name):
        restorer = small_restorer(name).eval()
        lq = torch.rand(1, 3, 20, 20)
        first, second = (restorer.restore(lq, rng=torch.Generator().manual_seed(7))['pred'] for _ in range(2))
        assert torch.equal(first, second)

    def test_restore_refuses_the_training_mode(self, name):
        with pytest.raises(RuntimeError, match='eval'):
            small_restorer(name).train().restore(torch.rand(1, 3, 8, 8))

    def test_predicts_batches_of_unequal_sizes(self, name):
        restorer = small_restorer(name).eval()
        pictures = [torch.randint(0, 256, (3, h, w), dtype=torch.uint8) for h, w in ((20, 30), (17, 9))]
        samples = [RestorationSample(metainfo=dict(name=str(i), index=i)) for i in range(2)]
        out = restorer.test_step(dict(inputs=dict(lq=pictures, gt=pictures), data_samples=samples))
        for sample, picture in zip(out, pictures, strict=True):
            assert sample.pred.shape == picture.shape
            torch.testing.assert_close(sample.gt, picture / 255)
        assert restorer.test_step(dict(inputs={}, data_samples=[])) == []

    def test_batching_changes_nothing(self, name):
        restorer = small_restorer(name).eval()
        lq = torch.rand(3, 3, 16, 24)

        def predict(first, last):
            samples = [RestorationSample(metainfo=dict(name=str(i), index=i)) for i in range(first, last)]
            return [s.pred for s in restorer.test_step(dict(inputs=dict(lq=lq[first:last]), data_samples=samples))]

        together = torch.stack(predict(0, 3))
        alone = torch.stack([predict(i, i + 1)[0] for i in range(3)])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)

    def test_trains_in_bfloat16(self, name):
        plain, half = small_restorer(name).train(), small_restorer(name).train()
        half.load_weights(plain.state_dict())
        made = wrappers(half, AutocastOptimWrapper)
        terms, log = (
            restorer.train_step(batch_for(restorer, size=32), each)
            for restorer, each in ((plain, wrappers(plain)), (half, made))
        )
        assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in log.values())
        assert log.keys() == terms.keys()

    def test_training_only_parts_stay_out_of_the_state_dict(self, name):
        restorer = small_restorer(name)
        roles = {r for roles in restorer.steps.values() for r in roles} | {*restorer.deployed, *restorer.frozen}
        strangers = {key for key in restorer.state_dict() if key.split('.')[0] not in roles}
        assert not strangers
        restorer.train_step(batch_for(restorer), wrappers(restorer))  # what is built lazily is built now
        assert {key for key in restorer.state_dict() if key.split('.')[0] not in roles} == set()

    def test_saves_and_loads(self, name, tmp_path):
        restorer, twin = small_restorer(name), small_restorer(name)
        torch.save(restorer.state_dict(), tmp_path / 'r.pth')
        state = torch.load(tmp_path / 'r.pth', weights_only=True)
        twin.load_weights(state)
        lq = torch.rand(1, 3, 16, 16)
        assert torch.equal(restorer.eval().restore(lq)['pred'], twin.eval().restore(lq)['pred'])

    def test_weights_of_another_model_are_refused_whole(self, name):
        restorer = small_restorer(name)
        before = copy.deepcopy(restorer.state_dict())
        state = {k: v + 1 for k, v in before.items()}
        key = next(k for k in state if k.startswith(restorer.deployed[0]))
        state[key] = torch.zeros(*state[key].shape, 2)
        with pytest.raises(CheckpointError, match='of another model'):
            restorer.load_weights(state)
        assert all(torch.equal(v, before[k]) for k, v in restorer.state_dict().items())

    def test_local_statistics_are_switchable_and_off_in_training(self, name):
        torch.manual_seed(0)  # whatever ran before
        restorer = small_restorer(name)
        deployed = [restorer.role(role) for role in restorer.deployed]
        deployed = [network for network in deployed if any(isinstance(m, LocalStatistics) for m in network.modules())]
        if not deployed:
            pytest.skip('takes no statistics over the picture')
        lq = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        torch.nn.init.normal_(deployed[0].head.conv.weight, generator=torch.Generator().manual_seed(1))
        for layer in deployed[0].modules():  # what begins at zero would hide the statistics
            if isinstance(layer, torch.nn.Conv2d) and not layer.weight.any():
                torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(2))
        restorer.eval()
        whole = restorer.restore(lq)['pred']
        restorer.statistics_window = 16
        local = restorer.restore(lq)['pred']
        restorer.statistics_window = None
        assert (whole - local).abs().max() > 1e-3
        assert torch.equal(restorer.restore(lq)['pred'], whole)

    def test_a_network_is_a_function_of_its_weights_and_input(self, name):
        restorer = small_restorer(name).eval()
        restorer.statistics_window = 16
        networks = [restorer.role(role) for role in restorer.deployed]

        def outputs():
            rng = torch.Generator().manual_seed(0)
            found = []
            for network in networks:
                x = torch.rand(1, network.needs.in_channels, 64, 64, generator=rng)
                found.append(next(iter(network(x, **given_for(network.backbone, 1)).values())))
            return found

        torch.manual_seed(0)  # of what a network is given besides the picture
        before = outputs()
        restorer.restore(torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(1)))
        torch.manual_seed(0)
        assert all(torch.equal(a, b) for a, b in zip(before, outputs(), strict=True))

    def test_nan_is_named_before_a_weight_moves(self, name):
        restorer = small_restorer(name).train()
        first = next(iter(restorer.steps))
        original = restorer.losses
        restorer.losses = lambda step, inputs, prepared: {
            k: v * float('nan') for k, v in original(step, inputs, prepared).items()
        }
        before = weights(restorer)
        with pytest.raises(NonFiniteError, match=rf'{first}: loss_\w+ = nan'):
            restorer.train_step(batch_for(restorer), wrappers(restorer))
        assert all(torch.equal(v, before[k]) for k, v in restorer.named_parameters())

    def test_an_infinite_gradient_is_named_before_a_weight_moves(self, name):
        """Clipping would turn it into no step at all, run after run."""
        restorer = small_restorer(name).train()
        first = next(iter(restorer.steps))
        role = restorer.steps[first][0]
        made = wrappers(restorer)
        for wrapper in made.values() if isinstance(made, OptimWrapperDict) else [made]:
            wrapper.clip_func, wrapper.grad_name = torch.nn.utils.clip_grad_norm_, 'grad_norm'
            wrapper.clip_grad_kwargs = dict(max_norm=1.0, error_if_nonfinite=True)
        next(restorer.role(role).parameters()).register_hook(lambda grad: grad * float('inf'))
        before = weights(restorer)
        with pytest.raises(NonFiniteError, match=f'{first}: the gradient is NaN or infinite'):
            restorer.train_step(batch_for(restorer), made)
        assert all(torch.equal(v, before[k]) for k, v in restorer.named_parameters())

    def test_builds_on_the_meta_device(self, name):
        with torch.device('meta'):
            assert all(p.is_meta for p in small_restorer(name).parameters())


@pytest.mark.parametrize('name', restorer_names())
def test_random_number_generators_go_on_where_they_were(name):
    restorer = small_restorer(name)
    torch.manual_seed(3)
    twin = small_restorer(name)
    for rng in restorer.rngs.values():
        torch.rand(5, generator=rng)
    twin.load_training_state(copy.deepcopy(restorer.training_state()))
    assert set(twin.rngs) == set(restorer.rng_names)
    for key, rng in restorer.rngs.items():
        assert torch.equal(torch.rand(3, generator=rng), torch.rand(3, generator=twin.rngs[key]))


def test_a_state_without_the_random_number_generator_is_refused():
    with pytest.raises(CheckpointError, match="no state of the random number generator 'draws'"):
        small_restorer('DiffusionRestorer').load_training_state({})
