"""Line rain satisfies its equation."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from restorebox.degradations.line_rain import LineRain
from restorebox.errors import ConfigError
from restorebox.pixels import to_float


def clear(size=(60, 70), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_equation_holds_exactly():
    picture = to_float(clear())
    out = LineRain(density=(0.02, 0.02))(picture, np.random.default_rng(0))
    assert out['streak'].shape == (60, 70, 1)
    assert out['streak'].min() == 0  # exactly dry between the streaks
    assert 0.1 < out['streak'].max() <= 1
    np.testing.assert_array_equal(out['lq'], np.clip(picture + out['streak'], 0, 1))


def test_the_bytes_that_stored_figures_depend_on():
    out = LineRain(density=(0.002, 0.02))(clear(), np.random.default_rng(0))
    bytes_of = out['lq'].tobytes() + out['streak'].tobytes() + repr(out['parameters']).encode()
    assert hashlib.sha256(bytes_of).hexdigest().startswith('4161ffae077ffd8d')


def test_more_drops_never_make_it_darker():
    rain = LineRain()
    parameters = rain.sample(np.random.default_rng(1), (60, 70, 3))
    layers = [rain.streak((60, 70), {**parameters, 'density': d}) for d in (0, 0.001, 0.004, 0.02, 0.3)]
    assert not layers[0].any()
    for thin, dense in pairwise(layers):
        assert np.all(dense >= thin)
        assert dense.sum() > thin.sum()
    assert layers[-1].max() <= 1


def test_brightness_scales_the_layer():
    rain = LineRain()
    parameters = {**rain.sample(np.random.default_rng(1), (60, 70, 3)), 'brightness': 0.2, 'density': 0.001}
    double = rain.streak((60, 70), {**parameters, 'brightness': 0.4})
    np.testing.assert_allclose(double, 2 * rain.streak((60, 70), parameters), rtol=1e-5)


@pytest.mark.parametrize('angle', [-30, 0, 20])
def test_streaks_run_along_the_angle(angle):
    """The structure tensor's main direction, of streaks wide enough for differences of pixels to be derivatives."""
    parameters = {
        'density': 0.002, 'length': 30, 'width': 2.5, 'angle': angle, 'spread': 1.0, 'brightness': 0.5, 'seed': 3,
    }  # fmt: skip
    dy, dx = np.gradient(LineRain.streak((200, 200), parameters))
    across = 0.5 * np.degrees(np.arctan2(2 * (dx * dy).mean(), (dx**2).mean() - (dy**2).mean()))
    assert abs(across - angle) < 3


def test_rain_reaches_the_edges_as_much_as_the_middle():
    rain = LineRain(density=(0.01, 0.01))
    mean = np.mean([rain(clear((80, 80)), np.random.default_rng(s))['streak'][..., 0] for s in range(60)], axis=0)
    edges = np.concatenate([mean[:4].ravel(), mean[-4:].ravel(), mean[:, :4].ravel(), mean[:, -4:].ravel()]).mean()
    assert edges == pytest.approx(mean[20:60, 20:60].mean(), rel=0.1)


@pytest.mark.parametrize('size', [(1, 1), (1, 50), (50, 1)])
def test_tiny_pictures(size):
    assert LineRain(density=(1, 1))(clear(size), np.random.default_rng(0))['lq'].shape == (*size, 3)


def test_defaults_give_a_usual_input_psnr():
    skimage_data = pytest.importorskip('skimage.data')
    psnr = []
    for photograph in (skimage_data.astronaut(), skimage_data.coffee(), skimage_data.chelsea()):
        for seed in range(8):
            rainy = LineRain()(photograph, np.random.default_rng(seed))['lq']
            psnr.append(-10 * np.log10(np.mean((rainy - to_float(photograph)) ** 2)))
    assert 22 < np.mean(psnr) < 28


@pytest.mark.parametrize(
    ('arguments', 'word'),
    [({'density': (0.2, 0.1)}, 'density'), ({'length': 5}, 'length'), ({'brightness': (0, 2)}, 'brightness')],
)
def test_wrong_ranges(arguments, word):
    with pytest.raises(ConfigError, match=f'LineRain: {word} is a pair'):
        LineRain(**arguments)
