"""EnDecoder-N: the innermost feature is its only path, and which norm erases brightness and contrast."""

import pytest
import torch

from restorebox.backbones.encoder_decoder import EncoderDecoder
from restorebox.errors import ConfigError
from restorebox.restorers import Network
from tests.factories import gradient_reach


def network(levels, **given):
    return Network(
        dict(type='EncoderDecoder', levels=levels, base_width=4, max_width=8, **given), dict(type='PictureHead')
    )


@pytest.mark.parametrize('levels', range(1, 9))
def test_every_number_of_halvings(levels):
    net = network(levels)
    x = torch.rand(1, 3, 2**levels, 2 ** (levels + 1))
    out = net(x, taps=(f'down{levels}', 'up1'))
    assert out['picture'].shape == x.shape
    assert out[f'down{levels}'].shape[-2:] == (1, 2)
    assert out['up1'].shape[-2:] == x.shape[-2:]


def test_nothing_of_the_input_survives_an_empty_bottleneck():
    net = network(3).eval()
    net.backbone.down[-1].register_forward_hook(lambda _m, _i, out: torch.zeros_like(out))
    out = net(torch.rand(2, 3, 32, 32))['picture']
    assert torch.equal(out[0], out[1])


@pytest.mark.parametrize(('norm', 'kept'), [({}, True), ({'norm': 'batch'}, True), ({'norm': 'instance'}, False)])
def test_only_instance_norm_removes_brightness_and_contrast(norm, kept):
    """The default passes them on; with instance norm a brighter picture of more contrast gives the same output."""
    torch.manual_seed(0)
    net = network(2, **norm).double().eval()
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.padding_mode = 'circular'  # a border of zeros does not get brighter with the picture
    x = torch.rand(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y, brighter = (net(z)['picture'] for z in (x, 2 * x + 1))
    change = (brighter - y).abs().mean() / y.std()
    assert change > 0.2 if kept else change < 0.01


@pytest.mark.parametrize('levels', [1, 2, 3])
def test_receptive_field_equals_the_reach_of_the_gradient(levels):
    net = network(levels).double().eval()
    for p in net.parameters():
        torch.nn.init.uniform_(p, 0.01, 0.1, generator=torch.Generator().manual_seed(0))
    net.head.conv.weight.data *= 1e-3
    for block in net.backbone.down:
        block[-1] = torch.nn.AvgPool2d(2)  # a maximum passes the gradient to one pixel of four
    field = net.needs.receptive_field
    size = 2**levels * (2 * field // 2**levels + 4)
    x = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    assert gradient_reach(net, x) == field


def test_other_numbers_are_refused():
    with pytest.raises(ConfigError, match='EncoderDecoder: levels is 9'):
        EncoderDecoder(9)
