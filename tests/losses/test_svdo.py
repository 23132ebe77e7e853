"""SVDO loss: zero where channels are orthogonal and of equal energy, and its three scales."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.losses.svdo import SVDOLoss

MODES = ('raw', 'raw_abs', 'unit')
C, H, W = 6, 8, 9


def orthonormal(rows: int = C, seed: int = 0) -> torch.Tensor:
    """``(1, rows, H, W)`` float64 with orthonormal channels."""
    draw = torch.randn(H * W, rows, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(draw)[0].T.reshape(1, rows, H, W).contiguous()


def features(seed: int = 0, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, C, H, W, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('scale', [1, 5])
def test_zero_for_orthogonal_channels_of_equal_energy(mode, scale):
    assert SVDOLoss(mode)(scale * orthonormal()).item() == pytest.approx(0, abs=1e-9)


def test_orthogonal_channels_of_unequal_energy():
    rows = orthonormal() * torch.linspace(1, 2, C, dtype=torch.float64)[:, None, None]
    assert SVDOLoss('raw')(rows).item() == pytest.approx(9)  # eigenvalues from 1 to 4
    assert SVDOLoss('raw_abs')(rows).item() == pytest.approx(3)
    mean = (torch.linspace(1, 2, C, dtype=torch.float64) ** 2).mean().item()
    assert SVDOLoss('unit')(rows).item() == pytest.approx(9 / mean**2)


@pytest.mark.parametrize('mode', MODES)
def test_invariances(mode):
    x, loss = features(), SVDOLoss(mode)
    turn = torch.linalg.qr(features(1, 1).new_empty(H * W, H * W).normal_())[0]
    turned = (x.flatten(2) @ turn).view_as(x)
    torch.testing.assert_close(loss(turned), loss(x))
    torch.testing.assert_close(loss(x[:, torch.randperm(C)]), loss(x))
    torch.testing.assert_close(loss(x.flatten(2)[..., torch.randperm(H * W)].view_as(x)), loss(x))


def test_scale():
    x = features()
    assert SVDOLoss('unit')(7 * x).item() == pytest.approx(SVDOLoss('unit')(x).item(), rel=1e-6)
    assert SVDOLoss('raw')(7 * x).item() == pytest.approx(7**4 * SVDOLoss('raw')(x).item())
    assert SVDOLoss('raw_abs')(7 * x).item() == pytest.approx(7**2 * SVDOLoss('raw_abs')(x).item())
    wide = x.repeat(1, 1, 2, 2)  # four times the pixels, of the same kind
    assert SVDOLoss('unit')(wide).item() == pytest.approx(SVDOLoss('unit')(x).item(), rel=1e-6)
    assert SVDOLoss('raw')(wide).item() == pytest.approx(16 * SVDOLoss('raw')(x).item())


@pytest.mark.parametrize('mode', MODES)
def test_never_zero_with_fewer_pixels_than_channels(mode):
    few = torch.linalg.qr(torch.randn(C, 4, dtype=torch.float64))[0].reshape(1, C, 2, 2)
    assert SVDOLoss(mode)(few).item() > 0.5


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize(
    'x',
    [
        orthonormal(),
        torch.ones(2, C, H, W),  # rank one: all but one eigenvalue are 0
        torch.zeros(2, C, H, W),
        torch.full((1, C, H, W), 1e-12),
        orthonormal(C - 1)[:, [0, 0, 1, 2, 3, 4]],
        torch.eye(C).reshape(1, C, 2, 3),
    ],
    ids=['orthonormal', 'one', 'blank', 'nearly blank', 'a channel twice', 'identity'],
)
def test_the_gradient_is_finite_where_eigenvalues_coincide(mode, x):
    x = x.clone().requires_grad_()
    value = SVDOLoss(mode)(x)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize('mode', MODES)
def test_the_gradient_is_that_of_the_formula(mode):
    x = features(batch=2)[:, :3, :2, :3].contiguous().requires_grad_()
    assert torch.autograd.gradcheck(SVDOLoss(mode), (x,))


def test_descent_makes_channels_orthogonal_and_equal():
    x = torch.nn.Parameter(features(batch=1).float())
    loss, optimiser = SVDOLoss('unit'), torch.optim.Adam([x], lr=0.02)
    first = loss(x).item()
    for _ in range(200):
        optimiser.zero_grad()
        loss(x).backward()
        optimiser.step()
    assert loss(x).item() < 0.05 * first


def test_half_precision_features():
    x = features().float()
    assert SVDOLoss('unit')(x.bfloat16()).dtype == torch.float32
    assert torch.isfinite(SVDOLoss('raw')(300 * x.half()))  # squares of 300 overflow in float16
    assert SVDOLoss()(x.double()).dtype == torch.float64


def test_other_modes_are_refused():
    with pytest.raises(ConfigError, match="mode is 'raw_ab'; did you mean 'raw_abs'"):
        SVDOLoss('raw_ab')
