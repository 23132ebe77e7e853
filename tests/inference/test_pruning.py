"""Channels that go together, and networks that are refused."""

import sys

import pytest
import torch

from restorebox.errors import ConfigError, MissingPackageError
from restorebox.inference.models import load_model
from restorebox.registry import RESTORERS
from restorebox.restorers.network import Network

pytest.importorskip('torch_pruning', reason='torch-pruning (requirements/prune.txt) is not installed')
from restorebox.inference import pruning
from restorebox.inference.pruning import measure_importance, prune_network

U_NET = dict(type='UNet', levels=3, base_width=8, max_width=16)
PAIRS = {
    'U-Net': (dict(U_NET, norm=None), dict(base_width=4, max_width=8)),
    'U-Net with instance norm': (dict(U_NET, norm='instance'), dict(base_width=4, max_width=8)),
    'U-Net with batch norm': (dict(U_NET, norm='batch'), dict(base_width=4, max_width=8)),
    'FDR U-Net': (dict(type='FDRUNet', widths=(8, 16), blocks=(1, 2)), dict(widths=(4, 12))),
    'FDR-Net': (dict(type='FDRNet', channels=8, phases=2, inverse='stored'), dict(channels=6)),
    'refinement U-Net': (dict(type='RefUNet', base_width=8), dict(base_width=4)),
    'residual generator': (dict(type='ResNetGenerator', base_width=8, blocks=2), dict(base_width=6)),
}


def network(backbone, **changes):
    torch.manual_seed(0)
    built = Network({**backbone, **changes}, dict(type='PictureHead')).eval()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if 'gain' not in name:  # some start at zero, and nothing would be compared
                parameter.normal_(0, 0.1)
    return built


def squares(built):
    return {name: parameter.detach().square() for name, parameter in built.named_parameters()}


@pytest.mark.parametrize('name', PAIRS)
def test_what_is_left_fits_and_was_there(name):
    backbone, changes = PAIRS[name]
    wide, narrow = network(backbone), network(backbone, **changes)
    given = {'airlight': torch.rand(1, 3, 1, 1)} if 'airlight' in wide.backbone.given else {}
    state = prune_network(wide, narrow, squares(wide), given)  # it compares the two outputs itself
    narrow.load_state_dict(state)
    own = wide.state_dict()
    assert any(own[key].shape != tensor.shape for key, tensor in state.items())
    for key, tensor in state.items():
        if tensor.is_floating_point():
            assert torch.isin(tensor, own[key]).all(), key


def test_dead_channels_are_those_that_go():
    backbone, changes = dict(type='FDRUNet', widths=(8, 16), blocks=(1, 2)), dict(widths=(4, 16))
    wide, narrow = network(backbone), network(backbone, **changes)
    dead = [0, 3, 4, 7]
    with torch.no_grad():
        base = wide.backbone
        rows = [base.before[0][0], base.behind[0][0]]
        for layer in (base.enter, *(row.conv1 for row in rows), *(row.conv2 for row in rows)):
            layer.weight[dead] = 0
            layer.bias[dead] = 0
        spread = [4 * i + j for i in dead for j in range(4)]  # a pixel shuffle makes one channel of four
        base.up[0].weight[spread] = 0
        base.up[0].bias[spread] = 0
        wide.head.conv.weight[dead] = 0  # of a transposed convolution the first axis is the input
        for layer in (base.down[0], *(row.conv1 for row in rows), *(row.conv2 for row in rows)):
            layer.weight[:, dead] = 0
    x = torch.rand(1, 3, 32, 48)
    expected = wide(x)[wide.head.output]
    assert expected.std() > 0.01
    narrow.load_state_dict(prune_network(wide, narrow, squares(wide)))
    assert (narrow(x)[narrow.head.output] - expected).abs().max() < 1e-4


def batch(seed, side=64):
    rng = torch.Generator().manual_seed(seed)
    clean = torch.rand(1, 3, side // 8, side // 8, generator=rng)
    clean = torch.nn.functional.interpolate(clean, (side, side), mode='bicubic').clamp(0, 1)
    noisy = (clean + 0.1 * torch.randn(clean.shape, generator=rng)).clamp(0, 1)
    return {'inputs': {'lq': (noisy * 255).byte(), 'gt': (clean * 255).byte()}, 'data_samples': []}


def test_worth_is_what_the_loss_would_change_without_a_weight():
    model = dict(
        type='SupervisedRestorer',
        generator=dict(backbone=dict(U_NET, norm=None), head=dict(type='PictureHead')),
        losses=dict(mse=dict(type='MSELoss')),
    )
    torch.manual_seed(0)
    restorer = RESTORERS.build(model).eval()
    given = batch(0, 32)
    importance = measure_importance(restorer, [given])
    inputs = restorer.data_preprocessor(given, True)['inputs']

    def loss():
        return restorer(inputs, mode='loss')['loss_mse'].item()

    name, weight = next(iter(restorer.generator.named_parameters()))
    flat = weight.detach().view(-1)
    for i in importance[name].view(-1).argsort(descending=True)[:3].tolist():  # where a difference is no rounding
        kept, step = flat[i].item(), 0.05
        flat[i] = kept * (1 + step)
        more = loss()
        flat[i] = kept * (1 - step)
        slope = (more - loss()) / (2 * step)
        flat[i] = kept
        assert importance[name].view(-1)[i].item() == pytest.approx(slope**2, rel=0.02)
    assert importance.keys() == dict(restorer.generator.named_parameters()).keys()


def test_what_is_cut_by_worth_is_far_better_than_chance():
    restorer = load_model('weather')
    wide = restorer.generator
    given = batch(100)
    x = restorer.data_preprocessor(given, True)['inputs']['lq']
    with torch.no_grad():
        expected = wide(x)['picture']

    def difference(importance):
        narrow = Network(dict(type='FDRUNet', widths=(28, 56, 112), blocks=(3, 3, 4)), wide_head).eval()
        narrow.load_state_dict(prune_network(wide, narrow, importance))
        with torch.no_grad():
            return (narrow(x)['picture'] - expected).square().mean().sqrt().item()

    wide_head = dict(type='SubPixelHead', residual=True, activation=False)
    importance = measure_importance(restorer, map(batch, range(4)))
    chance = []
    for seed in range(3):
        rng = torch.Generator().manual_seed(seed)
        chance.append(difference({name: torch.rand(each.shape, generator=rng) for name, each in importance.items()}))
    assert difference(importance) < 0.3 * min(chance)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(levels=2), 'differ in more than widths'),
        (dict(base_width=12), 'it can only fall'),
        ({}, 'no width has changed'),
    ],
)
def test_other_changes_are_refused(changes, words):
    backbone = dict(U_NET, norm=None)
    wide, narrow = network(backbone), network(backbone, **changes)
    with pytest.raises(ConfigError, match=words):
        prune_network(wide, narrow, squares(wide))


def test_a_wrong_choice_would_be_noticed(monkeypatch):
    backbone, changes = PAIRS['FDR U-Net']
    monkeypatch.setattr(pruning, '_set_repeats', lambda groups, state: None)  # as if there were no pixel shuffle
    wide, narrow = network(backbone), network(backbone, **changes)
    with pytest.raises(ConfigError, match='not understood'):
        prune_network(wide, narrow, squares(wide))


def test_without_the_package_it_is_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch_pruning', None)
    backbone, changes = PAIRS['U-Net']
    wide, narrow = network(backbone), network(backbone, **changes)
    with pytest.raises(MissingPackageError, match=r"prune needs .* pip install 'restorebox\[prune\]'"):
        prune_network(wide, narrow, squares(wide))
