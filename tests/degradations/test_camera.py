"""Noise, blur, JPEG and their mixtures."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from restorebox.datasets.reading import read_picture
from restorebox.degradations.blur import GaussianBlur, MotionBlur
from restorebox.degradations.compose import Compose
from restorebox.degradations.hybrid import BANDS, NODES, HybridDistortion, triples_of
from restorebox.degradations.jpeg import JPEG
from restorebox.degradations.noise import GaussianNoise, GreyNoise, PoissonNoise
from restorebox.degradations.veil import Veil
from restorebox.degradations.weather import compose, equation_layers, invert
from restorebox.errors import ConfigError
from restorebox.pixels import to_float

GREY = np.full((128, 128, 3), 0.5, np.float32)
NOISE = np.random.default_rng(0).random((128, 128, 3), dtype=np.float32)


def psnr(a, b):
    return -10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2))


def test_gaussian_noise_has_its_size_in_every_channel():
    residue = GaussianNoise().apply(GREY, {'sigma': 20.0, 'seed': 1})['lq'] - GREY
    np.testing.assert_allclose(residue.std(axis=(0, 1)) * 255, 20, rtol=0.03)
    assert abs(np.corrcoef(residue.reshape(-1, 3).T)[0, 1]) < 0.03


def test_grey_noise_is_grey():
    residue = GreyNoise().apply(GREY, {'sigma': 20.0, 'seed': 1})['lq'] - GREY
    assert np.ptp(residue, axis=2).max() == 0
    assert residue.std() * 255 == pytest.approx(20, rel=0.03)


@pytest.mark.parametrize('level', [0.1, 0.4, 0.8])
def test_poisson_noise_grows_with_the_light(level):
    noisy = PoissonNoise().apply(np.full_like(GREY, level), {'photons': 400.0, 'seed': 1})['lq']
    assert noisy.mean() == pytest.approx(level, rel=0.01)
    assert noisy.var() == pytest.approx(level / 400, rel=0.05)


def test_blur_keeps_the_mean_and_has_its_width():
    point = np.zeros((61, 61, 3), np.float32)
    point[30, 30] = 1
    spread = GaussianBlur().apply(point, {'sigma': 2.0, 'window': 21})['lq'][..., 0]
    assert spread.sum() == pytest.approx(1, abs=1e-4)
    assert (spread.sum(axis=0) * (np.arange(61) - 30) ** 2).sum() == pytest.approx(4, rel=0.02)
    moved = MotionBlur().apply(point, {'length': 21.0, 'angle': 90.0})['lq'][..., 0]
    assert moved.sum() == pytest.approx(1, abs=1e-4)
    assert (moved.sum(axis=0) > 1e-3).sum() == 21
    assert moved.sum(axis=1)[30] == pytest.approx(1, abs=1e-4)


def test_nothing_to_blur():
    np.testing.assert_array_equal(GaussianBlur().apply(NOISE, {'sigma': 0.0, 'window': 21})['lq'], NOISE)
    np.testing.assert_allclose(MotionBlur().apply(NOISE, {'length': 1.0, 'angle': 30.0})['lq'], NOISE, atol=1e-6)


def test_jpeg_halves_the_chroma_and_stays_in_bytes():
    out = JPEG().apply(NOISE, {'quality': 100})['lq']
    np.testing.assert_allclose(out * 255, np.rint(out * 255), atol=1e-4)
    luma, *chroma = cv2.split(cv2.cvtColor(np.uint8(np.rint(out * 255)), cv2.COLOR_RGB2YCrCb).astype(np.float32))
    detail = [np.diff(plane, axis=1)[:, ::2].std() / plane.std() for plane in (luma, *chroma)]
    assert max(detail[1:]) < 0.7 * detail[0]  # neighbours share their chroma


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: JPEG(quality=(0, 50)), 'JPEG: quality is a pair'),
        (lambda: JPEG(quality=(10.5, 50)), 'JPEG: quality is a pair of whole numbers'),
        (lambda: GaussianBlur(window=20), 'GaussianBlur: window is an odd number'),
        (lambda: HybridDistortion('sever'), "did you mean 'severe'"),
        (lambda: HybridDistortion(blur_max=0), 'blur_max is a number of pixels above 0'),
        (lambda: Compose([]), 'Compose: recipes are a list'),
        (lambda: Compose('haze'), 'Compose: recipes are a list'),
        (lambda: Compose(['hase']), "did you mean 'haze'"),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


# ---- mild, moderate, severe


@pytest.mark.parametrize('severity', BANDS)
def test_every_triple_lies_in_its_band(severity):
    low, high = BANDS[severity]
    seen = set()
    for seed in range(400):
        drawn = HybridDistortion(severity).sample(np.random.default_rng(seed), (8, 8, 3))
        blur, noise, jpeg = drawn['levels']
        seen.add((blur, noise, jpeg))
        assert low <= blur + noise + jpeg - 2 <= high
        assert 0.5 * (blur - 1) <= drawn['blur']['sigma'] <= 0.5 * blur
        assert 5 * (noise - 1) <= drawn['noise']['sigma'] <= 5 * noise
        assert NODES[jpeg] <= drawn['jpeg']['quality'] <= NODES[jpeg - 1]
    assert len(seen) > 100
    assert seen <= set(triples_of(severity))


def test_severities_are_disjoint_and_ordered():
    mild, moderate, severe = (set(triples_of(severity)) for severity in BANDS)
    assert not mild & moderate
    assert not moderate & severe
    assert not mild & severe
    photographs = pytest.importorskip('skimage.data')
    windows = [photographs.astronaut()[64:192, 160:288], photographs.coffee()[150:278, 200:328], NOISE[:64, :64]]
    scores = [
        np.mean(
            [
                psnr(HybridDistortion(severity)(window, np.random.default_rng(seed))['lq'], to_float(window))
                for window in windows
                for seed in range(25)
            ]
        )
        for severity in BANDS
    ]
    assert scores[0] > scores[1] + 0.5
    assert scores[1] > scores[2] + 0.5


def test_blur_max_scales_the_blur():
    drawn = [HybridDistortion(blur_max=10).sample(np.random.default_rng(seed), ()) for seed in range(60)]
    assert max(d['blur']['sigma'] for d in drawn) > 6


def test_an_independent_rendering_of_the_moderate_recipe(shared):
    """The same numbers give the same score to a tenth of a decibel; only the noise was drawn otherwise."""
    root = shared / 'data' / 'render_hybrid_moderate'
    with (root / 'parameters.csv').open() as file:
        rows = list(csv.DictReader(file))
    differences = []
    for row in rows:
        gt, lq = (to_float(read_picture(root / side / f'{row["name"]}.png')) for side in ('gt', 'lq'))
        ours = HybridDistortion().apply(
            gt,
            {
                'blur': {'sigma': float(row['blur_sigma']), 'window': 21},
                'noise': {'sigma': float(row['noise_sigma_255']), 'seed': 0},
                'jpeg': {'quality': int(row['jpeg_quality'])},
            },
        )['lq']
        differences.append(psnr(ours, gt) - psnr(lq, gt))
    assert abs(np.mean(differences)) < 0.1
    assert np.abs(differences).max() < 0.5


# ---- one after the other


def test_weather_through_weather_is_weather():
    """The merged layers obey the law where nothing was clipped in between."""
    picture = 0.2 + 0.3 * NOISE
    for recipes in (
        ['light_rain', 'haze'],
        ['haze', 'light_rain'],
        ['haze', {'type': 'Veil', 'tint': (0.1, 0.1)}],
        ['haze', 'snow'],
        ['light_rain', 'rain100l'],
        ['rain_fog', 'snow', 'haze'],
        [{'type': 'Compose', 'recipes': ['light_rain', 'haze']}, 'snow'],
    ):
        out = Compose(recipes)(picture, np.random.default_rng(1))
        seen = compose(picture, **equation_layers(out))
        inside = (seen > 0) & (seen < 0.95) & (out['lq'] < 1)
        assert inside.mean() > 0.8
        assert np.abs(seen - out['lq'])[inside].max() < 2e-5, recipes
        near = inside & (out.get('transmission', np.float32(1)) > 0.05)
        np.testing.assert_allclose(invert(out['lq'], **equation_layers(out))[near], picture[near], atol=1e-4)


def test_one_depth_for_the_whole_scene():
    parts = Compose(['haze', 'rain_fog', 'veil'])
    out = parts(GREY, np.random.default_rng(0))
    first = Veil().apply(GREY, out['parameters']['parts'][0])
    np.testing.assert_array_equal(out['depth'], first['depth'])
    exponent = sum(
        part['beta'] * part.get('far', 1) for part in out['parameters']['parts']
    )  # of fog in metres, of the others in relative depth
    np.testing.assert_allclose(out['transmission'], np.exp(-exponent * out['depth']), rtol=1e-3)
    measured = np.full((128, 128), 0.5, np.float32)
    np.testing.assert_array_equal(parts.apply(GREY, out['parameters'], measured)['depth'][..., 0], measured)


def test_composing_is_applying_in_order():
    parts = Compose(['blur', 'noise', 'jpeg'])
    out = parts(NOISE, np.random.default_rng(0))
    seen = NOISE
    for part, own in zip((GaussianBlur(), GaussianNoise(), JPEG()), out['parameters']['parts'], strict=True):
        seen = part.apply(seen, own)['lq']
    np.testing.assert_array_equal(out['lq'], seen)
    assert out.keys() == {'lq', 'parameters'}


def test_did_hy_is_rain_then_the_moderate_mixture():
    out = Compose(['did_rain', 'moderate'])(NOISE, np.random.default_rng(0))
    rain, mixture = out['parameters']['parts']
    assert sum(mixture['levels']) - 2 in range(12, 18)
    assert rain['rain']['length'] in range(5, 33)
    assert {'streak', 'transmission'} <= out.keys()
