"""Tiles against the whole picture."""

import itertools

import cv2
import numpy as np
import pytest
import torch

from restorebox.diffusion.windows import MIB
from restorebox.errors import ConfigError, PictureError
from restorebox.inference import RestoreInferencer, Tiler
from restorebox.inference.tiles import BLEND, axis_tiles, axis_weights, expected_time
from restorebox.registry import RESTORERS
from tests.factories import SMALL_RESTORERS, publish_small, restorer_names, small_restorer


def picture(height=500, width=700, kind=np.uint8):
    """Smooth, with fine noise on it."""
    rng = np.random.default_rng(3)
    base = cv2.resize(rng.random((9, 12, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    base = np.clip(base + rng.normal(0, 0.05, base.shape), 0, 1)
    return base.astype(np.float32) if kind == np.float32 else np.rint(base * np.iinfo(kind).max).astype(kind)


def drawn(name='SupervisedRestorer', **changes):
    torch.manual_seed(0)
    cfg = {'type': name.split(':')[0], **SMALL_RESTORERS.get(name, SMALL_RESTORERS['SupervisedRestorer']), **changes}
    return RESTORERS.build(cfg).eval()


def network(**backbone):
    return dict(backbone=backbone, head=dict(type='PictureHead'))


def tiler_for(restorer, side, **options):
    """One whose memory allows tiles of about ``side`` pixels."""
    pixel = Tiler(restorer).pixel_bytes
    return Tiler(restorer, pixel * side * side / MIB, **options)


@pytest.mark.parametrize(
    ('length', 'size', 'overlap', 'stride'),
    [(500, 200, 60, 8), (503, 200, 60, 8), (209, 208, 64, 16), (4000, 1664, 260, 8), (31, 32, 0, 4), (700, 100, 50, 1)],
)
def test_tiles_cover_an_axis_and_their_weights_sum_to_one(length, size, overlap, stride):
    tiles = axis_tiles(length, size, overlap, stride)
    margin = max(0, (overlap - 10) // 2)
    weights = axis_weights(tiles, margin, 10)
    total = torch.zeros(length)
    for i, ((first, end), weight) in enumerate(zip(tiles, weights, strict=True)):
        assert first % stride == 0
        assert end - first < size + stride
        if i:
            assert tiles[i - 1][1] - first >= overlap
            assert (weight[:margin] == 0).all()
        total[first:end] += weight
    assert tiles[0][0] == 0
    assert tiles[-1][1] == length
    torch.testing.assert_close(total, torch.ones(length))


@pytest.mark.parametrize(
    'generator',
    [
        network(type='UNet', levels=3, base_width=4, max_width=8, norm=None),
        network(type='DnCNN', layers=6, width=4),
    ],
    ids=['UNet', 'DnCNN'],
)
@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_without_statistics_tiles_equal_the_whole(generator, kind):
    restorer = drawn(generator=generator)
    whole, tiles = Tiler(restorer, 1e6), tiler_for(restorer, 240)
    lq = picture(kind=kind)
    assert whole.fits(500, 700)
    assert not tiles.fits(500, 700)
    assert len(tiles.plan(500, 700)[0]) > 1
    a, b = whole(lq), tiles(lq)
    assert a.dtype == b.dtype == kind
    assert a.shape == lq.shape
    assert np.abs(a.astype(float) - b).max() <= np.iinfo(kind).max / 255


@pytest.mark.parametrize('window', [64, 128])
def test_with_statistics_over_a_window_tiles_are_near_the_whole(window):
    restorer = drawn(statistics_window=window)
    a, b = (t(picture()).astype(float) for t in (Tiler(restorer, 1e6), tiler_for(restorer, 300)))
    assert np.abs(a - picture()).mean() > 5, 'the network should do something'
    assert np.abs(a - b).mean() <= 0.5


def test_what_the_picture_agrees_on_is_estimated_once(monkeypatch):
    restorer = drawn('HeavyRainPhysics')
    tiles = tiler_for(restorer, 240)
    seen, given = [], []
    estimate, run = restorer.estimate_shared, restorer.restore

    def estimated(lq):
        seen.append(lq.shape)
        return estimate(lq)

    def restored(lq, shared=None, **rest):
        given.append(shared['airlight'])
        return run(lq, shared=shared, **rest)

    tiles.pixel_bytes  # noqa: B018 (measured before the count begins)
    monkeypatch.setattr(restorer, 'estimate_shared', estimated)
    monkeypatch.setattr(restorer, 'restore', restored)
    tiles(picture(200, 300))
    assert len(seen) == 1
    assert len(given) > 1
    assert all(torch.equal(each, given[0]) for each in given)


def test_a_sampler_is_never_cut():
    tiles = Tiler(small_restorer('DiffusionRestorer: x0 in windows').eval(), 0.001)
    assert tiles.fits(4000, 6000)
    lq = picture(40, 33)
    assert tiles(lq).shape == lq.shape
    assert np.array_equal(tiles(lq), tiles(lq)), 'what it draws does not depend on what was drawn before'


@pytest.mark.parametrize('size', [(1, 1), (1, 300), (257, 3), (200, 201)])
def test_any_size(size):
    tiles = Tiler(drawn(statistics_window=32), 0.01)
    lq = picture(*size, kind=np.float32)
    out = tiles(lq)
    assert out.shape == lq.shape
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1


def test_the_ensemble_does_not_care_how_the_picture_lies():
    restorer = drawn()
    one, eight = Tiler(restorer), Tiler(restorer, ensemble=True)
    lq = picture(64, 48, np.float32)
    turned = np.ascontiguousarray(np.rot90(lq))
    assert not np.allclose(np.rot90(one(lq)), one(turned), atol=1e-3)
    np.testing.assert_allclose(np.rot90(eight(lq)), eight(turned), atol=1e-5)


def test_more_memory_means_larger_tiles():
    restorer = drawn()
    counts = [
        len(rows) * len(columns) for rows, columns, _ in (tiler_for(restorer, s).plan(2000, 3000) for s in (400, 900))
    ]
    assert counts[0] > counts[1] > 1
    rows, columns, margin = tiler_for(restorer, 400).plan(2000, 3000)
    assert margin == restorer.needs.receptive_field // 2
    assert all(a[1] - b[0] >= 2 * margin + BLEND for axis in (rows, columns) for a, b in itertools.pairwise(axis))


def test_progress_counts_tiles():
    seen = []
    tiler_for(drawn(), 240)(picture(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, len(seen)) for i in range(len(seen))]
    assert len(seen) > 1


def test_no_memory_is_refused():
    with pytest.raises(ConfigError, match='memory is 0'):
        Tiler(drawn(), 0)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
@pytest.mark.parametrize('name', restorer_names())
def test_a_number_that_is_not_finite_in_any_network_is_never_a_picture(name, value):
    restorer = small_restorer(name).eval()
    tiler = Tiler(restorer, memory=10_000)
    for role in restorer.deployed:
        hook = restorer.role(role).register_forward_hook(lambda _, __, out: {key: y + value for key, y in out.items()})
        with pytest.raises(PictureError, match='NaN'):
            tiler(picture(33, 35))
        hook.remove()
    tiler(picture(33, 35))


def test_one_bad_number_in_one_tile_is_seen():
    restorer = drawn()
    tiler = tiler_for(restorer, 200)
    calls = itertools.count()

    def spoil(_, __, out):
        if next(calls) == 1:
            out['picture'][0, 1, 60, 70] = float('inf')
        return out

    restorer.generator.register_forward_hook(spoil)
    with pytest.raises(PictureError, match='NaN'):
        tiler(picture())
    assert next(calls) == 2


def test_a_tiler_cuts_smaller_where_there_is_less_than_was_said(tmp_path):
    tiler = RestoreInferencer(publish_small(tmp_path), device='cpu', memory=10_000).tiler
    picture = np.random.default_rng(0).integers(0, 256, (500, 700, 3), dtype=np.uint8)
    whole, once, sizes = tiler(picture), tiler._once, []

    def short(x, *rest):
        sizes.append(x.shape[-2] * x.shape[-1])
        if sizes[-1] > 300 * 300:
            raise torch.OutOfMemoryError('CUDA out of memory')
        return once(x, *rest)

    tiler._once = short
    parts = tiler(picture)
    assert sizes[0] == 500 * 700
    assert sizes[-1] <= 300 * 300
    assert np.abs(parts.astype(int) - whole).mean() < 1
    assert tiler.memory == 10_000

    def never(x, *rest):
        raise torch.OutOfMemoryError('CUDA out of memory')

    tiler._once = never
    with pytest.raises(torch.OutOfMemoryError):
        tiler(picture)


def test_a_long_picture_says_its_expected_time(monkeypatch):
    assert expected_time(5.0, [100] * 10, 1000) is None, 'below a minute'
    assert expected_time(10.0, [100] * 10, 1000) == 'about 2 more minutes: 10 tiles, the first took 10.0 s'
    note = expected_time(10.0, [100, 200, 100], 200)
    assert note is None
    note = expected_time(60.0, [100, 200, 100], 200)
    assert note == (
        'about 3 more minutes: 3 tiles, the first took 60.0 s; their margins make it 2.0 times the work, less with '
        'more --memory'
    )
