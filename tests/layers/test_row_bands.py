"""A map in bands is the map."""

import pytest
import torch

from restorebox.backbones.physics_estimator import PhysicsEstimator
from restorebox.backbones.ref_unet import RefUNet
from restorebox.layers import row_bands


@pytest.mark.parametrize('height', [96, 112, 208])
def test_networks_give_the_same_in_bands(height, monkeypatch):
    net, refine = PhysicsEstimator(base_width=4).eval(), RefUNet(base_width=4).eval()
    x, a = torch.rand(2, 3, height, 48), torch.rand(2, 3, 1, 1)
    y = torch.rand(2, 4, height, 48)
    calls = []
    net.streak.leave.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        whole = net(x)['out'], refine(y, airlight=a)['out']
        assert len(calls) == 1
        monkeypatch.setattr(row_bands, 'BAND_PIXELS', 40 * 48)
        banded = net(x)['out'], refine(y, airlight=a)['out']
        assert len(calls) == 1 + -(-height // 40)
    for one, other in zip(whole, banded, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    calls.clear()
    net(x)  # with a gradient all of it is held anyway
    assert len(calls) == 1


def test_a_reach_that_is_too_short_would_show(monkeypatch):
    monkeypatch.setattr(row_bands, 'BAND_PIXELS', 8 * 8)
    conv = torch.nn.Conv2d(1, 1, 5, 1, 2)
    x = torch.rand(1, 1, 40, 8)
    with torch.no_grad():
        torch.testing.assert_close(row_bands.in_bands(conv, (x,), reach=2), conv(x))
        assert not torch.allclose(row_bands.in_bands(conv, (x,), reach=1), conv(x), atol=1e-4)
