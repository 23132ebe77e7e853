"""Audit of a folder: pairing by name, means, effects, and the variants of a published number."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from restorebox.errors import DataError
from restorebox.metrics import PROTOCOLS
from restorebox.metrics.audit import (
    effects,
    matches,
    nearest_variants,
    pair_by_name,
    problems,
    score_alone,
    score_pairs,
    steps,
)
from restorebox.metrics.no_reference import NO_REFERENCE
from restorebox.metrics.published import Claim
from restorebox.metrics.variants import Variant
from tests.metrics.conftest import make_pairs


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(picture.clip(0, 1) * 255).astype(np.uint8)).save(path)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Results and clean pictures, one of them in a sub-folder and in another format."""
    root = tmp_path_factory.mktemp('audit')
    for k, (pred, gt) in enumerate(make_pairs(3, 70, 90)):
        name = f'street/{k}' if k == 2 else f'{k}'
        save(root / 'results' / f'{name}.png', pred)
        save(root / 'gt' / f'{name}.{"bmp" if k == 1 else "png"}', gt)
    return root / 'results', root / 'gt'


@pytest.fixture(scope='module')
def audited(folders):
    return score_pairs(*folders, threads=2)


def test_means_are_over_the_pictures(folders, audited):
    pairs = make_pairs(3, 70, 90)
    for name in ('psnr_rgb', 'ssim_y', 'psnr_y_full_u8', 'ssim_skimage'):
        scores = [PROTOCOLS[name](pred, gt) for pred, gt in pairs]
        assert [row[name] for row in audited.per_picture] == pytest.approx(scores, abs=1e-9)
        assert audited.mean[name] == pytest.approx(np.mean(scores), abs=1e-9)
    errors = [10 ** (-PROTOCOLS['psnr_rgb'](pred, gt) / 10) for pred, gt in pairs]
    assert audited.mean['psnr_rgb+pooled'] == pytest.approx(-10 * np.log10(np.mean(errors)), abs=1e-9)
    assert audited.mean['psnr_rgb+pooled'] < audited.mean['psnr_rgb'] - 0.01
    assert [row['name'] for row in audited.per_picture] == ['0', '1', 'street/2']
    assert not [name for name in audited.per_picture[0] if 'pooled' in name]
    assert not problems(audited)
    assert {each.name for each in audited.protocols} == set(audited.mean)


def test_effects_change_one_setting(audited):
    found = {(each.before, each.after): each for each in effects(audited)}
    luma = found['psnr_y', 'psnr_y_full']
    assert luma.kind == 'colour'
    assert luma.difference == pytest.approx(20 * np.log10(219 / 255), abs=1e-3)  # the ratio of the ranges
    assert found['psnr_rgb', 'psnr_rgb+pooled'].kind == 'mean'
    assert found['ssim_rgb', 'ssim_rgb+zeros'].kind == 'window'
    assert ('psnr_y', 'psnr_y_full+crop4') not in found
    for (before, after), each in found.items():
        assert each.difference == audited.mean[after] - audited.mean[before]


def test_the_variants_of_a_number(audited):
    value = audited.mean['psnr_y+crop4']
    found = matches(audited, Claim(f'{value:.4f}', 'psnr'))
    assert [each.name for each in found] == ['psnr_y+crop4']
    assert not matches(audited, Claim('99.99', 'psnr'))
    assert not matches(audited, Claim(f'{value:.4f}', 'ssim'))
    assert nearest_variants(audited, Claim(f'{value:.4f}', 'psnr'), 1) == found
    path = steps(audited, Variant('psnr', 'y_full', crop='crop4', pooled=True))
    assert [each.kind for each in path] == ['colour', 'crop', 'mean']
    total = audited.mean['psnr_y_full+crop4+pooled'] - audited.mean['psnr_rgb']
    assert sum(each.difference for each in path) == pytest.approx(total, abs=1e-9)
    for each in audited.protocols:  # every step is a variant that was computed
        assert len(steps(audited, each)) == len(Variant(each.score, 'rgb').differences(each))


def test_missing_surplus_sizes_and_unreadable(folders, tmp_path):
    results, gt = tmp_path / 'results', tmp_path / 'gt'
    pairs = make_pairs(4, 40, 50)
    for k, (pred, clean) in enumerate(pairs):
        save(gt / f'{k}.png', clean)
        if k != 2:
            save(results / f'{k}.png', pred[:-1] if k == 1 else pred)
    save(results / 'sheet.png', pairs[0][0])
    (results / '3.png').write_bytes(b'')
    audit = score_pairs(results, gt)
    assert [row['name'] for row in audit.per_picture] == ['0']
    assert (audit.missing, audit.surplus) == (['2'], ['sheet'])
    assert audit.refused['1'] == 'result and clean picture differ in size: 50x39 and 50x40'
    assert 'empty' in audit.refused['3']
    assert len(problems(audit)) == 3
    assert problems(audit)[0] == '1 clean pictures have no result: 2'
    (results / '0.png').unlink()
    with pytest.raises(DataError, match='none of the 2 pairs can be scored; 1: result and clean'):
        score_pairs(results, gt)
    with pytest.raises(DataError, match='same folder'):
        pair_by_name(gt, gt)
    other = tmp_path / 'other'
    save(other / '0_x.png', pairs[0][0])
    with pytest.raises(DataError, match=r"no picture of .*'0_x' and '0' are the first"):
        pair_by_name(other, gt)
    save(gt / '0.bmp', pairs[0][1])
    with pytest.raises(DataError, match='have one name'):
        pair_by_name(results, gt)


def test_deeper_results_add_the_variants_without_rounding(tmp_path):
    pairs = make_pairs(2, 40, 50)
    for k, (pred, clean) in enumerate(pairs):
        save(tmp_path / 'gt' / f'{k}.png', clean)
        save(tmp_path / 'results' / f'{k}.png', pred)
    deep = np.rint(pairs[1][0].clip(0, 1) * 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / 'results/1.png'), deep[..., ::-1])
    audit = score_pairs(tmp_path / 'results', tmp_path / 'gt')
    first, second = audit.per_picture
    assert first['psnr_rgb+unrounded'] == first['psnr_rgb']
    clean = np.rint(pairs[1][1] * 255) / 255
    assert second['psnr_rgb+unrounded'] == pytest.approx(-10 * np.log10(np.mean((deep / 65535 - clean) ** 2)), abs=1e-5)
    assert second['psnr_rgb+unrounded'] != second['psnr_rgb']
    assert audit.mean['psnr_rgb+unrounded+pooled'] != audit.mean['psnr_rgb+pooled']
    assert 'rounding' in {each.kind for each in effects(audit)}


def test_identical_and_tiny_pictures(tmp_path):
    clean = make_pairs(1, 9, 9)[0][1]
    for role in ('results', 'gt'):
        save(tmp_path / role / 'a.png', clean)
    audit = score_pairs(tmp_path / 'results', tmp_path / 'gt', crops=(2,))
    assert audit.identical == ['a']
    assert audit.mean['psnr_rgb'] == audit.mean['psnr_rgb+pooled'] == 100
    assert np.isnan(audit.mean['ssim_rgb'])
    assert audit.undefined['ssim_rgb'] == '1 of 1 pictures (a: the picture is too small for its window or crop)'
    assert all(np.isfinite(each.difference) for each in effects(audit))


def test_without_ground_truth(tmp_path):
    texture = np.random.default_rng(0).random((192, 100, 3))
    save(tmp_path / 'a.png', texture)
    audit = score_alone(tmp_path)
    saved = np.rint(texture * 255) / 255
    assert audit.mean == {name: score(saved) for name, score in NO_REFERENCE.items()}
    save(tmp_path / 'b.png', texture[:50])
    (tmp_path / 'c.png').write_bytes(b'')
    audit = score_alone(tmp_path)
    assert len(audit.per_picture) == 2
    assert np.isnan(audit.mean['niqe'])
    assert audit.undefined['niqe'].startswith('1 of 2 pictures (b: 100x50 is too small')
    assert 'empty' in audit.refused['c']
    (tmp_path / 'a.png').unlink()
    (tmp_path / 'b.png').unlink()
    with pytest.raises(DataError, match='none of the 1 pictures'):
        score_alone(tmp_path)
