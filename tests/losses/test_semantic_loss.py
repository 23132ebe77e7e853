"""SemanticLoss by hand, and that the target and the encoder are only read."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from restorebox.encoders.frozen import CLIP_FILE
from restorebox.engine.check import check_types
from restorebox.errors import ConfigError, WeightsError
from restorebox.losses.semantic import SemanticLoss
from restorebox.registry import ENCODERS, LOSSES

ENCODER = dict(type='RandomConv', width=4)


@pytest.fixture
def pair():
    rng = torch.Generator().manual_seed(3)
    return torch.rand(2, 2, 3, 12, 10, generator=rng).unbind()


def test_semantic_loss_by_hand(pair):
    pred, target = pair
    for encoder in (ENCODER, *(dict(type=name, weights='random') for name in ('VGG16Features', 'EfficientNetLite'))):
        loss = LOSSES.build(dict(type='SemanticLoss', encoder=encoder, weight=0.5))
        assert loss.value_range == (0.0, 1.0)
        phi = ENCODERS.build(encoder)
        ours, theirs = phi(pred), phi(target)
        wanted = sum(w * (ours[name] - theirs[name]).abs().mean().item() for name, w in phi.distance_weights.items())
        assert wanted > 1e-3
        assert loss(pred, target).item() == pytest.approx(0.5 * wanted, rel=1e-5)
        assert loss(target, target).item() == pytest.approx(0, abs=1e-6)


def test_gradients_reach_the_prediction_only(pair):
    pred, target = (x.clone().requires_grad_() for x in pair)
    loss = SemanticLoss(ENCODER)
    loss(pred, target).backward()
    assert torch.isfinite(pred.grad).all()
    assert (pred.grad.abs().amax(dim=(1, 2, 3)) > 0).all()
    assert target.grad is None
    assert not loss.state_dict()
    assert not list(loss.parameters())


def test_semantic_loss_is_float32_under_autocast_and_copies(pair):
    pred, target = pair
    loss = SemanticLoss(ENCODER)
    plain = loss(pred.bfloat16().float(), target).item()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(pred.bfloat16(), target)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(plain, rel=1e-6)
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert not other.encoder.network.built
        assert other(pred, target).item() == pytest.approx(loss(pred, target).item(), rel=1e-6)


def test_semantic_loss_mistakes(pair, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="did you mean 'CLIPVisual'"):
        SemanticLoss(dict(type='CLIPVisuals'))
    losses = dict(clip=dict(type='SemanticLoss', encoder=dict(type='CLIPVisual', weight='x.pth')))
    with pytest.raises(ConfigError, match=r"losses\.clip\.encoder: CLIPVisual has no key 'weight'; did you mean"):
        check_types(dict(model=dict(losses=losses)))
    with pytest.raises(ValueError, match=r'needs \(N, 3, H, W\)'):
        SemanticLoss(ENCODER)(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8))
    with pytest.raises(ValueError, match='SemanticLoss: pred is'):
        SemanticLoss(ENCODER)(pair[0], pair[1][:1])
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    loss = SemanticLoss(dict(type='CLIPVisual'))
    with pytest.raises(WeightsError, match=CLIP_FILE):
        loss(*pair)
