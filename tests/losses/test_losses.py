"""Every registered loss between two pictures, and each formula written out a second time."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from restorebox.engine.check import check_types
from restorebox.errors import ConfigError, WeightsError
from restorebox.losses import BaseLoss, build_picture_losses
from restorebox.losses.perceptual import ContrastiveRegularisation, LPIPSLoss, PerceptualLoss
from restorebox.losses.pixel import CharbonnierLoss, L1Loss, MSELoss, PSNRLoss
from restorebox.losses.ssim import SSIMLoss
from restorebox.registry import ENCODERS, LOSSES

MINIMUM = {'CharbonnierLoss': 1e-3}  # equal pictures cost eps
# losses of something else than two pictures, or that need another argument: each has tests of its own
OTHERS = {
    'AdversarialLoss',
    'ContrastiveRegularisation',
    'InterContrastiveLoss',
    'IntraContrastiveLoss',
    'PatchNCELoss',
    'SemanticLoss',
}


def picture_losses() -> list[str]:
    """Losses that take (pred, target) and need no argument."""
    found = []
    for name in LOSSES.known():
        kind = LOSSES.get(name)
        needed = [p for p in inspect.signature(kind).parameters.values() if p.default is p.empty]
        if name not in OTHERS and issubclass(kind, BaseLoss) and not kind.of_features and not needed:
            found.append(name)
    return found


def feature_losses() -> list[str]:
    """Losses of one feature map."""
    return [name for name in LOSSES.known() if getattr(LOSSES.get(name), 'of_features', False)]


def build(name: str, **given):
    if 'weights' in inspect.signature(LOSSES.get(name)).parameters:
        given.setdefault('weights', 'random')
    return LOSSES.build(dict(type=name, **given))


@pytest.fixture
def pair():
    rng = torch.Generator().manual_seed(3)
    target = torch.rand(2, 3, 24, 20, generator=rng)
    return (target + 0.1 * torch.randn(target.shape, generator=rng)).clamp(0, 1), target


def test_all_are_registered():
    assert {'L1Loss', 'MSELoss', 'CharbonnierLoss', 'SSIMLoss', 'PerceptualLoss', 'LPIPSLoss'} <= set(picture_losses())


@pytest.mark.parametrize('name', picture_losses())
def test_every_loss(name, pair):
    pred, target = pair
    pred.requires_grad_()
    loss = build(name)
    assert loss.weight == 1.0
    value = loss(pred, target)
    assert value.shape == ()
    assert value.dtype == torch.float32
    low = MINIMUM.get(name, 0.0)
    assert value.item() > low + 1e-4
    value.backward()
    assert torch.isfinite(pred.grad).all()
    assert (pred.grad.abs().amax(dim=(1, 2, 3)) > 0).all()
    assert loss(target, target).item() == pytest.approx(low, abs=1e-6)
    assert not loss.state_dict()
    assert not list(loss.parameters())
    assert build(name, weight=0.25)(pred, target).item() == pytest.approx(value.item() / 4, rel=1e-5)
    assert loss.value_range in (None, (0.0, 1.0))


@pytest.mark.parametrize('name', picture_losses())
def test_every_loss_refuses_unequal_shapes(name, pair):
    pred, target = pair
    with pytest.raises(ValueError, match=f'{name}: pred is'):
        build(name)(pred, target[:1])


@pytest.mark.parametrize('name', picture_losses())
def test_every_loss_is_float32_under_autocast(name, pair):
    pred, target = pair
    loss = build(name)
    plain = loss(pred.bfloat16().float(), target).item()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(pred.bfloat16(), target)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize('name', picture_losses())
@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))])
def test_every_loss_can_be_copied_after_use(name, duplicate, pair):
    loss = build(name)
    value = loss(*pair).item()
    assert duplicate(loss)(*pair).item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize('name', feature_losses())
def test_every_loss_of_features(name, pair):
    features = pair[0].clone().requires_grad_()
    loss = build(name)
    assert not loss.of_pictures
    value = loss(features)
    assert value.shape == ()
    assert value.dtype == torch.float32
    value.backward()
    assert torch.isfinite(features.grad).all()
    assert (features.grad.abs().amax(dim=(1, 2, 3)) > 0).all()
    assert not loss.state_dict()
    assert build(name, weight=0.25)(features).item() == pytest.approx(value.item() / 4, rel=1e-5)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert loss(features).item() == pytest.approx(value.item(), rel=1e-5)
    each = [loss(one[None]).item() for one in features]
    assert value.item() == pytest.approx(np.mean(each), rel=1e-4), 'the mean over a batch'
    assert torch.isnan(loss(torch.full((1, 3, 4, 4), float('nan')))), 'named by the restorer, not by a solver'


def test_there_are_losses_of_features():
    assert feature_losses() == ['SVDOLoss']


def test_pixel_losses_by_hand(pair):
    pred, target = pair
    d = pred.numpy().astype(np.float64) - target.numpy()
    assert L1Loss(2.0)(pred, target).item() == pytest.approx(2 * np.abs(d).mean(), rel=1e-5)
    assert MSELoss()(pred, target).item() == pytest.approx((d**2).mean(), rel=1e-5)
    assert CharbonnierLoss(eps=0.05)(pred, target).item() == pytest.approx(np.sqrt(d**2 + 0.0025).mean(), rel=1e-5)
    with pytest.raises(ConfigError, match='eps'):
        CharbonnierLoss(eps=0)


def test_contrastive_regularisation_pulls_to_the_clean_and_pushes_from_the_degraded(pair):
    degraded, target = pair
    loss = ContrastiveRegularisation(layers={'relu1_2': 1.0, 'relu2_2': 0.5}, weight=2.0, weights='random')
    assert loss(target, target, degraded).item() == pytest.approx(0, abs=1e-6)
    near, far = torch.lerp(target, degraded, 0.2), torch.lerp(target, degraded, 0.8)
    assert loss(near, target, degraded) < loss(far, target, degraded)
    ours, clean, spoilt = (loss.network(x) for x in (near, target, degraded))
    ratio = lambda name: (ours[name] - clean[name]).abs().mean() / (ours[name] - spoilt[name]).abs().mean()  # noqa: E731
    expected = 2 * (ratio('relu1_2') + 0.5 * ratio('relu2_2'))
    assert loss(near, target, degraded).item() == pytest.approx(expected.item(), rel=1e-4)
    with pytest.raises(ValueError, match='degraded is'):
        loss(near, target, degraded[:1])
    with pytest.raises(ConfigError, match='no layer'):
        ContrastiveRegularisation(layers={'relu9_9': 1.0})
    with pytest.raises(ConfigError, match='needs the degraded picture'):
        build_picture_losses({'cr': dict(type='ContrastiveRegularisation')}, 'Toy', degraded=False)


def test_psnr_loss_is_decibels_above_its_floor(pair):
    pred, target = pair
    mse = ((pred - target).double() ** 2).mean((1, 2, 3)).numpy()
    expected = (10 * np.log10(mse + 1e-3) - 10 * np.log10(1e-3)).mean()
    assert PSNRLoss(floor=1e-3)(pred, target).item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ConfigError, match='must be positive'):
        PSNRLoss(floor=0)


def test_psnr_loss_weighs_a_small_error_like_a_large_one(pair):
    target = pair[1]
    error = torch.stack([0.01 * torch.ones(3, 24, 20), 0.2 * torch.ones(3, 24, 20)])
    pred = (target + error).requires_grad_()
    PSNRLoss(floor=1e-9)(pred, target).backward()
    gain = (pred.grad * error).sum((1, 2, 3))  # what a step of the same share of each error brings
    assert gain[0].item() == pytest.approx(gain[1].item(), rel=1e-3)


def test_float64_is_kept(pair):
    pred, target = (x.double() for x in pair)
    assert MSELoss()(pred, target).dtype == torch.float64
    small = torch.rand(1, 1, 12, 11, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SSIMLoss(), (small, torch.rand(1, 1, 12, 11, dtype=torch.float64)))


def test_ssim_against_skimage(pair):
    pred, target = pair
    wanted = [
        structural_similarity(
            t.permute(1, 2, 0).double().numpy(),
            p.permute(1, 2, 0).double().numpy(),
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
        )
        for p, t in zip(pred, target, strict=True)
    ]
    assert SSIMLoss()(pred, target).item() == pytest.approx(1 - np.mean(wanted), abs=1e-5)


@pytest.mark.parametrize(
    ('result', 'words'),
    [
        (lambda pred: pred, r'shape \(2, 3, 24, 20\); return a scalar'),
        (lambda pred: pred.mean((1, 2, 3)), r'shape \(2,\); return a scalar'),
        (lambda pred: pred.mean().item(), 'float; return a scalar tensor'),
    ],
)
def test_a_loss_that_returns_no_scalar_is_one_line(pair, result, words):
    class NoScalar(BaseLoss):
        def compute(self, pred, target):
            return result(pred)

    with pytest.raises(ConfigError, match=rf'NoScalar\.compute returned {words}'):
        NoScalar()(*pair)


def test_ssim_of_small_pictures_is_an_error():
    with pytest.raises(ValueError, match=r'11x11.*10x30'):
        SSIMLoss()(torch.rand(1, 3, 10, 30), torch.rand(1, 3, 10, 30))


def test_perceptual_by_hand(pair):
    pred, target = pair
    loss = PerceptualLoss({'relu1_2': 0.5, 'pool2': 2.0}, weight=3.0, criterion='mse', weights='random')
    value = loss(pred, target).item()
    from restorebox.encoders.frozen import vgg16_features

    trunk = vgg16_features('random')
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    a, b = (pred - mean) / std, (target - mean) / std
    wanted = 0.5 * (trunk[:4](a) - trunk[:4](b)).square().mean() + 2 * (trunk[:10](a) - trunk[:10](b)).square().mean()
    assert value == pytest.approx(3 * wanted.item(), rel=1e-4)


def test_perceptual_mistakes():
    with pytest.raises(ConfigError, match="did you mean 'relu1_2'"):
        PerceptualLoss({'relu12': 1.0})
    with pytest.raises(ConfigError, match='mse'):
        PerceptualLoss(criterion='l2')
    with pytest.raises(ConfigError, match='empty'):
        PerceptualLoss({})
    loss = PerceptualLoss({'relu3_3': 1.0}, weights='random')
    loss(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4))
    with pytest.raises(ValueError, match='at least 4 pixels'):
        loss(torch.rand(1, 3, 3, 9), torch.rand(1, 3, 3, 9))
    with pytest.raises(ValueError, match=r'\(N, 3, H, W\)'):
        loss(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8))
    with pytest.raises(ConfigError, match="no net 'squeeze'"):
        LPIPSLoss(net='squeeze')
    with pytest.raises(ValueError, match='at least 31 pixels'):
        LPIPSLoss(net='alex', weights='random')(torch.rand(1, 3, 30, 40), torch.rand(1, 3, 30, 40))


@pytest.mark.parametrize('encoder', ['EfficientNetLite', 'VGG16Features'])
def test_losses_of_features_take_any_encoder(encoder):
    cfg = dict(type=encoder, weights='random')
    phi = ENCODERS.build(cfg)
    rng = torch.Generator().manual_seed(0)
    pred, clean, rainy = torch.rand(3, 2, 3, 40, 33, generator=rng)
    pred.requires_grad_()
    with torch.no_grad():
        p, c, r = phi(pred), phi(clean), phi(rainy)
    near, far = ({k: (p[k] - x[k]).abs().mean().item() for k in p} for x in (c, r))
    shares = phi.distance_weights
    perceptual = PerceptualLoss(encoder=cfg, weight=0.5)
    assert perceptual(pred, clean).item() == pytest.approx(0.5 * sum(w * near[k] for k, w in shares.items()), rel=1e-4)
    regularisation = ContrastiveRegularisation(encoder=cfg)
    wanted = sum(w * near[k] / far[k] for k, w in shares.items())
    assert regularisation(pred, clean, rainy).item() == pytest.approx(wanted, rel=1e-4)
    for value in (perceptual(pred, clean), regularisation(pred, clean, rainy)):
        (gradient,) = torch.autograd.grad(value, pred)
        assert (gradient.abs().amax(dim=(1, 2, 3)) > 0).all()
    for given in (dict(layers={'relu1_2': 1.0}), dict(weights='random'), dict(normalise=False)):
        with pytest.raises(ConfigError, match='are of VGG16; leave them out'):
            PerceptualLoss(encoder=cfg, **given)
    with pytest.raises(ConfigError, match='are of VGG16; leave them out'):
        ContrastiveRegularisation(encoder=cfg, weights='random')
    with pytest.raises(ConfigError, match=r"encoder: .* has no key 'weight'"):
        check_types(dict(model=dict(losses=dict(p=dict(type='PerceptualLoss', encoder=dict(cfg, weight=1))))))


@pytest.mark.parametrize(
    ('loss', 'file'),
    [
        (PerceptualLoss(), 'vgg16-397923af.pth'),
        (LPIPSLoss(), 'vgg16-397923af.pth'),
        (LPIPSLoss(net='alex'), 'alexnet-owt-7be5be79.pth'),
    ],
)
def test_absent_weights_are_an_error_at_first_use(loss, file, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    x = torch.rand(1, 3, 32, 32)
    with pytest.raises(WeightsError, match=file) as caught:
        loss(x, x)
    assert str(tmp_path / 'hub' / 'checkpoints') in str(caught.value)
