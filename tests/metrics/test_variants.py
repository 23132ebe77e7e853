"""Variants of PSNR and SSIM against scikit-image, torch and the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn import functional as F

from restorebox.metrics import PROTOCOLS
from restorebox.metrics.variants import CROPS, Variant, measure, variants

TAPS = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
TAPS /= TAPS.sum()
GAUSSIAN = dict(gaussian_weights=True, sigma=1.5, data_range=255)


def unpooled(*args, **options):
    return [each for each in variants(*args, **options) if not each.pooled]


@pytest.fixture(scope='module')
def measured(pairs):
    return [(pred, gt, measure(pred, gt, unpooled())) for pred, gt in pairs[:4]]


def u8(picture):
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def windowed_ssim(a, b, blur):
    """SSIM at all positions: Wang et al. 2004, equation 13."""
    a, b = a.astype(float), b.astype(float)
    mean_a, mean_b = blur(a), blur(b)
    spread = blur(a * a) - mean_a**2 + blur(b * b) - mean_b**2
    joint = blur(a * b) - mean_a * mean_b
    c1, c2 = 6.5025, 58.5225
    return np.mean((2 * mean_a * mean_b + c1) * (2 * joint + c2) / ((mean_a**2 + mean_b**2 + c1) * (spread + c2)))


def by_axes(axes):
    def blur(x):
        for axis in axes:
            x = correlate1d(x, TAPS, axis=axis, mode='nearest')
        return x

    return blur


def padded_with_zeros(x):
    kernel = torch.tensor(np.outer(TAPS, TAPS))[None, None]
    channels = torch.tensor(x).permute(2, 0, 1)[:, None]
    return F.conv2d(channels, kernel, padding=5)[:, 0].permute(1, 2, 0).numpy()


def test_names():
    names = [each.name for each in variants((4,), deep=True)]
    assert len(set(names)) == len(names)
    assert {'psnr_rgb', 'psnr_y+crop4', 'psnr_y_full+multiple16+pooled', 'ssim_rgb+zeros', 'ssim_skimage'} <= set(names)
    assert {'psnr_rgb+unrounded', 'ssim_rgb+replicate+unrounded', 'psnr_rgb+crop4+unrounded+pooled'} <= set(names)
    assert not [name for name in names if 'u8' in name and 'unrounded' in name]
    assert not [each for each in variants() if each.unrounded]
    assert Variant('psnr', 'rgb').differences(Variant('psnr', 'y', crop='crop4', pooled=True)) == (
        'colour', 'crop', 'mean',
    )  # fmt: skip


def test_named_protocols_are_the_same(measured):
    for pred, gt, (values, _) in measured:
        for name in set(PROTOCOLS) & set(values):
            assert values[name] == pytest.approx(PROTOCOLS[name](pred, gt), abs=1e-9)
    assert set(PROTOCOLS) - set(measured[0][2][0]) == {'psnr_owan'}


def test_colours_and_crops(measured):
    for pred, gt, (values, errors) in measured:
        a, b = u8(pred), u8(gt)
        y = [rgb2ycbcr(each)[..., 0] for each in (a, b)]
        rounded = [np.floor(each + 0.5) for each in y]
        full = [each @ np.array([0.299, 0.587, 0.114]) for each in (a, b)]
        for crop in CROPS:
            inner = slice(crop, -crop)
            for name, pair in dict(rgb=(a, b), y=y, y_u8=rounded, y_full=full).items():
                first, second = (each[inner, inner].astype(float) for each in pair)
                wanted = peak_signal_noise_ratio(second, first, data_range=255)
                assert values[f'psnr_{name}+crop{crop}'] == pytest.approx(wanted, abs=1e-4)
            cut = [each[inner, inner] for each in (b, a)]
            wanted = structural_similarity(*cut, channel_axis=2, use_sample_covariance=False, **GAUSSIAN)
            assert values[f'ssim_rgb+crop{crop}'] == pytest.approx(wanted, abs=1e-7)
        assert errors['psnr_rgb'] == pytest.approx(np.mean((a.astype(float) - b) ** 2))
        assert values['psnr_rgb+multiple16'] == values['psnr_rgb']  # 96x80


def test_the_centre_with_sides_of_multiples_of_16(pairs):
    pred, gt = (each[:90, :75] for each in pairs[0])
    values, _ = measure(pred, gt, [Variant('psnr', 'rgb', crop='multiple16'), Variant('ssim', 'y', crop='multiple16')])
    a, b = (u8(each)[5:85, 5:69] for each in (pred, gt))
    assert values['psnr_rgb+multiple16'] == pytest.approx(peak_signal_noise_ratio(b, a), abs=1e-9)
    y = [rgb2ycbcr(each)[..., 0] for each in (b, a)]
    wanted = structural_similarity(*y, use_sample_covariance=False, **GAUSSIAN)
    assert values['ssim_y+multiple16'] == pytest.approx(wanted, abs=1e-7)


def test_windows_of_ssim(measured):
    for pred, gt, (values, _) in measured:
        a, b = u8(pred), u8(gt)
        y = [rgb2ycbcr(each)[..., 0] for each in (b, a)]
        wanted = {
            'ssim_rgb+replicate': windowed_ssim(a, b, by_axes((0, 1))),
            'ssim_y+replicate': windowed_ssim(*y, by_axes((0, 1))),
            'ssim_rgb+volume': windowed_ssim(a, b, by_axes((0, 1, 2))),
            'ssim_rgb+zeros': windowed_ssim(a, b, padded_with_zeros),
            'ssim_rgb+sample': structural_similarity(b, a, channel_axis=2, **GAUSSIAN),
            'ssim_y+uniform7': structural_similarity(*y, data_range=255),
            'ssim_rgb+range2': structural_similarity(b / 255, a / 255, channel_axis=2, data_range=2),
        }
        for name, value in wanted.items():
            assert values[name] == pytest.approx(value, abs=1e-6), name


def test_deeper_pictures_are_rounded_or_not(pairs):
    pred, gt = pairs[1]
    values, _ = measure(pred, gt, unpooled((4,), deep=True))
    wanted = 10 * np.log10(1 / np.mean((pred.clip(0, 1) - gt) ** 2))
    assert values['psnr_rgb+unrounded'] == pytest.approx(wanted, abs=1e-9)
    assert 1e-6 < abs(values['psnr_rgb'] - wanted) < 0.1
    in_8_bits = u8(pred) / 255
    values, _ = measure(in_8_bits, gt, unpooled((4,), deep=True))
    assert values['psnr_y+crop4+unrounded'] == pytest.approx(values['psnr_y+crop4'], abs=1e-9)


def test_a_crop_or_window_that_does_not_fit_gives_nan(pairs):
    pred, gt = (each[:14, :14] for each in pairs[0])
    values, _ = measure(pred, gt, unpooled())
    assert np.isnan(values['psnr_rgb+crop8'])
    assert np.isnan(values['psnr_y+multiple16'])
    assert np.isnan(values['ssim_rgb+crop2'])
    assert np.isfinite([values[name] for name in ('ssim_rgb', 'ssim_rgb+zeros', 'psnr_rgb+crop4')]).all()
