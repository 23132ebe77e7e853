"""Converted public OWAN weights compute the same as the public network."""

import pytest
import torch
from torch import nn

from restorebox.engine import load_file
from restorebox.engine.config import load_config
from restorebox.engine.conversion import convert_owan
from restorebox.errors import CheckpointError
from restorebox.registry import RESTORERS
from restorebox.restorers import Network
from tests.processes import call, succeed

CONFIG = 'configs/fdrnet/div2k_hybrid_owan.py'
C, STEPS, OPS = 16, 4, 8


def public_shapes(groups=10):
    """Names and shapes of the authors' network."""
    shapes = {'FEB.0.weight': (C, 3, 3, 3)}
    for i in range(1, 5):
        shapes |= {f'FEB.{i}.conv{j}.weight': (C, 1, 3, 3) for j in (1, 2)}
    for g in range(groups):
        at = f'layers.{2 * g}.ca_fc'
        shapes |= {f'{at}.0.weight': (2 * STEPS * OPS, C), f'{at}.0.bias': (2 * STEPS * OPS,)}
        shapes |= {f'{at}.2.weight': (STEPS * OPS, 2 * STEPS * OPS), f'{at}.2.bias': (STEPS * OPS,)}
        at = f'layers.{2 * g + 1}'
        shapes[f'{at}.preprocess.op.0.weight'] = (C, C, 1, 1)
        for step in range(STEPS):
            for o, side in enumerate((1, 3, 5, 7)):
                for i in (0, 3):
                    shapes[f'{at}._ops.{step}._ops.{o}.op.{i}.weight'] = (C, 1, side, side)
                    shapes[f'{at}._ops.{step}._ops.{o}.op.{i + 1}.weight'] = (C, C, 1, 1)
            for o, side in enumerate((3, 5, 7), 4):
                shapes[f'{at}._ops.{step}._ops.{o}.op.0.weight'] = (C, 1, side, side)
                shapes[f'{at}._ops.{step}._ops.{o}.op.1.weight'] = (C, C, 1, 1)
            shapes[f'{at}._ops.{step}._out.0.weight'] = (C, OPS * C, 1, 1)
    shapes['conv2.weight'] = (3, C, 3, 3)
    return shapes


def public_state(groups=10):
    rng = torch.Generator().manual_seed(0)
    return {
        key: torch.randn(shape, generator=rng) * (2 / max(torch.Size(shape[1:]).numel(), 1)) ** 0.5
        for key, shape in public_shapes(groups).items()
    }


def public_output(state, x, groups=10):
    """The authors' network as the paper describes it, on the weights alone."""
    conv = nn.functional.conv2d
    depthwise = dict(groups=C)
    x = conv(x, state['FEB.0.weight'], padding=1)
    for i in range(1, 5):
        inner = conv(x, state[f'FEB.{i}.conv1.weight'], padding=1, **depthwise).relu()
        x = (conv(inner, state[f'FEB.{i}.conv2.weight'], padding=1, **depthwise) + x).relu()
    for g in range(groups):
        mean = x.mean((2, 3))
        for i in (0, 2):
            mean = nn.functional.linear(
                mean.relu() if i else mean,
                state[f'layers.{2 * g}.ca_fc.{i}.weight'],
                state[f'layers.{2 * g}.ca_fc.{i}.bias'],
            )
        weights = mean.view(-1, STEPS, OPS).softmax(-1)
        at = f'layers.{2 * g + 1}'
        x = conv(x, state[f'{at}.preprocess.op.0.weight']).relu()
        for step in range(STEPS):
            each = []
            for o in range(OPS):
                w = {i: state.get(f'{at}._ops.{step}._ops.{o}.op.{i}.weight') for i in (0, 1, 3, 4)}
                if w[0] is None:
                    y = nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
                elif w[3] is None:
                    side = w[0].shape[-1]
                    y = conv(conv(x, w[0], padding=side - 1, dilation=2, **depthwise), w[1])
                else:
                    reach = w[0].shape[-1] // 2
                    y = conv(conv(x, w[0], padding=reach, **depthwise), w[1]).relu()
                    y = conv(conv(y, w[3], padding=reach, **depthwise), w[4])
                each.append(y * weights[:, step, o, None, None, None])
            x = (conv(torch.cat(each, 1), state[f'{at}._ops.{step}._out.0.weight']).relu() + x).relu()
    return conv(x, state['conv2.weight'], padding=1)


def small():
    return Network(dict(type='OWAN', groups=2), dict(type='PictureHead', activation=False))


def test_converted_owan_is_the_public_one_on_transposed_pictures():
    state, network = public_state(2), small()
    network.load_state_dict(convert_owan({f'module.{k}': v for k, v in state.items()}, network))
    x = torch.rand(2, 3, 12, 17)
    with torch.no_grad():
        torch.testing.assert_close(network(x)['picture'], public_output(state, x.mT, 2).mT, rtol=1e-3, atol=1e-3)
        assert (network(x)['picture'] - public_output(state, x, 2)).abs().mean() > 1e-2


def test_the_verb_fits_the_config(tmp_path):
    torch.save(public_state(), tmp_path / 'model_best.pth')
    succeed(call('convert_weights.py', 'owan', 'out.pth', '--weights', 'generator=model_best.pth', cwd=tmp_path))
    restorer = RESTORERS.build(load_config(CONFIG).model.to_dict())
    restorer.load_weights(load_file(tmp_path / 'out.pth')['state_dict'])


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda s: {**s, 'FEB.9.conv1.weight': torch.zeros(1)}, 'its FEB.9.conv1.weight is not in the network'),
        (lambda s: {**s, 'other': torch.zeros(1)}, 'its other is not in the network'),
        (lambda s: {k: v for k, v in s.items() if k != 'conv2.weight'}, 'it lacks head.conv.weight'),
        (lambda s: {**s, 'conv2.weight': torch.zeros(3, 8, 3, 3)}, r'its conv2.weight is \(3, 8, 3, 3\)'),
    ],
)
def test_incompatible_weights_are_named(change, expected):
    with pytest.raises(CheckpointError, match=expected):
        convert_owan(change(public_state(2)), small())
