"""The heavy-rain authors' weights under our names compute what their networks compute."""

import numpy as np
import pytest
import torch

from restorebox.engine import load_file
from restorebox.engine.config import load_config
from restorebox.engine.conversion_names import HEAVY_RAIN, convert_by_name
from restorebox.errors import CheckpointError
from restorebox.layers.guided_filter import Decomposition
from restorebox.registry import RESTORERS
from tests.processes import call, one_line_error, succeed

pytestmark = pytest.mark.slow

CONFIG = 'configs/heavy_rain/heavy_rain_authors.py'


def authors_restorer():
    return RESTORERS.build(load_config(CONFIG).model.to_dict()).eval()


@pytest.fixture(scope='module')
def converted(parity, tmp_path_factory):
    """Convert the authors' files with the tool; return the output of the converted checkpoint."""
    state, _, _ = parity
    folder = tmp_path_factory.mktemp('heavy_rain')
    generator, discriminator = state('heavy_rain_generator'), state('heavy_rain_discriminator')
    first = {key: value for key, value in generator.items() if not key.startswith('ref.')}
    torch.save({'G': {f'module.{key}': value for key, value in first.items()}, 'epoch': 3}, folder / 'stage1.pth')
    torch.save({'G': generator, 'D': discriminator}, folder / 'stage2.pth')
    files = ['physics=stage1.pth', 'generator=stage2.pth', 'discriminator=stage2.pth']
    succeed(call('convert_weights.py', 'heavy_rain', 'out.pth', '--weights', *files, cwd=folder))
    restorer = authors_restorer()
    restorer.load_weights(load_file(folder / 'out.pth')['state_dict'])
    return restorer


def relative(ours, theirs):
    ours = ours.numpy()
    if ours.shape != theirs.shape:
        ours = ours[..., ::4, ::4]
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@torch.no_grad()
def test_every_network_is_the_public_one(parity, converted):
    _, picture, expected = parity
    lq = (picture(1, 3, 256, 320) + 1) / 2
    low, _ = Decomposition()(lq)
    seen = converted.physics(lq, taps=('airlight', 'streak', 'transmission'))
    ours = {
        'residue_guided_low': low[:, 3:],
        'airlight': seen['airlight'],
        'streak': seen['streak'].expand(-1, 3, -1, -1),
        'transmission': seen['transmission'].expand(-1, 3, -1, -1),
        'clean': converted.infer(lq, converted.estimate_shared(lq), None, None)['pred'],
    }
    pair = (picture(1, 6, 256, 256) + 1) / 2
    judged = converted.discriminator(pair, taps=('depth',))
    ours.update(d_depth=judged['depth'], d_prob=judged['realness'].sigmoid())
    wanted = {name.removeprefix('heavy_rain__') for name in expected if name.startswith('heavy_rain__')}
    assert set(ours) == wanted
    for name, value in ours.items():
        assert relative(value, expected[f'heavy_rain__{name}']) < 1e-3, name


@torch.no_grad()
def test_restoring_goes_the_same_way(parity, converted):
    _, picture, expected = parity
    lq = (picture(1, 3, 256, 320) + 1) / 2
    pred = converted.restore(lq, shared=converted.estimate_shared(lq))['pred']
    clean = np.clip(expected['heavy_rain__clean'], 0, 1)
    assert np.abs(pred.numpy()[..., ::4, ::4] - clean).max() < 1e-3


def public_names(role, network):
    """The weights of a network of ours as the authors would store them."""
    theirs = {ours: name for name, ours in HEAVY_RAIN[role][1].items()}
    return {
        f'{theirs[layer]}.{tensor}': value
        for layer, tensor, value in ((*key.rpartition('.')[::2], value) for key, value in network.state_dict().items())
    }


@pytest.mark.parametrize('role', ['physics', 'generator', 'discriminator'])
def test_names_go_there_and_back(role):
    with torch.device('meta'):
        network = authors_restorer().role(role)
    state = public_names(role, network)
    assert convert_by_name(state, network, role).keys() == network.state_dict().keys()


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda s: dict(list(s.items())[1:]), 'it lacks backbone.look.0.weight'),
        (lambda s: {**s, 'conv9.weight': torch.zeros(16, 32, 5, 5)}, None),
        (lambda s: {**s, 'conv10.weight': torch.zeros(1)}, 'conv10.weight is in no network of heavy rain'),
        (lambda s: {**s, 'fc.weight': torch.zeros(3, 3)}, r'fc.weight is \(3, 3\), head.hidden.weight of the config'),
    ],
)
def test_incompatible_weights_are_named(change, expected):
    with torch.device('meta'):
        network = authors_restorer().role('discriminator')
    state = change(public_names('discriminator', network))
    if expected is None:
        convert_by_name(state, network, 'discriminator')
        return
    with pytest.raises(CheckpointError, match=expected):
        convert_by_name(state, network, 'discriminator')


def test_a_file_without_the_part_is_one_line(tmp_path):
    torch.save({'G': {}, 'epoch': 3}, tmp_path / 'stage1.pth')
    result = call('convert_weights.py', 'heavy_rain', 'o.pth', '--weights', 'discriminator=stage1.pth', cwd=tmp_path)
    assert "has no 'D'" in one_line_error(result)
