"""All registered heads, and properties of the picture head."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.heads.picture import PictureHead
from restorebox.registry import HEADS
from restorebox.restorers import Network
from tests.factories import head_features, head_names, small_head


@pytest.mark.parametrize('name', head_names())
def test_every_head_runs_forward_and_backward(name):
    head = HEADS.build(dict(type=name, **small_head(name)))
    assert head.output
    assert head.reach >= 1
    scale = small_head(name).get('scale', 1)
    features = head_features(name)
    assert set(head.taps) <= set(features)
    out = head(features, torch.rand(2, 3, 8 * scale, 8 * scale))
    values = list(out.values()) if isinstance(out, dict) else [out]
    sum((value * torch.linspace(-1, 1, value.shape[-1])).square().mean() for value in values).backward()
    assert all(f.grad is not None and f.grad.abs().sum() > 0 for f in features.values())
    assert all(p.grad is not None for p in head.parameters())
    twin = HEADS.build(dict(type=name, **small_head(name)))
    twin.load_state_dict(head.state_dict())


def test_residual_head_starts_as_the_identity():
    net = Network(dict(type='UNet', levels=2, base_width=4), dict(type='PictureHead', residual=True))
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(net(x)['picture'], x)


def test_a_head_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match='stride 1 or 2'):
        PictureHead(8, scale=4)


def test_reflected_and_wide_last_convolution():
    head = PictureHead(4, 1, kernel=7, padding='reflect')
    assert head.reach == 7
    assert head({'out': torch.rand(1, 4, 9, 8)}, torch.rand(1, 3, 9, 8)).shape == (1, 3, 9, 8)


@pytest.mark.parametrize(('given', 'expected'), [(dict(kernel=4), 'odd'), (dict(padding='same'), "'reflect'")])
def test_borders_and_kernels_that_do_not_exist_are_refused(given, expected):
    with pytest.raises(ConfigError, match=expected):
        PictureHead(4, 1, **given)
