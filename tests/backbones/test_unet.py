"""UNet-N: number of weights, shapes, receptive field, dropout and skips; the weights of pix2pix."""

import json

import numpy as np
import pytest
import torch

from restorebox.backbones.unet import UNet
from restorebox.errors import ConfigError
from restorebox.restorers import Network
from tests.factories import gradient_reach


def network(levels, **kwargs):
    return Network(dict(type='UNet', levels=levels, **kwargs), dict(type='PictureHead'))


@pytest.mark.parametrize(('levels', 'count'), [(8, 54_413_955), (5, 16_659_075)])
def test_parameter_counts(levels, count):
    with torch.device('meta'):
        assert sum(p.numel() for p in network(levels, norm='batch').parameters()) == count


@pytest.mark.parametrize('levels', range(1, 9))
def test_every_number_of_halvings(levels):
    net = network(levels, base_width=4, max_width=16)
    size = net.needs.stride
    x = torch.rand(1, 3, size, 2 * size)
    out = net(x, taps=('down1', f'down{levels}'))
    assert out['picture'].shape == x.shape
    assert out[f'down{levels}'].shape[-2:] == (1, 2)
    assert net.needs.stride == 2**levels


@pytest.mark.parametrize('levels', [0, 9])
def test_other_numbers_are_refused(levels):
    with pytest.raises(ConfigError, match='from 1 to 8'):
        UNet(levels)


@pytest.mark.parametrize('levels', [1, 2, 3])
@pytest.mark.parametrize('norm', [None, 'batch'])
def test_receptive_field_equals_the_reach_of_the_gradient(levels, norm):
    net = network(levels, base_width=4, max_width=8, norm=norm).double().eval()
    for p in net.parameters():
        torch.nn.init.uniform_(
            p, 0.01, 0.1, generator=torch.Generator().manual_seed(0)
        )  # no ReLU dies, tanh is not flat
    net.head.conv.weight.data *= 1e-3
    field = net.needs.receptive_field
    size = 2**levels * (2 * field // 2**levels + 4)
    x = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    assert gradient_reach(net, x) == field


def test_dropout_sits_where_pix2pix_has_it():
    def dropouts(levels):
        with torch.device('meta'):
            return sum(isinstance(m, torch.nn.Dropout) for m in UNet(levels, dropout=0.5).modules())

    assert dropouts(8) == 3
    assert dropouts(5) == 0


def test_skips_carry_content_past_the_bottleneck():
    """Zeroing the innermost feature leaves the output dependent on the input."""
    net = network(4, base_width=4, max_width=8).eval()
    x = torch.rand(2, 3, 32, 32)
    net.backbone.down[-1].register_forward_hook(lambda _m, _i, out: torch.zeros_like(out))
    out = net(x)['picture']
    assert (out[0] - out[1]).abs().max() > 1e-4


def _pix2pix_weights(keys, state, levels=8):
    """Names of the public pix2pix generator -> ours."""
    prefix, mapping = 'model.model', {}
    for level in range(levels):
        innermost, outermost = level == levels - 1, level == 0
        down = f'{prefix}.{0 if outermost else 1}'
        mapping[down] = f'backbone.down.{level}.{0 if outermost else 1}'
        up = 3 if innermost or outermost else 5
        if outermost:
            mapping[f'{prefix}.3'] = 'head.conv'
        else:
            if not innermost:
                mapping[f'{prefix}.2'] = f'backbone.down.{level}.2'
            mapping[f'{prefix}.{up}'] = f'backbone.up.{levels - 1 - level}.1'
            mapping[f'{prefix}.{up + 1}'] = f'backbone.up.{levels - 1 - level}.2'
        prefix = f'{prefix}.{1 if outermost else 3}.model'
    return {f'{mapping[key.rsplit(".", 1)[0]]}.{key.rsplit(".", 1)[1]}': state[key] for key in keys}


def test_matches_the_public_pix2pix_generator(shared):
    import importlib.util

    spec = importlib.util.spec_from_file_location('deterministic', shared / 'parity' / 'deterministic.py')
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    keys = json.loads((shared / 'parity' / 'state_dict_keys.json').read_text())['pix2pix_unet256']
    state = {k: torch.from_numpy(np.asarray(made.deterministic_array(k, tuple(s), 23))) for k, s in keys.items()}
    net = network(8, norm='batch').eval()
    net.load_state_dict(_pix2pix_weights(keys, state))
    x = torch.from_numpy(made.deterministic_image((1, 3, 256, 256), 23)) * 2 - 1
    with torch.no_grad():
        ours = net(x)['picture'].numpy()
    theirs = np.load(shared / 'parity' / 'expected_seed23.npz')['pix2pix__unet256']
    assert np.abs(ours[..., ::4, ::4] - theirs).max() < 1e-4
