"""Backbone + head."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.restorers import Network, build_network
from tests.factories import SMALL_UNET


def test_result_holds_the_head_and_the_taps():
    net = Network(SMALL_UNET, dict(type='PictureHead'))
    out = net(torch.rand(1, 3, 8, 8), taps=('down2',))
    assert set(out) == {'picture', 'down2'}


def test_a_misspelt_tap_is_named():
    with pytest.raises(ConfigError, match=r"UNet has no tap 'donw2'; did you mean 'down2'"):
        Network(SMALL_UNET, dict(type='PictureHead'))(torch.rand(1, 3, 8, 8), taps=('donw2',))


@pytest.mark.parametrize('cfg', [dict(backbone=SMALL_UNET), dict(backbnoe=SMALL_UNET, head=dict(type='PictureHead'))])
def test_a_network_needs_both_parts_and_no_other(cfg):
    with pytest.raises(ConfigError, match='generator: '):
        build_network(cfg, 'generator')


def test_channels_last_changes_the_layout_and_no_number():
    cfg = dict(backbone=dict(type='ResNetGenerator', blocks=1, base_width=4), head=dict(type='PictureHead', kernel=3))
    plain, other = Network(**cfg), Network(**cfg, channels_last=True)
    other.load_state_dict(plain.state_dict())
    x = torch.rand(2, 3, 24, 20)
    a, b = plain.eval()(x)['picture'], other.eval()(x)['picture']
    assert not b.is_contiguous()
    assert b.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(a, b, atol=1e-5)
