"""Every registered head, and what the picture head promises."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.heads import PictureHead
from restorebox.registry import HEADS
from restorebox.restorers import Network
from tests.factories import SMALL_HEADS, head_names


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


def test_residual_head_starts_as_the_identity():
    net = Network(dict(type='UNet', levels=2, base_width=4), dict(type='PictureHead', residual=True))
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(net(x)['picture'], x)


def test_a_head_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match='stride 1 or 2'):
        PictureHead(8, scale=4)
