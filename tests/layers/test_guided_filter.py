"""Guided filter decomposition: parts add up, borders, and ten filters in one pass."""

import numpy as np
import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.layers.guided_filter import EPSILONS, RADII, Decomposition, box_means, guided_filters, residue
from tests.conftest import REPO, load_study

SIZES = [(1, 1), (1, 40), (5, 3), (17, 64), (70, 90), (256, 256)]


def picture(*size, seed=0):
    """Smooth with noise, as pictures are."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 7, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, size, mode='bilinear')
    return (smooth + 0.1 * torch.randn(1, 3, *size, generator=rng)).clamp(0, 1)


def slow_mean(x, r):
    """The mean of every window, pixel by pixel, in float64."""
    out = np.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[max(i - r, 0) : i + r + 1, max(j - r, 0) : j + r + 1].mean()
    return out


@pytest.mark.parametrize('size', SIZES[:-1])
@pytest.mark.parametrize('radii', [(2,), (1, 3, 7, 12), RADII])
def test_box_means_count_only_what_is_inside(size, radii):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    for r, means in zip(radii, box_means(x, radii), strict=True):
        assert np.abs(means[1, 2].numpy() - slow_mean(x[1, 2].double().numpy(), r)).max() < 1e-6


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('guide', ['residue', 'input'])
def test_one_pass_is_ten_filters(size, guide):
    study = load_study('decomposition_speed')
    x = picture(*size)
    g = residue(x) if guide == 'residue' else x
    ours = guided_filters(x, g)
    apart = [study.guided_filter(x, g, r, eps, study.running_sums) for r in RADII for eps in EPSILONS]
    assert ours.shape == (1, 30, *size)
    assert (ours - torch.cat(apart, 1)).abs().max() < 1e-4


@pytest.mark.parametrize('guide', ['residue', 'input'])
@pytest.mark.parametrize('size', [(37, 53), (5, 9)])
def test_low_and_high_make_the_picture(guide, size):
    x = picture(*size)
    low, high = Decomposition(guide)(x)
    assert low.shape == high.shape == (1, 33, *size)
    assert torch.equal(low[:, :3], x)
    assert torch.equal(high[:, :3], x)
    for k in range(3, 33, 3):
        torch.testing.assert_close(low[:, k : k + 3] + high[:, k : k + 3], x, atol=1e-6, rtol=0)


def test_without_filters_it_is_the_picture_twice():
    x = picture(9, 8)
    decompose = Decomposition('none')
    assert decompose.channels == 3
    assert all(y is x for y in decompose(x))


@pytest.mark.parametrize('size', [(40, 50), (3, 4)])
def test_a_constant_picture_comes_back(size):
    x = torch.tensor([0.9, 0.1, 0.35])[None, :, None, None].expand(1, 3, *size)
    low, high = Decomposition()(x)
    torch.testing.assert_close(low, x.repeat(1, 11, 1, 1), atol=1e-6, rtol=0)
    assert high[:, 3:].abs().max() < 1e-6


def test_a_picture_that_guides_itself_comes_back_without_eps():
    x = picture(40, 50)
    low = guided_filters(x, x, epsilons=(1e-9,))
    assert (low - x.repeat(1, len(RADII), 1, 1)).abs().max() < 1e-3
    smoothed = guided_filters(x, x, epsilons=(1.0,))
    assert (smoothed - x.repeat(1, len(RADII), 1, 1)).abs().max() > 0.1


def test_a_gain_of_brightness_far_from_zero_loses_nothing():
    """Variances of small contrasts on a bright ground are where sums of squares lose their digits."""
    x = 0.98 + 0.01 * picture(300, 300)
    exact = guided_filters(x.double(), residue(x.double()))
    assert exact.dtype == torch.float64
    assert (guided_filters(x, residue(x)) - exact).abs().max() < 1e-5


def test_the_residue_is_blind_to_grey():
    grey = torch.rand(1, 1, 6, 7).expand(1, 3, 6, 7)
    assert residue(grey).abs().max() == 0
    x = torch.rand(1, 3, 6, 7) * 0.5
    torch.testing.assert_close(residue(x + 0.3 * torch.rand(1, 1, 6, 7)), residue(x), atol=1e-6, rtol=0)


def test_an_unknown_guide_is_named():
    with pytest.raises(ConfigError, match="no guide 'residu'; did you mean 'residue'"):
        Decomposition('residu')


def test_the_stored_study_holds():
    import json

    stored = json.loads((REPO / 'docs' / 'results' / 'decomposition_speed.json').read_text())
    assert stored['ratio']['median'] <= stored['at_most']
    assert stored['largest_difference'] <= 1e-4
