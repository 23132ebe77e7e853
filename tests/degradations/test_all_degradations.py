"""What every degradation promises, and every named recipe: a new one is covered the day it is registered."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from restorebox.datasets.transforms import Degrade
from restorebox.degradations import BaseDegradation, Weather, build_degradation, named_recipe
from restorebox.degradations.base import RangedDegradation
from restorebox.degradations.recipes import RECIPES
from restorebox.degradations.weather import compose, equation_layers, invert
from restorebox.errors import ConfigError
from restorebox.pixels import to_float
from restorebox.registry import DEGRADATIONS
from tests.conftest import REPO

SIZES = [(1, 1), (1, 9), (37, 53), (500, 333)]
LAYERS = {'streak': (1, 3), 'transmission': (1,), 'airlight': (3,), 'depth': (1,)}  # role -> channels it may have


def ours():
    DEGRADATIONS.import_from_location()
    return sorted(name for name, kind in DEGRADATIONS.module_dict.items() if kind.__module__.startswith('restorebox.'))


def kinds(base):
    return [name for name in ours() if issubclass(DEGRADATIONS.get(name), base)]


EVERY = [*ours(), *RECIPES]


def build(name):
    return build_degradation(name if name in RECIPES else {'type': name})


def clear(size=(60, 70), seed=0):
    """Smooth in places and noisy in others, with black and white: as a picture is."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    noise[: size[0] // 2] = np.linspace(0, 255, size[1], dtype=np.uint8)[:, None]
    return noise


def bytes_of(rendered):
    return {role: values.tobytes() for role, values in rendered.items() if role != 'parameters'}


@pytest.mark.parametrize('name', EVERY)
def test_repeats_bit_for_bit_by_record(name):
    """Parameters travel through JSON; another instance renders the same bytes from them."""
    picture = clear()
    out = build(name)(picture, np.random.default_rng(5))
    parameters = json.loads(json.dumps(out['parameters']))
    assert parameters == out['parameters'] == build(name).sample(np.random.default_rng(5), picture.shape)
    assert bytes_of(build(name).apply(picture, parameters)) == bytes_of(out)


@pytest.mark.parametrize('name', EVERY)
def test_threads_change_nothing(name):
    degradation, picture, threads = build(name), clear((300, 400)), cv2.getNumThreads()
    parameters = degradation.sample(np.random.default_rng(5), picture.shape)
    rendered = []
    for number in (1, 2):
        cv2.setNumThreads(number)
        rendered.append(bytes_of(degradation.apply(picture, parameters)))
    cv2.setNumThreads(threads)
    assert rendered[0] == rendered[1]


@pytest.mark.parametrize('name', EVERY)
def test_another_seed_gives_another_picture(name):
    degradation, picture = build(name), clear()
    assert isinstance(degradation, BaseDegradation)
    first, second = (degradation(picture, np.random.default_rng(seed)) for seed in (5, 6))
    assert first['parameters'] != second['parameters']
    assert first['lq'].tobytes() != second['lq'].tobytes()


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('name', EVERY)
def test_any_size_within_the_range_and_with_fitting_layers(name, size):
    out = build(name)(clear(size), np.random.default_rng(1))
    assert out['lq'].shape == (*size, 3)
    assert out['lq'].dtype == np.float32
    assert out['lq'].min() >= 0
    assert out['lq'].max() <= 1
    for role, values in out.items():
        if role in ('lq', 'parameters'):
            continue
        assert values.dtype == np.float32, role
        assert values.shape[:2] == size, role
        assert values.shape[2] in LAYERS[role], role
        assert values.min() >= 0, role
        assert values.max() <= 1 or (role == 'streak' and name == 'Compose'), role


@pytest.mark.parametrize('name', EVERY)
def test_bytes_and_floats_alike_and_never_touched(name):
    degradation, picture = build(name), clear()
    parameters = degradation.sample(np.random.default_rng(2), picture.shape)
    expected = degradation.apply(picture, parameters)
    wide = np.zeros((60, 140, 3), np.float32)
    strided = wide[:, ::2]
    strided[:] = to_float(picture)
    for given in (picture, to_float(picture), strided):
        before = given.copy()
        given.flags.writeable = False
        out = degradation.apply(given, parameters)
        assert bytes_of(out) == bytes_of(expected)
        np.testing.assert_array_equal(given, before)
        assert not any(np.shares_memory(given, values) for values in out.values())


@pytest.mark.parametrize('name', [name for name in ours() if DEGRADATIONS.get(name).strength])
def test_the_stronger_the_worse(name):
    degradation, picture = build(name), to_float(clear((96, 96)))
    key = degradation.strength.lstrip('-')
    for seed in range(3):
        parameters = degradation.sample(np.random.default_rng(seed), picture.shape)
        base = parameters[key]
        values = [type(base)(base * factor) for factor in (0.25, 0.5, 1)]
        errors = [
            np.mean((degradation.apply(picture, {**parameters, key: value})['lq'] - picture) ** 2) for value in values
        ]
        if degradation.strength.startswith('-'):
            errors.reverse()
        assert errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize('name', kinds(Weather))
def test_weather_obeys_the_law_and_is_undone_by_it(name):
    """I = T (J + S) + (1 - T) A with the layers that came with it, and back."""
    weather, picture = build(name), to_float(clear())
    out = weather(picture, np.random.default_rng(3))
    scene = weather.scene(picture, out['parameters'])
    layers = equation_layers(out)
    assert layers
    expected = compose(scene, **layers)
    np.testing.assert_allclose(out['lq'], np.clip(expected, 0, 1), atol=1e-6)
    kept = (expected > 0) & (expected < 1) & (layers.get('transmission', np.float32(1)) >= 0.05)
    assert kept.mean() > 0.3
    back = invert(out['lq'], **{role: np.where(kept, layer, 1) for role, layer in layers.items()})
    np.testing.assert_allclose(back[kept], scene[kept], atol=2e-5)


@pytest.mark.parametrize('name', kinds(RangedDegradation))
def test_wrong_ranges_are_named(name):
    for key in build(name).ranges:
        for wrong in ((2, 1), 5, 'high', (0, None), (-1e12, 1e12)):
            with pytest.raises(ConfigError, match=rf'^{name}: {key}(\.1)? is .*(\(low, high\) within|; it must be a)'):
                DEGRADATIONS.build({'type': name, key: wrong})


@pytest.mark.parametrize('name', kinds(RangedDegradation))
def test_draws_stay_within_the_ranges(name):
    degradation = build(name)
    for seed in range(20):
        drawn = degradation.sample(np.random.default_rng(seed), (8, 8, 3))
        for key, (low, high) in degradation.ranges.items():
            assert low <= drawn[key] <= high


@pytest.mark.parametrize('name', ours())
def test_an_unknown_key_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name} has no key 'qualty'"):
        DEGRADATIONS.build({'type': name, 'qualty': 1})


def test_recipes_are_on_their_page_and_copies():
    page = (REPO / 'docs' / 'degradations.md').read_text()
    assert [name for name in RECIPES if f'`{name}`' not in page] == []
    named_recipe('rain100h')['density'] = None
    assert RECIPES['rain100h']['density'] is not None


def test_a_config_names_a_recipe():
    results = {'gt': clear(), 'rng': np.random.default_rng(0), 'name': 'x'}
    out = Degrade(recipe='heavy_rain').transform(results)
    assert {'lq', 'streak', 'transmission', 'airlight', 'depth', 'parameters'} <= out.keys()


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(ConfigError, match="no recipe is called 'hevy_rain'; did you mean 'heavy_rain'"):
        build_degradation('hevy_rain')
