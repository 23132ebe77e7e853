"""Rain, drops, spray, haze and noise as photographs show them."""

import numpy as np
import pytest

from restorebox.degradations import build_degradation
from restorebox.degradations.camera import CameraNoise, bayer, develop
from restorebox.degradations.depth import DepthSource, depth_by_edges
from restorebox.degradations.drops import Drops, Spray
from restorebox.degradations.fields import cloud, smooth_field
from restorebox.degradations.varied_rain import VariedRain, gathered_light

STEADY = dict(swing=(0, 0), spread=(0, 0), patchiness=(0, 0), mist=(0, 0), angle=(0, 0), gathered=(0, 0))


def opacity(size=(160, 240), seed=0, **given):
    rain = VariedRain(**{**STEADY, 'density': (0.02, 0.02), **given})
    return VariedRain.opacity(size, rain.sample(np.random.default_rng(seed), size))


def tilt(layer):
    """Direction of streaks in degrees from vertical, by the structure tensor."""
    down, right = np.gradient(layer)
    return np.degrees(0.5 * np.arctan2(2 * (down * right).mean(), (right**2).mean() - (down**2).mean()))


def test_rain_leans_by_place():
    straight, swung = opacity(), opacity(swing=(40, 40), seed=1)
    columns = range(0, 240, 40)
    assert np.ptp([tilt(straight[:, x : x + 40]) for x in columns]) < 6
    assert np.ptp([tilt(swung[:, x : x + 40]) for x in columns]) > 15


def test_rain_is_dense_by_place():
    def unevenness(layer):
        means = [layer[y : y + 40, x : x + 40].mean() for y in range(0, 160, 40) for x in range(0, 240, 40)]
        return np.std(means) / np.mean(means)

    dense = dict(density=(0.1, 0.1), length=(10, 10))
    assert unevenness(opacity(patchiness=(0.95, 0.95), **dense)) > 3 * unevenness(opacity(**dense))


def test_near_streaks_are_out_of_focus():
    sharp, soft = (opacity(density=(0.004, 0.004), defocus=(d, d), width=(1.5, 1.5)) for d in (0.0, 4.0))
    assert sharp.max() > soft.max() * 0.9
    slope_sharp, slope_soft = (np.abs(np.diff(layer, axis=1)).max() for layer in (sharp, soft))
    assert slope_soft <= slope_sharp


def test_a_higher_density_keeps_the_streaks_of_the_lower():
    rain = VariedRain()
    drawn = rain.sample(np.random.default_rng(3), (80, 90))
    few, many = (VariedRain.opacity((80, 90), {**drawn, 'density': d}) for d in (0.005, 0.02))
    assert (many >= few - 1e-6).all()


def test_drops_gather_the_light_around_them():
    scene = np.zeros((64, 64, 3), np.float32)
    scene[:, :32] = (1, 0.5, 0)
    light = gathered_light(scene, 0.3, 1.0)
    assert light[32, 5].tolist() == pytest.approx([1, 0.65, 0], abs=0.1)
    assert light[32, 60].max() < 0.2
    np.testing.assert_allclose(gathered_light(scene, 0.3, 0.0), 0.3, atol=1e-6)


def test_drops_are_shorter_than_streaks():
    drops = Drops(density=(0.004, 0.004), stretch=(1, 1), angle=(0, 0), opacity=(1, 1), softness=(0.2, 0.2))
    scene = np.zeros((120, 120, 3), np.float32)
    hidden = 1 - drops(scene, np.random.default_rng(0))['transmission'][..., 0]
    down, right = (np.abs(np.diff(hidden, axis=axis)).mean() for axis in (0, 1))
    assert hidden.max() > 0.5
    assert down == pytest.approx(right, rel=0.15)


def test_spray_lies_on_the_ground():
    spray = Spray(height=(0.4, 0.4), droplets=(0, 0))
    scene = np.full((100, 120, 3), 0.2, np.float32)
    hidden = 1 - spray(scene, np.random.default_rng(0))['transmission'][..., 0]
    assert hidden[:35].max() == 0
    assert hidden[-10:].mean() > 0.1


def test_camera_noise_is_nothing_without_noise():
    """What demosaicing and sharpening do to the picture itself is no damage."""
    rng = np.random.default_rng(0)
    picture = rng.random((40, 50, 3), dtype=np.float32)
    camera = CameraNoise(photons=(9, 9), reading=(0, 0), quality=(100, 100), sharpening=(0.8, 0.8))
    assert np.abs(camera(picture, rng)['lq'] - picture).max() < 2e-3


def test_camera_noise_is_coarse_coloured_and_follows_the_light():
    grey = np.repeat(np.linspace(0.05, 0.9, 256, dtype=np.float32)[None, :, None], 256, 0).repeat(3, 2)
    camera = CameraNoise(photons=(3, 3), reading=(2, 2), red=(2, 2), blue=(1.6, 1.6), quality=(100, 100))
    noise = camera(grey, np.random.default_rng(0))['lq'] - grey
    middle = noise[:, 100:160]
    red, green = middle[..., 0].std(), middle[..., 1].std()
    assert red > 1.2 * green  # white balance multiplies it
    neighbours = np.corrcoef(middle[:, :-1, 0].ravel(), middle[:, 1:, 0].ravel())[0, 1]
    assert neighbours > 0.3  # white noise would have none
    assert np.corrcoef(middle[..., 0].ravel(), middle[..., 1].ravel())[0, 1] < 0.9
    fewer = CameraNoise(photons=(2, 2), reading=(2, 2), red=(2, 2), blue=(1.6, 1.6), quality=(100, 100))
    assert (fewer(grey, np.random.default_rng(0))['lq'] - grey).std() > 2 * noise.std()


def test_demosaicing_keeps_what_it_can_measure():
    flat = np.full((20, 22, 3), (0.2, 0.4, 0.6), np.float32)
    masks, gains = bayer((20, 22)), np.float32([2, 1, 1.5])
    raw = ((flat**2.2) / gains * masks).sum(-1)
    plain = {'smoothing': 0, 'sharpening': 0}
    np.testing.assert_allclose(develop(raw, masks, gains, plain)[2:-2, 2:-2], flat[2:-2, 2:-2], atol=1e-4)
    assert masks.sum(-1).tolist() == np.ones((20, 22)).tolist()


def test_depth_has_the_edges_of_the_picture():
    """Two halves of unlike colour come to lie at two distances, with the step where the colours meet."""
    scene = np.zeros((120, 160, 3), np.float32)
    scene[:, 80:] = (0.9, 0.2, 0.1)
    at_the_edge, elsewhere = [], []
    for seed in range(12):
        depth = depth_by_edges(scene, {'horizon': 0.3, 'roughness': 0.05, 'seed': seed})
        assert depth.shape == (120, 160)
        assert 0 < depth.min() <= depth.max() <= 1
        steps = np.abs(np.diff(depth, axis=1))
        at_the_edge.append(steps[:, 79].mean())
        elsewhere.append(np.delete(steps, 79, 1).mean())
    assert np.mean(at_the_edge) > 5 * np.mean(elsewhere)


def test_a_bright_even_top_is_far():
    scene = np.full((120, 160, 3), 0.25, np.float32)
    scene[:40] = (0.75, 0.85, 0.95)
    scene[40:] += np.random.default_rng(0).normal(0, 0.05, (80, 160, 1)).astype(np.float32)
    depth = depth_by_edges(scene, {'horizon': 0.35, 'roughness': 0.05, 'seed': 4})
    assert depth[:25].mean() > 1.5 * depth[60:].mean()


def test_edges_is_a_source_of_depth_for_all_weather():
    haze = build_degradation({'type': 'Veil', 'depth': 'edges'})
    drawn = haze.sample(np.random.default_rng(0), (40, 50))
    assert drawn['depth']['source'] == 'edges'
    assert DepthSource('edges').horizon != DepthSource('field').horizon == (0.25, 0.5)


def test_fields_fill_their_range():
    rng = np.random.default_rng(0)
    for field in (smooth_field((50, 60), (3, 4), rng), cloud((50, 60), 0.3, rng), cloud((1, 1), 0.3, rng)):
        assert field.dtype == np.float32
        assert 0 <= field.min() <= field.max() <= 1
    assert np.ptp(cloud((50, 60), 0.3, rng)) == pytest.approx(1)
