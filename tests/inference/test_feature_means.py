"""Means of features over a whole picture, from a first pass over its tiles."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from restorebox.errors import ConfigError, PictureError
from restorebox.inference import tiles
from restorebox.inference.feature_means import feature_means, own_spans, reads_feature_means
from restorebox.inference.tiles import Tiler, axis_tiles
from restorebox.pixels import to_tensor
from restorebox.registry import RESTORERS
from restorebox.restorers import Network

HEAD = dict(type='SubPixelHead', residual=True, activation=False)


@pytest.fixture
def restorer():
    """Gates that depend on the features only, between 0 and 1, and a change that is not zero."""
    torch.manual_seed(0)
    inner = dict(type='FDRUNet', widths=(4, 6), blocks=(1, 1))
    backbone = dict(type='SceneGated', inner=inner, scene=8, tap='process')
    generator = dict(backbone=backbone, head=dict(type='GatedHead', inner=HEAD))
    made = RESTORERS.build(
        dict(type='SupervisedRestorer', generator=generator, losses=dict(l1=dict(type='L1Loss')))
    ).eval()
    with torch.no_grad():
        made.generator.head.inner.conv.weight.normal_(std=0.1)
        made.generator.backbone.gates.weight.normal_()
        made.generator.backbone.gates.bias.zero_()
    return made


@pytest.fixture
def picture():
    """Noise that becomes stronger from left to right, so that the means of the tiles differ."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(331, 417, 3)) * np.linspace(0, 90, 417)[None, :, None]
    return (noise + 120).clip(0, 255).astype(np.uint8)


def tiled(restorer, side=200, **options):
    return Tiler(restorer, memory=Tiler(restorer).pixel_bytes * side * side / 2**20, **options)


@pytest.mark.parametrize(('length', 'size'), [(100, 112), (331, 208), (4001, 512)])
def test_own_spans_cover_an_axis_once(length, size):
    tiles = axis_tiles(length, size, 64, 16)
    spans = own_spans(tiles, 16)
    covered = [(start + first, start + last) for (start, _), (first, last) in zip(tiles, spans, strict=True)]
    assert covered[0][0] == 0
    assert covered[-1][1] == length
    assert all(end == start for (_, end), (start, _) in pairwise(covered))
    assert all(first % 16 == 0 for first, _ in covered)
    assert all(0 <= first < last <= end - start for (first, last), (start, end) in zip(spans, tiles, strict=True))


@torch.no_grad()
def test_means_of_tiles_are_those_of_the_whole(restorer, picture):
    tiler = tiled(restorer)
    rows, columns, _ = tiler.plan(331, 417)
    assert len(rows) > 1
    assert len(columns) > 1
    whole = to_tensor(picture)
    shared = restorer.estimate_shared(whole)
    calls = []
    read = lambda top, bottom, left, right: to_tensor(picture[top:bottom, left:right])  # noqa: E731
    made = feature_means(restorer, read, rows, columns, shared, tiler.autocast, lambda: calls.append(1))
    one = feature_means(restorer, lambda *_: whole, [(0, 331)], [(0, 417)], shared, tiler.autocast)
    assert len(calls) == len(rows) * len(columns)
    assert made.keys() == one.keys() == {'means'}
    assert made['means'].shape == (1, 2 * restorer.generator.backbone.inner.tap_channels['process'], 1, 1)
    torch.testing.assert_close(made['means'], one['means'], rtol=1e-4, atol=1e-5)
    # the whole picture as its only tile gives what the network computes itself
    own = restorer.restore(whole, shared=shared)['pred']
    torch.testing.assert_close(restorer.restore(whole, shared={**shared, **one})['pred'], own)
    left = feature_means(restorer, read, rows, columns[:1], shared, tiler.autocast)
    assert not torch.allclose(left['means'], one['means'], rtol=0.01), 'the tiles do not differ'


@pytest.mark.parametrize('options', [{}, {'ensemble': True}, {'bf16': True}], ids=['plain', 'ensemble', 'bf16'])
def test_tiles_agree_with_the_whole_where_their_means_differ(restorer, picture, options, monkeypatch):
    if 'ensemble' in options:  # multiples of the stride: turned tiles have the alignment of the turned whole
        picture = picture[:320, :416]
    whole, tiler = Tiler(restorer, **options)(picture).astype(int), tiled(restorer, **options)
    assert not tiler.fits(*picture.shape[:2])
    seen = []
    together = np.abs(tiler(picture, progress=lambda done, total: seen.append((done, total))) - whole).mean()
    assert np.abs(whole - picture).mean() > 1, 'nothing would be compared'
    assert together < 0.1
    assert seen == [(i + 1, len(seen)) for i in range(len(seen))]
    monkeypatch.setattr(tiler, '_reads_means', False)
    assert np.abs(tiler(picture) - whole).mean() > 2 * together, 'the tiles agree without it, too'


def test_a_window_of_statistics_needs_no_first_pass(restorer):
    assert reads_feature_means(restorer)
    restorer.statistics_window = 64
    assert not reads_feature_means(restorer)


@torch.no_grad()
def test_one_mean_for_several_tiles(restorer):
    x = torch.rand(3, 3, 48, 48)
    scene = restorer.estimate_shared(x[:1])['scene']
    means = torch.rand(1, restorer.generator.backbone.tap_channels['means'], 1, 1)
    together = restorer.restore(x, shared={'scene': scene.expand(3, -1, -1, -1), 'means': means})['pred']
    one = restorer.restore(x[:1], shared={'scene': scene, 'means': means})['pred']
    torch.testing.assert_close(together[:1], one)


@pytest.mark.parametrize('options', [{}, {'ensemble': True}])
def test_nan_in_the_first_pass_is_an_error(restorer, picture, options):
    with torch.no_grad():
        next(restorer.generator.backbone.inner.process.parameters()).fill_(float('nan'))
    with pytest.raises(PictureError, match='the network gave NaN'):
        tiled(restorer, **options)(picture)


def test_the_expected_time_is_said_after_the_first_tile_of_the_first_pass(restorer, picture, monkeypatch):
    said, seen = [], []
    monkeypatch.setattr(tiles, 'LONG', 0.0)
    monkeypatch.setattr(tiles, 'print_log', lambda text, *_: said.append((len(seen), text)))
    tiled(restorer)(picture, progress=lambda done, total: seen.append((done, total)))
    ((when, text),) = said
    assert when == 0
    assert f'{seen[-1][1] // 2} tiles in 2 passes' in text


@pytest.mark.parametrize(
    ('tap', 'given', 'words'), [('nope', ('nope',), "no tap 'nope'"), ('process', (), 'which is no input')]
)
def test_needs_that_do_not_fit_the_backbone_are_an_error(restorer, tap, given, words):
    backbone = restorer.generator.backbone.inner
    backbone.needs = replace(backbone.needs, feature_means=(tap,))
    backbone.given = given
    with pytest.raises(ConfigError, match=words):
        Network(backbone, HEAD)
