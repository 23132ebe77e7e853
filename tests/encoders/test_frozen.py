"""Frozen third-party networks: where weights come from, and that the networks stay out of their owners."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn

from restorebox.encoders import frozen
from restorebox.errors import ConfigError, WeightsError


class Doubler(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.seen = []

    def forward(self, x):
        self.seen.append((x.dtype, torch.is_autocast_enabled('cpu')))
        return self.conv(x)


class Owner(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = nn.Linear(1, 1)
        self.network = frozen.LazyFrozen(Doubler)


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    return folder


def test_missing_file_names_file_folder_and_source(torch_home):
    with pytest.raises(WeightsError) as caught:
        frozen.weights_file(frozen.VGG16_FILE)
    message = str(caught.value)
    assert frozen.VGG16_FILE in message
    assert str(torch_home) in message
    assert 'https://' in message
    assert '\n' not in message
    (torch_home / frozen.VGG16_FILE).touch()
    assert frozen.weights_file(frozen.VGG16_FILE) == torch_home / frozen.VGG16_FILE


class Evil:
    def __reduce__(self):
        return print, ('code from a weights file',)


def test_load_state_refuses_code_rubbish_and_absence(tmp_path, capsys):
    torch.save({'a': Evil()}, tmp_path / 'evil.pth')
    (tmp_path / 'rubbish.pth').write_bytes(b'no weights at all')
    (tmp_path / 'empty.pth').touch()
    torch.save([1, 2], tmp_path / 'list.pth')
    for name in ('evil', 'rubbish', 'empty', 'list', 'absent'):
        with pytest.raises(WeightsError, match=name) as caught:
            frozen.load_state(tmp_path / f'{name}.pth')
        assert '\n' not in str(caught.value)
    assert 'code from' not in capsys.readouterr().out
    torch.save({'a': torch.ones(2)}, tmp_path / 'good.pth')
    assert frozen.load_state(tmp_path / 'good.pth')['a'].tolist() == [1, 1]


def test_lazy_frozen_stays_out_of_its_owner():
    owner = Owner()
    assert not owner.network.built
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    owner.network(x).sum().backward()
    assert owner.network.built
    assert x.grad.abs().sum() > 0
    assert list(owner.state_dict()) == ['own.weight', 'own.bias']
    assert len(list(owner.parameters())) == 2
    net = owner.network._net
    assert not net.training
    assert all(not p.requires_grad and p.grad is None for p in net.parameters())
    owner.train()
    assert not net.training


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda owner: pickle.loads(pickle.dumps(owner))])
def test_copies_carry_the_recipe_only(duplicate):
    owner = Owner()
    owner.network(torch.rand(1, 3, 8, 8))
    other = duplicate(owner)
    assert owner.network.built
    assert not other.network.built
    assert other.network(torch.rand(1, 3, 8, 8)).shape == (1, 4, 6, 6)


def test_lazy_frozen_runs_in_float32_under_autocast():
    owner = Owner()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = owner.network(torch.rand(1, 3, 8, 8, dtype=torch.bfloat16))
    assert out.dtype == torch.float32
    assert owner.network._net.seen == [(torch.float32, False)]


def test_building_leaves_random_state_alone_and_ignores_the_meta_device():
    with torch.device('meta'):
        owner = Owner()
        assert not owner.network.built
    state = torch.get_rng_state()
    with torch.device('meta'):
        out = owner.network(torch.ones(1, 3, 8, 8, device='cpu'))
    assert out.device.type == 'cpu'
    assert torch.equal(state, torch.get_rng_state())


def test_network_built_in_inference_mode_serves_training():
    owner = Owner()
    with torch.inference_mode():
        owner.network(torch.rand(1, 3, 8, 8))
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    owner.network(x).sum().backward()
    assert x.grad is not None


def test_vgg16_layer_names():
    names = frozen.VGG16_LAYERS
    assert len(names) == 31
    # indices everybody quotes: relu1_2 = 3, relu2_1 = 6, relu2_2 = 8, relu3_3 = 15, relu4_3 = 22, relu5_3 = 29
    assert [names[n] for n in ('relu1_2', 'relu2_1', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3', 'pool5')] == [
        3, 6, 8, 15, 22, 29, 30,
    ]  # fmt: skip
    trunk = frozen.vgg16_features('random')
    for name, index in names.items():
        kind = {'conv': nn.Conv2d, 'relu': nn.ReLU, 'pool': nn.MaxPool2d}[name[:4]]
        assert isinstance(trunk[index], kind)


@pytest.mark.parametrize(
    ('build', 'file', 'first'),
    [
        (frozen.vgg16_features, frozen.VGG16_FILE, (64, 3, 3, 3)),
        (frozen.alexnet_features, frozen.ALEXNET_FILE, (64, 3, 11, 11)),
    ],
)
def test_trunks_read_the_local_file(build, file, first, torch_home):
    with pytest.raises(WeightsError, match=file):
        build()
    random = build('random')
    assert random[0].weight.shape == first
    assert torch.equal(random[0].weight, build('random')[0].weight)
    state = {f'features.{key}': value + 1 for key, value in random.state_dict().items()}
    torch.save({**state, 'classifier.weight': torch.ones(1)}, torch_home / file)
    loaded = build()
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, state[f'features.{key}'])
    state.pop('features.0.bias')
    torch.save(state, torch_home / 'other.pth')
    with pytest.raises(WeightsError, match=r'other\.pth'):
        build(str(torch_home / 'other.pth'))


def test_tapped_features_normalise_and_stop_at_the_deepest_tap():
    net = frozen.vgg16_taps(('conv1_1', 'relu2_2'), 'random').eval()
    assert len(net.trunk) == 9
    x = torch.rand(2, 3, 16, 16)
    out = net(x)
    assert {name: tuple(value.shape) for name, value in out.items()} == {
        'conv1_1': (2, 64, 16, 16),
        'relu2_2': (2, 128, 8, 8),
    }
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = ((x.permute(0, 2, 3, 1) - mean) / std).permute(0, 3, 1, 2)
    torch.testing.assert_close(out['conv1_1'], net.trunk[0](normal))
    assert out['conv1_1'].min() < 0  # not overwritten by the ReLU behind it


def test_lpips_network_names(torch_home):
    with pytest.raises(ConfigError, match="'alex'"):
        frozen.lpips_network('alexnet')
    with pytest.raises(WeightsError, match=frozen.ALEXNET_FILE):
        frozen.lpips_network('alex')


@pytest.mark.parametrize('net', frozen.LPIPS_NETS)
def test_lpips_smallest_picture(net, capsys):
    lazy = frozen.LazyFrozen(partial(frozen.lpips_network, net, 'random'))
    side = frozen.LPIPS_MIN_SIZE[net]
    assert lazy(*torch.rand(2, 1, 3, side, side)).shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        lazy(*torch.rand(2, 1, 3, side - 1, side - 1))
    assert capsys.readouterr().out == ''  # the library is kept quiet
