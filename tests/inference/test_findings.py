"""Decomposition of what a restoration changed: each kind of damage, nothing, bit depths, sizes."""

from itertools import product

import cv2
import numpy as np
import pytest

from restorebox.degradations.compose import build_degradation
from restorebox.inference.files import PictureFile
from restorebox.inference.findings import KINDS, Findings, examine, find_damage
from restorebox.pixels import to_uint8, to_uint16
from tests.conftest import REPO

KIND = {
    'veil': dict(type='Veil'),
    'streaks': dict(type='LineRain'),
    'noise': dict(type='GaussianNoise', sigma=(15, 15)),
    'blur': dict(type='GaussianBlur', sigma=(1.5, 1.5)),
    'blocks': dict(type='JPEG', quality=(20, 20)),
}


@pytest.fixture(scope='module')
def clean():
    """Shapes with sharp edges and texture over a gradient, (240, 336, 3) uint8."""
    rng = np.random.default_rng(0)
    picture = np.full((240, 336, 3), 90, np.float32)
    picture += np.linspace(-40, 40, 336, dtype=np.float32)[None, :, None]
    for _ in range(60):
        x, y, radius = (int(rng.integers(*ends)) for ends in ((0, 336), (0, 240), (5, 30)))
        cv2.circle(picture, (x, y), radius, rng.uniform(20, 200, 3).tolist(), -1, cv2.LINE_AA)
    texture = cv2.GaussianBlur(rng.normal(0, 30, picture.shape[:2]).astype(np.float32), (0, 0), 1)
    return to_uint8(np.clip(picture + texture[..., None], 0, 255) / 255)


def degraded(clean, kind):
    return to_uint8(build_degradation(KIND[kind])(clean, np.random.default_rng(1))['lq'])


def strongest(found):
    return max(found.strengths, key=lambda kind: found.strengths[kind])


@pytest.mark.parametrize('kind', KIND)
def test_each_kind_is_found_and_no_other(clean, kind):
    found = find_damage(degraded(clean, kind), clean)
    assert set(found.strengths) == {kind}
    assert 1 < found.strengths[kind] < found.change * 1.2
    assert str(found) == f'{kind} {found.strengths[kind]:.1f}'


def test_noise_is_in_levels(clean):
    grey = dict(type='GreyNoise', sigma=(8, 8))
    lq = to_uint8(build_degradation(grey)(clean, np.random.default_rng(1))['lq'])
    found = find_damage(lq, clean)
    assert found.strengths['noise'] == pytest.approx(8, rel=0.1)
    assert found.change == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize('pair', [('veil', 'noise'), ('veil', 'streaks'), ('streaks', 'noise')])
def test_two_kinds_are_both_found(clean, pair):
    lq = clean
    for kind in pair:
        lq = degraded(lq, kind)
    assert set(find_damage(lq, clean).strengths) == set(pair)


def test_nothing_is_found_where_little_changes(clean):
    assert find_damage(clean, clean) == Findings(0.0, {})
    assert str(find_damage(clean, clean)) == 'nothing'
    lq = clean.copy()
    lq[::2] += 1
    found = find_damage(lq, clean)
    assert found.change == pytest.approx(0.7, abs=0.02)
    assert not found.strengths


def test_damage_in_a_small_part_is_found(clean):
    large = np.tile(clean, (8, 6, 1))
    lq = large.copy()
    lq[:240, :336] = degraded(clean, 'noise')
    found = find_damage(lq, large)
    assert set(found.strengths) == {'noise'}
    lq[:240, :336] = clean
    assert not find_damage(lq, large).strengths


def test_another_change_is_named_so(clean):
    brighter = np.clip(clean.astype(int) + np.array([40, -20, 0]), 0, 255).astype(np.uint8)
    found = find_damage(brighter, clean)
    assert set(found.strengths) == {'other'}
    assert found.strengths['other'] == found.change > 15


@pytest.mark.parametrize('kind', KIND)
def test_the_bit_depth_makes_no_difference(clean, kind):
    lq = degraded(clean, kind)
    eight = find_damage(lq, clean)
    deep = find_damage(to_uint16(lq), to_uint16(clean))
    floats = find_damage((lq / 255).astype(np.float32), (clean / 255).astype(np.float32))
    for other in (deep, floats):
        assert other.strengths == pytest.approx(eight.strengths, rel=1e-2)


@pytest.mark.parametrize('kind', KIND)
def test_the_strength_of_the_restoration_makes_no_difference(clean, kind):
    lq = degraded(clean, kind)
    half = to_uint8((lq.astype(float) + clean) / 2 / 255)
    found = find_damage(lq, half, 0.5)
    assert strongest(found) == kind
    assert found.change == pytest.approx(find_damage(lq, clean).change, rel=0.05)


@pytest.mark.parametrize('size', product((1, 7, 40), (1, 33, 300)))
def test_any_size_is_examined(size):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2))
    found = find_damage(a, b)
    assert found.strengths
    assert set(found.strengths) <= set(KINDS)
    assert all(np.isfinite(value) and value > 0 for value in found.strengths.values())


def test_a_large_picture_is_sampled(monkeypatch):
    from restorebox.inference import findings

    sizes = []
    inner = findings._examined
    monkeypatch.setattr(findings, '_examined', lambda *pair: sizes.append(pair[0].shape) or inner(*pair))
    picture = np.zeros((4096, 3072, 3), np.uint8)
    find_damage(picture, picture)
    assert len(sizes) == findings.MOST_BLOCKS
    assert max(map(max, sizes)) <= 1.5 * findings.BLOCK


def test_pages_are_merged(clean):
    def file(*pages):
        first, *more = [PictureFile(page) for page in pages]
        first.more = more
        return first

    noisy, veiled = degraded(clean, 'noise'), degraded(clean, 'veil')
    found = examine(file(noisy, clean, veiled), file(clean, clean, clean))
    assert list(found.strengths) == ['veil', 'noise']
    assert found.strengths['noise'] == find_damage(noisy, clean).strengths['noise']
    assert str(examine(file(clean, clean), file(clean, clean))) == 'nothing'


def test_the_stored_study_is_of_these_kinds():
    import json

    facts = json.loads((REPO / 'docs/results/findings.json').read_text())
    ideal = facts['tables']['clean picture as restored one']
    assert set(KINDS) - {'other'} == {row['kind'] for row in ideal.values()} - {'nothing'}
    for row in ideal.values():
        assert row['kind is strongest'] >= 0.9 * row['pictures']
