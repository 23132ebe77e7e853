"""Rain, veil and snow satisfy their equations and have the correct orientation."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from restorebox.degradations import DepthSource
from restorebox.degradations import depth as depth_module
from restorebox.degradations.heavy_rain import HeavyRain, draw_noise_streaks, noise_streaks
from restorebox.degradations.lines import line_frame, motion_kernel
from restorebox.degradations.rain_fog import RainFog
from restorebox.degradations.snow import Snow
from restorebox.degradations.template_rain import TemplateRain
from restorebox.degradations.veil import Veil
from restorebox.degradations.weather import compose, equation_layers
from restorebox.errors import ConfigError, WeightsError
from restorebox.pixels import to_float

GREY = np.full((160, 200, 3), 0.3, np.float32)


def direction(streaks):
    """Main direction of a layer's contrast, in degrees from vertical, positive leaning to the right at the top."""
    # softened, so that differences of pixels are derivatives even of thin lines
    dy, dx = np.gradient(cv2.GaussianBlur(np.ascontiguousarray(streaks), (0, 0), 2))
    return 0.5 * np.degrees(np.arctan2(2 * (dx * dy).mean(), (dx**2).mean() - (dy**2).mean()))


# ---- heavy rain


@pytest.mark.parametrize('seed', range(5))
def test_heavy_rain_is_its_layers_to_8_bits(seed):
    picture = np.random.default_rng(seed).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    rain = HeavyRain()
    out = rain(picture, np.random.default_rng(seed))
    scene = rain.scene(to_float(picture), out['parameters'])
    written = np.rint(out['lq'] * 255)
    assert np.abs(written - 255 * compose(scene, **equation_layers(out))).max() <= 0.5 + 1e-3
    assert out['streak'].min() >= 0
    assert np.all(scene + out['streak'] <= 1 + 1e-6)
    assert out['transmission'].min() >= np.exp(-4.6)
    assert out['transmission'].max() < 1
    np.testing.assert_allclose(
        out['transmission'], np.exp(-out['parameters']['beta'] * out['depth']), rtol=1e-5
    )  # T = exp(-beta d)


def test_heavy_rain_draws_the_numbers_of_its_authors():
    records = [draw_noise_streaks(np.random.default_rng(seed)) for seed in range(300)]
    for key, low, high in (('mean', -1.0, -0.8), ('variance', 0.7, 1.0), ('scale', 1.01, 1.21), ('length', 21, 60)):
        values = [record[key] for record in records]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high
    assert {record['angle'] for record in records} == {-10.0, -5.0, 0.0, 5.0, 10.0}
    gains = [record['gain'] - 0.2 - 0.04 * record['length'] for record in records]
    assert 0 <= min(gains) < max(gains) <= 0.05 + 1e-9
    softness = [HeavyRain().sample(np.random.default_rng(seed), (8, 8, 3))['softness'] for seed in range(200)]
    assert 0 <= min(softness) < max(softness) == 1


def test_noise_streaks_reach_the_borders_and_scale_with_the_gain():
    record = draw_noise_streaks(np.random.default_rng(0))
    layers = np.mean([noise_streaks((120, 90), {**record, 'seed': seed}) for seed in range(40)], axis=0)
    assert layers[:5].mean() == pytest.approx(layers[50:70].mean(), rel=0.15)
    double = noise_streaks((50, 40), {**record, 'gain': 2 * record['gain']})
    np.testing.assert_allclose(double, 2 * noise_streaks((50, 40), record), rtol=1e-5)


# ---- up and down, left and right


@pytest.mark.parametrize('angle', [-25, 10, 30])
def test_rain_has_its_angle_and_not_the_mirrored_one(angle):
    """Turned upside down the layer leans the other way: a vertical flip would show."""
    template = TemplateRain().sample(np.random.default_rng(0), GREY.shape)
    template |= {'angles': [angle], 'spread': 1.0, 'width': 2.0, 'length': 30.0, 'density': 0.003}
    noise = {**draw_noise_streaks(np.random.default_rng(0)), 'angle': angle, 'scale': 1.2}
    for streaks in (TemplateRain.streak((160, 200), template), noise_streaks((160, 200), noise)):
        assert direction(streaks) == pytest.approx(angle, abs=5)
        assert direction(streaks[::-1]) == pytest.approx(-angle, abs=5)


@pytest.mark.parametrize('weather', [HeavyRain(), Veil(), RainFog()], ids=lambda w: type(w).__name__)
def test_the_ground_is_nearer_than_the_sky(weather):
    for seed in range(15):
        out = weather(GREY, np.random.default_rng(seed))
        assert out['depth'][-20:].mean() < out['depth'][:20].mean() / 2
        assert out['transmission'][-20:].mean() > out['transmission'][:20].mean()
        assert out['depth'].max() == pytest.approx(1)


# ---- depth


def test_depth_is_the_same_scene_in_any_size():
    record = DepthSource().sample(np.random.default_rng(4))
    large, small = (
        DepthSource.render(np.zeros((*size, 3), np.float32), record)[..., 0] for size in ((240, 320), (60, 80))
    )
    blocks = large.reshape(60, 4, 80, 4).mean(axis=(1, 3))
    assert np.abs(blocks - small).max() < 0.06


@pytest.mark.parametrize('weather', [HeavyRain(), Veil(), RainFog()], ids=lambda w: type(w).__name__)
def test_a_measured_depth_is_taken(weather):
    measured = np.linspace(0.1, 1, 200, dtype=np.float32)[None].repeat(160, axis=0)
    parameters = weather.sample(np.random.default_rng(0), GREY.shape)
    out = weather.apply(GREY, parameters, measured)
    assert np.abs(out['depth'][..., 0] - measured).max() < 0.02
    with pytest.raises(ConfigError, match='the depth is 160x199, the picture 160x200'):
        weather.apply(GREY, parameters, measured[:, 1:])
    with pytest.raises(ConfigError, match='depth is relative'):
        weather.apply(GREY, parameters, measured * 50)


def test_a_depth_network_from_a_folder(tmp_path, monkeypatch):
    """With a stand-in for the package: what is asked of it, and what becomes of its disparity."""
    folder = tmp_path / 'network'
    with pytest.raises(WeightsError, match='no folder with a depth network'):
        Veil(depth=str(folder))(GREY, np.random.default_rng(0))
    folder.mkdir()
    (folder / 'model.safetensors').touch()
    monkeypatch.setitem(sys.modules, 'transformers', None)  # as if it were not installed
    with pytest.raises(ConfigError, match='needs the package transformers'):
        Veil(depth=str(folder))(GREY, np.random.default_rng(0))
    asked = []

    class Loader:
        def __init__(self, made):
            self.made = made

        def from_pretrained(self, *arguments, **named):
            asked.append((arguments, named))
            return self.made

    def network(pixels):  # nearer towards the bottom
        return SimpleNamespace(predicted_depth=torch.linspace(0, 7, 12)[None, :, None].expand(1, 12, 16))

    network.config = SimpleNamespace()
    network.eval = lambda: network
    stand_in = SimpleNamespace(
        AutoImageProcessor=Loader(lambda images, return_tensors: {'pixels': images}),
        AutoModelForDepthEstimation=Loader(network),
    )
    monkeypatch.setitem(sys.modules, 'transformers', stand_in)
    try:
        out = Veil(depth=str(folder))(GREY, np.random.default_rng(0))
    finally:
        depth_module._load_network.cache_clear()
    assert out['parameters']['depth'] == {'source': str(folder)}
    assert all(named['local_files_only'] for _, named in asked)
    assert asked[1][1]['use_safetensors']
    assert np.all(np.diff(out['depth'][:, 0, 0]) <= 0)
    assert out['depth'][-1, 0, 0] == pytest.approx(0.1 / 1.1, rel=1e-3)


# ---- rain and fog, snow, templates


def test_rain_and_fog_is_the_equation_of_raincityscapes():
    """I = J (1 - R - F) + R + F A, with R from an independent rendering of the pattern."""
    picture = np.random.default_rng(0).random((80, 100, 3), dtype=np.float32)
    rain = RainFog()
    for seed in range(4):
        out = rain(picture, np.random.default_rng(seed))
        p = out['parameters']
        metres = p['far'] * out['depth']
        fog = 1 - np.exp(-p['beta'] * metres)
        streaks = TemplateRain.streak((80, 100), p['rain'])[..., None]
        streaks = streaks * np.exp(-2 * p['beta'] * np.maximum(p['near'], metres))
        expected = picture * (1 - streaks - fog) + streaks + fog * p['airlight']
        np.testing.assert_allclose(out['lq'], expected, atol=1e-5)


def test_streaks_of_rain_and_fog_fade_with_the_distance():
    rain = RainFog(beta=(0.015, 0.015), far=(200, 200), near=(9, 9))
    parameters = rain.sample(np.random.default_rng(0), GREY.shape)
    near, far = (
        rain.apply(GREY, parameters, np.full((160, 200), depth, np.float32))['streak'].mean() for depth in (0.1, 0.9)
    )
    assert far < near / 3


def test_a_sheet_of_rain_comes_and_goes_smoothly():
    plain, sheet = TemplateRain(), TemplateRain(sheet=(0.4, 0.4))
    drawn = sheet.sample(np.random.default_rng(0), GREY.shape)
    without = plain.sample(np.random.default_rng(0), GREY.shape)
    assert drawn == {**without, 'sheet': 0.4}  # rain without one stays what it was
    drawn['density'] = 0.0
    veil = TemplateRain.streak((160, 200), drawn)
    assert veil.min() == 0
    assert veil.max() == pytest.approx(0.4, abs=1e-6)
    assert np.abs(np.gradient(veil)).max() < 0.03
    with pytest.raises(ConfigError, match='TemplateRain: sheet'):
        TemplateRain(sheet=(0, 1.5))


def test_directions_of_template_rain():
    rain = TemplateRain(directions=(2, 5), angle=(-45, 45))
    counts = {len(rain.sample(np.random.default_rng(seed), (8, 8, 3))['angles']) for seed in range(40)}
    assert counts == {2, 3, 4, 5}
    for wrong in ((0, 2), (1.5, 2.5)):
        with pytest.raises(ConfigError, match='TemplateRain: directions'):
            TemplateRain(directions=wrong)


def test_streaks_are_exactly_dry_in_between():
    out = TemplateRain(density=(0.001, 0.001))(GREY, np.random.default_rng(0))
    assert (out['streak'] == 0).mean() > 0.5
    np.testing.assert_array_equal(out['lq'], np.clip(GREY + out['streak'], 0, 1))


def test_snow_has_flakes_of_several_sizes_and_never_darkens_the_dark():
    snow = Snow(density=(0.004, 0.004), opacity=(0.9, 0.9))
    out = snow(GREY, np.random.default_rng(0))
    assert np.all(out['lq'] >= GREY - 1e-6)
    opacity = 1 - out['transmission'][..., 0]
    assert opacity.max() <= 0.9 + 1e-6
    small, large = (
        np.mean(Snow.opacity((160, 200), {**out['parameters'], 'size': size}) > 0.05) for size in (1.0, 4.0)
    )
    assert large > 3 * small


def test_a_clear_sky_without_strength():
    """Nothing in front of the scene leaves the picture as it was."""
    for weather, nothing in (
        (TemplateRain(), {'density': 0.0}),
        (Snow(), {'density': 0.0}),
        (Veil(), {'beta': 0.0}),
    ):
        parameters = {**weather.sample(np.random.default_rng(0), GREY.shape), **nothing}
        np.testing.assert_allclose(weather.apply(GREY, parameters)['lq'], GREY, atol=1e-6)


def test_veil_and_airlight():
    """Behind endless air there is only airlight."""
    parameters = {**Veil().sample(np.random.default_rng(0), GREY.shape), 'beta': 100.0, 'airlight': 0.8, 'tint': 0.1}
    far = Veil().apply(GREY, parameters, np.ones(GREY.shape[:2], np.float32))['lq']
    np.testing.assert_allclose(far, np.broadcast_to(np.float32([0.7, 0.8, 0.9]), far.shape), atol=1e-6)


@pytest.mark.parametrize('angle', [-60, -20, 0, 35, 90])
@pytest.mark.parametrize('length', [1, 2.5, 15, 60])
def test_motion_kernel(length, angle):
    kernel = motion_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)
    across, along = line_frame(angle, kernel.shape[0] // 2)
    assert (kernel * along**2).sum() == pytest.approx(length**2 / 12, rel=0.2, abs=0.3)
    assert (kernel * across**2).sum() < 0.5


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: HeavyRain(angles=()), 'HeavyRain: angles is a list of degrees'),
        (lambda: HeavyRain(angles=[120]), 'HeavyRain: angles is a list of degrees'),
        (lambda: HeavyRain(length=(2.5, 4)), 'HeavyRain: length is a pair of whole numbers'),
        (lambda: RainFog(rain={'type': 'LineRain'}), 'RainFog: rain is a dict of keys of TemplateRain'),
        (lambda: RainFog(rain={'lenght': (3, 4)}), "did you mean 'length'"),
        (lambda: Veil(depth=''), "depth is 'field', 'edges' or the folder"),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
