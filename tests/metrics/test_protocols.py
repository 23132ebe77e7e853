"""Each named protocol against scikit-image or its formula."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorebox.errors import ConfigError
from restorebox.metrics import PROTOCOLS, protocol

GAUSSIAN = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)


def u8(picture):
    return (picture.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def channels(*pictures):
    return [np.moveaxis(picture.astype(int), 2, 0) for picture in pictures]


def reference(name, pred, gt):
    pred, gt = u8(pred), u8(gt)
    if name == 'psnr_rgb':
        return peak_signal_noise_ratio(gt, pred, data_range=255)
    if name == 'psnr_y':
        return peak_signal_noise_ratio(rgb2ycbcr(gt)[..., 0], rgb2ycbcr(pred)[..., 0], data_range=255)
    if name == 'psnr_y_full_u8':
        gt, pred = ((299 * r + 587 * g + 114 * b + 500) // 1000 for r, g, b in channels(gt, pred))
        return peak_signal_noise_ratio(gt, pred, data_range=255)
    if name == 'psnr_owan':
        return 10 * np.log10(1 / (np.mean((gt / 255.0 - pred / 255.0) ** 2) + 1e-10))
    if name == 'ssim_rgb':
        return structural_similarity(gt, pred, channel_axis=2, **GAUSSIAN)
    if name == 'ssim_y':
        return structural_similarity(rgb2ycbcr(gt)[..., 0], rgb2ycbcr(pred)[..., 0], **GAUSSIAN)
    if name == 'ssim_skimage':
        return structural_similarity(gt, pred, channel_axis=2)
    raise AssertionError(f'{name} has no second opinion in this test')


@pytest.mark.parametrize('name', PROTOCOLS)
def test_against_scikit_image_on_20_pairs(name, pairs):
    tolerance = 1e-4 if name.startswith('psnr') else 1e-5
    scores = [protocol(name)(pred, gt) for pred, gt in pairs]
    wanted = [reference(name, pred, gt) for pred, gt in pairs]
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=tolerance)
    assert np.std(scores) > 10 * tolerance  # the pairs do differ


def test_full_range_luma_is_pillows(pairs):
    for pred, gt in pairs[:5]:
        a, b = (np.asarray(Image.fromarray(u8(x)).convert('L'), np.float64) for x in (pred, gt))
        assert PROTOCOLS['psnr_y_full_u8'](pred, gt) == pytest.approx(
            peak_signal_noise_ratio(b, a, data_range=255), abs=0.01
        )


@pytest.mark.parametrize('name', PROTOCOLS)
def test_identical_pictures(name, pairs):
    _, gt = pairs[0]
    assert PROTOCOLS[name](gt, gt) == pytest.approx(100 if name.startswith('psnr') else 1, abs=1e-12)


def test_100_db_is_the_cap():
    gt = np.full((700, 700, 3), 127 / 255)
    pred = gt.copy()
    pred[0, 0, 0] += 1 / 255  # 48.13 + 61.67 dB
    assert PROTOCOLS['psnr_rgb'](pred, gt) == 100
    assert PROTOCOLS['psnr_y'](pred, gt) == 100
    assert PROTOCOLS['psnr_owan'](pred, gt) < 100


def test_prediction_is_scored_as_saved(pairs):
    pred, gt = pairs[3]
    assert pred.max() > 1 or pred.min() < 0
    for name, score in PROTOCOLS.items():
        assert score(pred, gt) == score(u8(pred) / 255.0, gt), name


def test_studio_luma_scores_1_32_db_more_than_full_range():
    rng = np.random.default_rng(0)
    gt = np.repeat(rng.integers(30, 200, (64, 64, 1)), 3, 2) / 255
    pred = np.repeat(rng.integers(30, 200, (64, 64, 1)), 3, 2) / 255  # grey: every luma weighs its error by its range
    difference = PROTOCOLS['psnr_y'](pred, gt) - PROTOCOLS['psnr_y_full_u8'](pred, gt)
    assert difference == pytest.approx(20 * np.log10(255 / 219), abs=1e-6)
    assert difference == pytest.approx(1.32, abs=0.005)


@pytest.mark.parametrize('size', [(1, 1), (6, 40), (7, 7), (10, 11), (11, 11)])
def test_tiny_pictures(size):
    gt = np.full((*size, 3), 0.25)
    pred = np.full((*size, 3), 0.5)
    window = {'ssim_skimage': 7, 'ssim_rgb': 11, 'ssim_y': 11}
    for name, score in PROTOCOLS.items():
        assert np.isnan(score(pred, gt)) == (min(size) < window.get(name, 1)), name


def test_nan_is_not_scored_as_black(pairs):
    pred, gt = pairs[0]
    pred = pred.copy()
    pred[40, 40] = np.nan
    for name in PROTOCOLS:
        assert np.isnan(protocol(name)(pred, gt)), name
        assert np.isnan(protocol(f'{name}@32')(pred, gt)), name


def test_resizing_protocol(pairs):
    pred, gt = pairs[1]
    small = [cv2.resize(u8(x), (32, 32), interpolation=cv2.INTER_CUBIC) / 255.0 for x in (pred, gt)]
    for name, score in PROTOCOLS.items():
        assert protocol(f'{name}@32')(pred, gt) == score(*small)
        flat = [cv2.resize(u8(x), (48, 32), interpolation=cv2.INTER_CUBIC) / 255.0 for x in (pred, gt)]  # width first
        assert protocol(f'{name}@32x48')(pred, gt) == score(*flat)
    assert protocol('psnr_rgb@32')(pred, gt) != PROTOCOLS['psnr_rgb'](pred, gt)


@pytest.mark.parametrize(
    ('name', 'says'),
    [
        ('psnr', 'psnr_y'),
        ('ssimy', "did you mean 'ssim_y'"),
        ('psnr_y@', '256'),
        ('psnr_y@0', '256'),
        ('psnr_y@12x', "'12x'"),
        ('psnr_y@12x0', "'12x0'"),
        ('lpips_alex', 'PictureScores'),
        ('fid', 'FID'),
    ],
)
def test_misspelt_names(name, says):
    with pytest.raises(ConfigError, match=says):
        protocol(name)


def test_importing_metrics_and_losses_is_cheap():
    code = (
        'import sys, restorebox.metrics, restorebox.losses;'
        "assert not {'torchvision', 'lpips', 'pytorch_fid'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize('name', sorted(PROTOCOLS))
@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
def test_a_picture_with_one_pixel_that_is_no_number_has_no_score(pairs, name, bad):
    pred, gt = pairs[0]
    pred = pred.copy()
    pred[40, 40, 1] = bad
    assert np.isnan(PROTOCOLS[name](pred, gt))
    assert np.isnan(protocol(f'{name}@64')(pred, gt))
