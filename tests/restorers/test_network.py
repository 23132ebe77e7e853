"""Backbone + head."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.registry import HEADS
from restorebox.restorers import Network, build_network
from tests.factories import SMALL_HEADS, SMALL_UNET, head_names


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


@pytest.mark.parametrize('name', head_names())
def test_every_head_runs_forward_and_backward(name):
    head = HEADS.build(dict(type=name, **SMALL_HEADS[name]))
    assert head.output
    assert head.reach >= 1
    scale = SMALL_HEADS[name].get('scale', 1)
    features = {
        tap: torch.rand(2, SMALL_HEADS[name]['in_channels'], 8, 8, requires_grad=True) for tap in ('out', *head.taps)
    }
    out = head(features, torch.rand(2, 3, 8 * scale, 8 * scale))
    out.square().mean().backward()
    assert all(f.grad is not None for f in features.values())
    twin = HEADS.build(dict(type=name, **SMALL_HEADS[name]))
    twin.load_state_dict(head.state_dict())
