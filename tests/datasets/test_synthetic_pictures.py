"""Synthetic pictures, night and shrinking."""

import numpy as np
import pytest

from restorebox.datasets.synthetic_pictures import (
    DrawnPictures,
    Illuminant,
    Night,
    ShrinkPictures,
    SmallWindow,
    make_flat,
    make_page,
)
from restorebox.errors import ConfigError, DataError

NOTHING = dict(type='OneOf', recipes=[None])


def sample(seed=0, size=(64, 80)):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    known = dict(index=0, paths={}, bad=())
    return {'gt': picture, 'lq': picture.astype(np.float32) / 255, 'rng': rng, 'name': 'x', **known}


@pytest.mark.parametrize('draw', [make_page, make_flat])
def test_synthetic_pictures_are_valid_and_reproducible(draw):
    for seed in range(12):
        first, second = (draw((48, 64), np.random.default_rng(seed)) for _ in range(2))
        assert first.shape == (48, 64, 3)
        assert first.dtype == np.float32
        assert 0 <= first.min() <= first.max() <= 1
        np.testing.assert_array_equal(first, second)
    assert draw((1, 1), np.random.default_rng(0)).shape == (1, 1, 3)


def test_pages_have_flat_paper_and_ink():
    pages = [make_page((128, 128), np.random.default_rng(seed)) for seed in range(20)]
    most = [np.unique((p.reshape(-1, 3) * 255).round(), axis=0, return_counts=True)[1].max() / 128**2 for p in pages]
    assert np.mean(most) > 0.4
    assert sum(np.ptp(page) > 0.5 for page in pages) > 15


def test_drawn_pictures_replace_both_sides():
    out = DrawnPictures(p=1.0, recipe=NOTHING).transform(sample())
    assert out['gt'].dtype == np.uint8
    np.testing.assert_array_equal(np.rint(out['lq'] * 255), out['gt'])
    kept = sample()
    assert DrawnPictures(p=0.0, recipe=NOTHING).transform(kept)['gt'] is kept['gt']
    noisy = DrawnPictures(p=1.0, recipe='noise').transform(sample())
    assert np.abs(noisy['lq'] * 255 - noisy['gt']).mean() > 1


def test_night_is_dark_with_light_places():
    results = sample()
    results['gt'] = np.full((64, 80, 3), 110, np.uint8)
    results['gt'][20:30, 20:30] = 255
    night = Night(1.0).transform(results)['gt']
    assert night.dtype == np.uint8
    assert night[50:].mean() < 100
    assert night[24, 24].max() > 200
    assert Night(0.0).transform(sample())['gt'].tolist() == sample()['gt'].tolist()


def test_the_illuminant_colours_both_pictures():
    made = [Illuminant(1.0).transform(sample(seed)) for seed in range(40)]
    lights = np.stack([each['lq'].mean((0, 1)) for each in made]) / sample()['lq'].mean()
    warm = lights[:, 0] > lights[:, 2]
    assert 20 < warm.sum() < 38
    assert lights[:, 2].min() < 0.35
    assert lights[warm, 0].min() > 0.95
    assert lights[~warm, 2].min() > 0.95
    for each in made:
        assert each['gt'].dtype == np.uint8
        assert each['lq'].dtype == np.float32
        np.testing.assert_allclose(each['lq'] * 255, each['gt'], atol=0.51)
    with pytest.raises(DataError, match=r"Illuminant: sample .* has no role 'gtt'"):
        Illuminant(0.0, roles=('lq', 'gtt')).transform(sample())
    with pytest.raises(DataError, match=r"Illuminant: 'lq' of .* has the shape \(8, 8, 1\), not HxWx3"):
        Illuminant(0.0).transform({**sample(), 'lq': np.zeros((8, 8, 1), np.float32)})
    kept = sample()
    assert Illuminant(0.0).transform(kept)['gt'] is kept['gt']


def test_shrinking_keeps_the_least_side_and_proportion():
    sizes = {ShrinkPictures(least=32).transform(sample(seed, (100, 150)))['gt'].shape for seed in range(20)}
    assert len(sizes) > 5
    for height, width, _ in sizes:
        assert height >= 32
        assert width / height == pytest.approx(1.5, abs=0.06)
    assert ShrinkPictures(least=64).transform(sample())['gt'].shape == (64, 80, 3)
    assert ShrinkPictures(least=8, p=0.0).transform(sample())['gt'].shape == (64, 80, 3)


def test_small_windows_are_cut_at_the_same_place_in_all_roles():
    small = SmallWindow(p=0.5, least=2, roles=('gt', 'lq'))
    made = [small.transform(sample(seed)) for seed in range(200)]
    whole = [each for each in made if each['gt'].shape == (64, 80, 3)]
    assert 70 < len(whole) < 130
    assert min(min(each['gt'].shape[:2]) for each in made) == 2
    for each in made:
        np.testing.assert_array_equal(each['lq'], each['gt'].astype(np.float32) / 255)
    assert SmallWindow(p=1.0, least=100).transform(sample())['gt'].shape == (64, 80, 3)


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: SmallWindow(p=2), 'SmallWindow: p is 2'),
        (lambda: SmallWindow(p=0.1, least=0), 'SmallWindow: least is 0'),
        (lambda: DrawnPictures(p=2, recipe=NOTHING), 'DrawnPictures: p is 2; it must be from 0 to 1'),
        (lambda: DrawnPictures(p=0.5, recipe=NOTHING, pages=-1), 'DrawnPictures: pages is -1'),
        (lambda: Night(p='often'), "Night: p is 'often'"),
        (lambda: Illuminant(p=-1), 'Illuminant: p is -1'),
        (lambda: ShrinkPictures(least=0), 'ShrinkPictures: least is 0'),
        (lambda: ShrinkPictures(least=8, p=3), 'ShrinkPictures: p is 3'),
    ],
)
def test_wrong_numbers_are_named(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
