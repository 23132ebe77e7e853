"""Features of NIQE and BRISQUE against other libraries and known distributions."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.stats import gennorm
from skimage import data

from restorebox.metrics.scene_statistics import (
    asymmetric_fit,
    grey_of,
    half_size,
    neighbour_products,
    normalised,
    symmetric_fit,
)


@pytest.mark.parametrize('size', [(64, 80), (63, 81)])
def test_half_size_is_pillows_antialiased_bicubic(size):
    picture = data.camera()[: size[0], : size[1]].astype(np.float64)
    half = half_size(picture)
    assert half.shape == ((size[0] + 1) // 2, (size[1] + 1) // 2)
    if size == (64, 80):  # Pillow moves the pixels' centres where a size is odd
        pillow = Image.fromarray(picture.astype(np.float32)).resize((40, 32), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(half[2:-2, 2:-2], np.asarray(pillow)[2:-2, 2:-2], atol=1e-3)
    np.testing.assert_allclose(half_size(np.full(size, 7.0)), 7.0, atol=1e-12)


def test_grey_is_that_of_pillow_but_for_rounding():
    photo = data.chelsea()
    grey = grey_of(photo.astype(np.float64))
    assert np.abs(grey - np.asarray(Image.fromarray(photo).convert('L'), np.float64)).max() <= 1
    assert (grey == np.rint(grey)).all()


@pytest.mark.parametrize('shape', [0.6, 1.0, 2.0, 4.0])
def test_fits_find_the_parameters_of_generalised_gaussians(shape):
    rng = np.random.default_rng(3)
    values = gennorm.rvs(shape, scale=1.5, size=(2, 200_000), random_state=rng)
    found, variance = symmetric_fit(values)
    np.testing.assert_allclose(found, shape, rtol=0.03)
    np.testing.assert_allclose(variance, gennorm.var(shape, scale=1.5), rtol=0.03)
    skewed = np.where(values < 0, 2 * values, values)
    # the larger side is also drawn more often in an asymmetric distribution: as often as it is wider
    keep = (skewed < 0) | (rng.random(skewed.shape) < 0.5)
    found, left, right = asymmetric_fit(skewed[0][keep[0]])
    np.testing.assert_allclose(found, shape, rtol=0.05)
    np.testing.assert_allclose(left / right, 2, rtol=0.03)


def test_a_flat_region_is_exactly_zero():
    picture = np.full((40, 40), 1 / 3 * 255)
    picture[:, 30:] = np.random.default_rng(0).random((40, 10)) * 255
    values = normalised(picture, 'nearest')
    assert (values[:, :26] == 0).all()
    assert (values[:, 31:] != 0).all()
    assert np.isnan(asymmetric_fit(values[:, :26].ravel())).all()


def test_normalised_at_the_border():
    picture = data.camera()[:40, :40].astype(np.float64)
    near, zero = (normalised(picture, boundary) for boundary in ('nearest', 'constant'))
    np.testing.assert_allclose(near[3:-3, 3:-3], zero[3:-3, 3:-3])
    assert np.abs(near[0] - zero[0]).min() > 0.1


def test_neighbours_are_cyclic():
    values = np.arange(12.0).reshape(3, 4)
    down, diagonal = neighbour_products(values, ((1, 0), (1, -1)))
    assert down[0] == values[0, 0] * values[2, 0]
    assert diagonal[0] == values[0, 0] * values[2, 1]
