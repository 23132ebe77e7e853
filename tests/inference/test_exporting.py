"""Exported files give what their networks give, at any size."""

import io
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from restorebox.backbones.dncnn import DnCNN
from restorebox.errors import ExportError, MissingPackageError
from restorebox.inference import load_model
from restorebox.inference.exported import ExportedRestorer
from restorebox.inference.exporting import DeployedNetwork, check_file, export_restorer, file_facts
from restorebox.inference.tiles import Tiler
from restorebox.layers.precision import traced
from restorebox.registry import RESTORERS
from restorebox.restorers import Network
from tests.conftest import long
from tests.factories import small_restorer

pytest.importorskip('onnxruntime', reason='onnxruntime (requirements/export.txt) is not installed')
pytest.importorskip('onnxscript', reason='onnxscript (requirements/export.txt) is not installed')

# narrow and short, since tracing takes half a minute for ten layers; FDR-Net has two of its eight phases
NETWORKS = {
    'UNet-3': (
        dict(type='UNet', levels=3, base_width=8, max_width=32, norm='instance', value_range=(-1, 1)),
        dict(type='PictureHead'),
    ),
    'ResNet-9': (
        dict(type='ResNetGenerator', blocks=9, base_width=8),
        dict(type='PictureHead', kernel=7, padding='reflect'),
    ),
    'FDR-Net': (dict(type='FDRNet', channels=8, phases=2), dict(type='PictureHead', activation=False, residual=False)),
    'global statistics': (
        dict(type='NAFUNet', widths=(8, 16), before=(1, 1), behind=(1,), scene=8),
        dict(type='SubPixelHead', activation=False),
    ),
    'gates': (
        dict(
            type='SceneGated',
            inner=dict(type='FDRUNet', widths=(8, 16), blocks=(1, 1)),
            scene=8,
            tap='process',
            hidden=8,
        ),
        dict(type='GatedHead', inner=dict(type='SubPixelHead', residual=True, activation=False)),
    ),
}
NETWORKS['feature means'] = NETWORKS['gates']  # without a window
SIZES = [(70, 97), (128, 64), (40, 300)]  # the last is past the window of the statistics


def drawn(name, window=64):
    backbone, head = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        restorer = RESTORERS.build(
            dict(
                type='SupervisedRestorer',
                generator=dict(backbone=backbone, head=head),
                losses=dict(l1=dict(type='L1Loss')),
                statistics_window=None if name in ('global statistics', 'feature means') else window,
            )
        )
        with torch.no_grad():
            for key, weight in restorer.named_parameters():
                if 'head' in key and key.endswith('conv.weight'):
                    weight.mul_(8)  # drawn heads give almost nothing
                if not weight.any() and 'weight' in key:  # starts at zero
                    # the features before this head are not normalised
                    weight.normal_(std=0.003 if name == 'feature means' and 'head' in key else 0.3)
                if key.endswith('backbone.gates.bias'):
                    weight.zero_()
    return restorer.eval()


def exported_file(restorer, folder):
    data, worst = export_restorer(restorer, 'onnx', file_facts(restorer, 'x'))
    assert worst < 1e-3
    (folder / 'model.onnx').write_bytes(data)
    return folder / 'model.onnx'


def exported(restorer, folder):
    return ExportedRestorer(exported_file(restorer, folder))


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=[long] if name == 'ResNet-9' else []) for name in (*NETWORKS, 'weather')]
)
def test_onnx_matches_pytorch(name, tmp_path):
    restorer = load_model('weather') if name == 'weather' else drawn(name)
    other = exported(restorer, tmp_path)
    sizes = [*SIZES[:2], (32, 536)] if name == 'weather' else SIZES  # its window is 512
    for height, width in sizes:
        x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(width))
        expected, seen = (each.restore(x)['pred'] for each in (restorer, other))
        assert seen.shape == x.shape
        assert expected.std() > 0.02, 'nothing would be compared'
        assert (seen - expected).abs().max() < 1e-3


@pytest.mark.parametrize('name', ['global statistics', 'feature means'])
def test_tiles_of_a_file_share_the_statistics_of_the_whole_picture(name, tmp_path):
    restorer = drawn(name)
    other = exported(restorer, tmp_path)
    assert other.needs.global_statistics
    assert other.needs.feature_means == restorer.needs.feature_means == (('means',) if name == 'feature means' else ())
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 60, (200, 300, 3)) * np.linspace(0.2, 1, 200)[:, None, None]
    picture = (noise + np.linspace(0, 190, 300)[None, :, None]).astype(np.uint8)
    whole = Tiler(restorer)(picture).astype(int)
    tiler = Tiler(other, memory=Tiler(restorer).pixel_bytes * 120 * 120 / 2**20)
    assert not tiler.fits(200, 300)
    tiled = np.abs(tiler(picture) - whole)
    if name == 'global statistics':
        assert tiled.max() <= 1
    else:
        assert tiled.mean() < 0.7  # the receptive field is wider than the margin of such small tiles
        tiler._reads_means = False
        assert np.abs(tiler(picture) - whole).mean() > 3, 'the means would make no difference'
    part = Tiler(restorer)(picture[:100, :100]).astype(int)  # with statistics of its own
    assert np.abs(part - whole[:100, :100]).mean() > 1, 'the statistics would make no difference'


class MeanBackbone(DnCNN):
    """Adds the mean of its features; it reads nothing else of the whole picture."""

    def __init__(self) -> None:
        super().__init__(layers=3, width=8)
        self.tap_channels = {'pooled': 8}
        self.given = ('pooled',)
        self.needs = replace(self.needs, feature_means=('pooled',))

    def forward(self, x, taps=(), only_taps=False, pooled=None):
        out = super().forward(x)['out']
        own = out.mean((-2, -1), keepdim=True)
        if pooled is None:
            pooled = own
        elif traced():
            pooled = torch.where(pooled.isnan(), own, pooled)
        features = {'pooled': out} if 'pooled' in taps else {}
        return features if only_taps else {**features, 'out': out + pooled}


def test_means_of_features_without_global_statistics(tmp_path):
    torch.manual_seed(0)
    network = Network(MeanBackbone(), dict(type='PictureHead'))
    restorer = RESTORERS.build(dict(type='SupervisedRestorer', generator=network, losses=dict(l1=dict(type='L1Loss'))))
    other = exported(restorer.eval(), tmp_path)
    assert other.needs.feature_means == ('pooled',)
    assert not other.needs.global_statistics
    picture = np.random.default_rng(0).integers(0, np.linspace(5, 255, 300)[:, None], (200, 300, 3)).astype(np.uint8)
    whole = Tiler(restorer)(picture).astype(int)
    assert np.abs(whole - picture).mean() > 1
    for each in (restorer, other):
        tiler = Tiler(each, memory=Tiler(restorer).pixel_bytes * 120 * 120 / 2**20)
        assert not tiler.fits(200, 300)
        assert np.abs(tiler(picture) - whole).max() <= 1


@pytest.fixture(scope='module')
def with_means(tmp_path_factory):
    """A network that reads means of features, and its file."""
    restorer = drawn('feature means')
    return restorer, exported(restorer, tmp_path_factory.mktemp('means')).generator


@torch.no_grad()
def test_features_of_a_file(with_means):
    restorer, network = with_means
    x = torch.rand(3, 3, 64, 96)
    scene = restorer.estimate_shared(x)['scene']
    given = dict(taps=('means',), only_taps=True, scene=scene)
    features = network(x, **given)
    torch.testing.assert_close(features, restorer.generator(x, **given), rtol=1e-3, atol=1e-4)
    means = torch.rand(3, features['means'].shape[1], 1, 1)  # of one picture for all, or of each
    for each in (means[:1], means):
        own = each.expand(3, -1, -1, -1)
        parts = [restorer.generator(x[i][None], scene=scene[i][None], means=own[i][None])['picture'] for i in range(3)]
        expected = torch.cat(parts).clamp(0, 1)
        torch.testing.assert_close(network(x, scene=scene, means=each)['picture'], expected, rtol=1e-3, atol=1e-4)
    one = network(x, scene=scene[:1])['picture']  # a scene of all
    torch.testing.assert_close(network(x[2:], scene=scene[:1])['picture'], one[2:], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    'shape', [(1, 8, 6), (1, 7, 4, 6), (2, 32, 4, 6), (1, 32, 4, 0), (1, 32, 3, 6), (1, 32, 90, 120)]
)
def test_features_of_another_shape_are_an_error(shape, with_means, monkeypatch):
    _, network = with_means
    x = torch.rand(1, 3, 64, 96)
    monkeypatch.setattr(network, '_session', SimpleNamespace(run=lambda names, inputs: [np.zeros(shape, np.float32)]))
    with pytest.raises(ExportError, match=r"its features 'means' are .* for a picture of \(1, 3, 64, 96\)"):
        network(x, taps=('means',), only_taps=True)


def test_other_statistics_can_not_be_exported(monkeypatch):
    restorer = drawn('global statistics')
    monkeypatch.setattr(restorer.generator.backbone, 'global_statistics', lambda x: {'scene': x.mean((2, 3))})
    with pytest.raises(ExportError, match='reads other statistics of the whole picture'):
        file_facts(restorer, 'x')


def test_the_tiler_cuts_for_a_file_as_for_its_network(tmp_path):
    restorer = small_restorer('SupervisedRestorer').eval()
    restorer.statistics_window = 64
    other = exported(restorer, tmp_path)
    memory = Tiler(restorer).pixel_bytes * 250 * 250 / 2**20
    tilers = Tiler(restorer, memory), Tiler(other, memory)
    assert tilers[0].radius == tilers[1].radius == 32
    assert not tilers[1].fits(500, 400)
    assert tilers[0].plan(500, 400) == tilers[1].plan(500, 400)


@pytest.mark.parametrize('name', ['UNet-3', 'global statistics', 'feature means'])
@pytest.mark.parametrize('kind', ['torchscript', 'pt2'])
def test_files_of_pytorch(kind, name):
    restorer = drawn(name)
    facts = file_facts(restorer, 'small')
    data, worst = export_restorer(restorer, kind, facts)
    assert worst < 1e-5
    extra = {'restorebox.json': ''}
    loader = torch.jit.load if kind == 'torchscript' else lambda *a, **k: torch.export.load(*a, extra_files=extra)
    loader(io.BytesIO(data), _extra_files=extra)
    assert json.loads(extra['restorebox.json']) == facts


def test_a_network_that_can_not_be_exported_is_an_error():
    for name, words in (
        ('DiffusionRestorer', 'sampler of many passes'),
        ('PhysicsDiffusion', 'sampler of many passes'),
        ('HeavyRainRestorer', 'airlight'),
    ):
        with pytest.raises(ExportError, match=f"^{name} can't be exported: .*{words}"):
            DeployedNetwork(small_restorer(name).eval())


def test_another_network_is_noticed():
    restorer = small_restorer('SupervisedRestorer').eval()
    data, _ = export_restorer(restorer, 'torchscript', file_facts(restorer, 'small'))
    facts = {'global_statistics': [], 'feature_means': {}}
    with pytest.raises(ExportError, match=r'differs from PyTorch by .* at 64x64.*nothing was written'):
        check_file(data, 'torchscript', lambda x: x * float('nan'), [(64, 64)], facts)


def test_missing_packages_are_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    restorer = small_restorer('SupervisedRestorer').eval()
    with pytest.raises(MissingPackageError, match=r"needs the package onnxruntime.*pip install 'restorebox\[export\]'"):
        export_restorer(restorer, 'onnx', file_facts(restorer, 'small'))
