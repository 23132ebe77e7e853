"""The U of FDR blocks."""

import pytest
import torch

from restorebox.backbones.fdr_unet import FDRUNet
from restorebox.errors import ConfigError
from restorebox.layers.disentangle import ChannelAttention
from restorebox.restorers import Network
from tests.factories import gradient_reach


@pytest.mark.parametrize(
    'given',
    [
        dict(widths=(3, 4), blocks=(1, 1)),
        dict(widths=(3, 4), blocks=(2, 3)),
        dict(widths=(2, 3, 4), blocks=(1, 1, 1)),
        dict(widths=(2, 3, 4), blocks=(1, 2, 0)),
    ],
)
def test_receptive_field_equals_the_reach_of_a_perturbation(given, monkeypatch):
    monkeypatch.setattr(ChannelAttention, 'gate', lambda self, x, scene=None: torch.full_like(x[..., :1, :1], 0.7))
    net = Network(dict(type='FDRUNet', **given), dict(type='SubPixelHead', residual=True)).double().eval()
    for p in net.parameters():  # all positive, so that nothing cancels and no ReLU closes
        torch.nn.init.uniform_(p, 0.05, 0.2, generator=torch.Generator().manual_seed(0))
    stride, field = net.needs.stride, net.needs.receptive_field
    side = stride * (2 * field // stride + 4)
    x = torch.rand(1, 3, side, side, dtype=torch.float64)
    assert gradient_reach(net, x) == field
    # what the gradient says, a change of one pixel outside of it confirms
    at = side // 2
    far = x.clone()
    far[..., at + field, :] += 0.5
    with torch.no_grad():
        difference = (net(far)['picture'] - net(x)['picture'])[..., at, :]
    assert (difference == 0).all()


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(widths=(32,), blocks=(1,)), 'it must name two levels or more'),
        (dict(widths=(4, 6), blocks=(1,)), '1 numbers of blocks for 2 levels'),
    ],
)
def test_levels_and_blocks_must_fit(given, message):
    with pytest.raises(ConfigError, match=message):
        FDRUNet(**given)


def test_an_untrained_network_with_a_residual_head_is_the_identity():
    net = Network(dict(type='FDRUNet', widths=(4, 6), blocks=(1, 1)), dict(type='SubPixelHead', residual=True))
    x = torch.rand(1, 3, 16, 20)
    assert torch.equal(net(x)['picture'], x)


def test_an_untrained_block_passes_its_input_on():
    block = FDRUNet(widths=(4, 6), blocks=(1, 1)).process[0]
    x = torch.rand(1, 6, 8, 8)
    assert torch.equal(block(x), x)
