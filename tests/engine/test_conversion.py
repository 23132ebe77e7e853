"""Converted weights of public networks compute the same as the public networks."""

import numpy as np
import pytest
import torch

from restorebox.engine import load_file
from restorebox.engine.config import load_config
from restorebox.engine.conversion import convert_by_order
from restorebox.errors import CheckpointError
from restorebox.registry import RESTORERS
from restorebox.restorers import Network
from tests.processes import call, one_line_error, run, succeed

pytestmark = pytest.mark.slow

CYCLEGAN = 'configs/cyclegan/cyclegan_spa.py'
GENERATOR = dict(backbone=dict(type='ResNetGenerator', blocks=2, base_width=4), head=dict(type='PictureHead', kernel=7))


def test_converted_cyclegan_is_the_public_one(parity, tmp_path):
    state, made_picture, expected = parity
    picture = made_picture(1, 3, 128, 160)
    torch.save(state('cyclegan_resnet9'), tmp_path / 'latest_net_G_A.pth')
    torch.save({f'module.{k}': v for k, v in state('cyclegan_patchgan70').items()}, tmp_path / 'latest_net_D_A.pth')
    files = ['generator=latest_net_G_A.pth', 'discriminator=latest_net_D_A.pth']
    for out in ('out.pth', 'out.safetensors'):
        succeed(call('convert_weights.py', 'cyclegan', out, '--weights', *files, cwd=tmp_path))
        loaded = load_file(tmp_path / out)
        assert set(loaded['meta']['converted_from']) == {'generator', 'discriminator'}
        restorer = RESTORERS.build(load_config(CYCLEGAN).model.to_dict()).eval()
        restorer.load_weights(loaded['state_dict'], ('generator', 'discriminator'))
        with torch.no_grad():
            made = restorer.generator(picture)['picture'].numpy()
            logits = restorer.discriminator(picture)['realness'].numpy()
        assert np.abs(made[..., ::4, ::4] - expected['cyclegan__resnet9']).max() < 1e-4
        wanted = expected['cyclegan__patchgan70']
        assert logits.shape == wanted.shape
        assert np.abs(logits - wanted).max() < 1e-4


def test_converted_pix2pix_is_the_public_one(parity, tmp_path):
    state, picture, expected = parity
    torch.save(state('pix2pix_unet256'), tmp_path / 'latest_net_G.pth')
    torch.save(state('pix2pix_patchgan70'), tmp_path / 'latest_net_D.pth')
    files = ['generator=latest_net_G.pth', 'discriminator=latest_net_D.pth']
    # the fixtures were made in evaluation mode, with batch norm's averages
    batch = tmp_path / 'batch.py'
    base = "_base_ = '{{$RESTOREBOX_CONFIGS:}}/infoaccum/rain800_pix2pix.py'"
    norm = "dict(backbone=dict(norm='batch'))"
    batch.write_text(f'{base}\nmodel = dict(generator={norm}, discriminator={norm})\n')
    succeed(run('convert_weights.py', 'pix2pix', 'out.pth', '--weights', *files, '--config', batch, cwd=tmp_path))
    restorer = RESTORERS.build(load_config(batch).model.to_dict()).eval()
    restorer.load_weights(load_file(tmp_path / 'out.pth')['state_dict'])
    with torch.no_grad():
        made = restorer.generator(picture(1, 3, 256, 256))['picture'].numpy()
        logits = restorer.discriminator(picture(1, 6, 256, 256))['realness'].numpy()
    assert np.abs(made[..., ::4, ::4] - expected['pix2pix__unet256']).max() < 1e-4
    assert np.abs(logits - expected['pix2pix__patchgan70']).max() < 1e-4
    # as pix2pix itself tests: statistics of the one picture, so that the averages are not needed
    succeed(call('convert_weights.py', 'pix2pix', 'own.pth', '--weights', *files, cwd=tmp_path))
    assert not any('running' in key for key in load_file(tmp_path / 'own.pth')['state_dict'])


def public_names(network, offset=0):
    """Weights of a network of ours under numbered names, with the filters that the public code stores."""
    state, blurs = {}, 0
    for number, (name, module) in enumerate(network.named_modules()):
        own = dict(module.named_parameters(recurse=False))
        state.update({f'model.{number}.{key}': value.detach().clone() for key, value in own.items()})
        if hasattr(module, 'kernel') and not own:
            state[f'model.{number}.filt'] = module.kernel.expand(8, 1, -1, -1).clone()
            blurs += 1
        del name
    return state, blurs


def test_anti_aliased_networks_convert_with_their_filters():
    network, twin = Network(**GENERATOR), Network(**GENERATOR)
    state, blurs = public_names(network)
    assert blurs == 4
    twin.load_state_dict(convert_by_order(state, twin))
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(network(x)['picture'], twin(x)['picture'])


def test_a_projector_converts():
    from restorebox.heads.projection import ProjectionHead

    head, twin = (ProjectionHead(dict(a=3, b=5), width=4) for _ in range(2))
    state = {
        f'mlp_{i}.{layer}.{key}': getattr(net[layer], key).detach()
        for i, net in enumerate(head.perceptrons.values())
        for layer in (0, 2)
        for key in ('weight', 'bias')
    }
    twin.load_state_dict(convert_by_order(state, twin))
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda s: {k: v for k, v in s.items() if not k.endswith('filt')}, 'has 0 anti-aliasing filters'),
        (lambda s: {k: v * 2 if k.endswith('filt') else v for k, v in s.items()}, 'with other values than ours'),
        (lambda s: {k: v for k, v in list(s.items())[2:]}, 'layers with weights'),
        (
            lambda s: {k: v.flip(0)[:2] if v.dim() == 4 and v.shape[0] == 8 else v for k, v in s.items()},
            'of the config is',
        ),
        (
            lambda s: {**s, next(k for k in s if k.endswith('weight')).replace('weight', 'scale'): torch.ones(1)},
            'has scale',
        ),
    ],
)
def test_incompatible_weights_are_named(change, expected):
    network = Network(**GENERATOR)
    with pytest.raises(CheckpointError, match=expected):
        convert_by_order(change(public_names(network)[0]), network)


def test_old_statistics_of_instance_norm_are_dropped():
    network = Network(**GENERATOR)
    state, _ = public_names(network)
    state['model.2.running_mean'] = torch.zeros(4)
    assert convert_by_order(state, network).keys() == network.state_dict().keys()


@pytest.mark.parametrize(
    ('weights', 'expected'),
    [
        ('generator', 'it must be ROLE=FILE'),
        ('genrator=x.pth', "no role 'genrator'; did you mean 'generator'"),
        ('generator=x.pth', 'x.pth: no such file'),
        ('generator=evil.pth', 'nothing was run'),
        ('generator=other.pth', 'layers with weights'),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(weights, expected, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ('owned',))

    torch.save({'w': Evil()}, tmp_path / 'evil.pth')
    torch.save({'model.1.weight': torch.zeros(3)}, tmp_path / 'other.pth')
    result = call('convert_weights.py', 'cyclegan', 'out.pth', '--weights', weights, cwd=tmp_path)
    assert expected in one_line_error(result)
    assert not (tmp_path / 'out.pth').exists()
