"""NIQE and BRISQUE against values of other implementations, and on damaged photographs.

Set RESTOREBOX_GOLDEN to a folder with the pictures of ``GOLDEN`` to compare with the values that their authors give.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from restorebox.datasets import read_picture
from restorebox.metrics.no_reference import NO_REFERENCE, brisque, niqe, niqe_y, why_without_number
from tests.conftest import load_study

# BasicSR's implementation (commit of v1.4.2), which is MATLAB's to 1e-6 on baboon.png
PEER = {
    'astronaut': {'niqe': 3.065776, 'niqe_y': 3.064948},
    'coffee': {'niqe': 4.058494, 'niqe_y': 4.115242},
    'chelsea': {'niqe': 2.572083, 'niqe_y': 2.625524},
}

GOLDEN = load_study('no_reference').GOLDEN


def photo(name):
    return getattr(data, name)() / 255.0


@pytest.mark.parametrize('name', PEER)
def test_niqe_is_that_of_a_peer(name):
    for score, value in PEER[name].items():
        assert NO_REFERENCE[score](photo(name)) == pytest.approx(value, rel=5e-4)


@pytest.mark.skipif('RESTOREBOX_GOLDEN' not in os.environ, reason='RESTOREBOX_GOLDEN names no folder of pictures')
@pytest.mark.parametrize('file', GOLDEN)
def test_the_authors_values(file):
    picture = read_picture(Path(os.environ['RESTOREBOX_GOLDEN']) / file) / 255.0
    for score, value in GOLDEN[file].items():
        # BRISQUE of I08 and I19 depends on rounding errors in flat regions of the authors' code, see the docs
        bound = dict(rel=0.01) if score != 'brisque' else dict(abs=2.5 if file in ('I08.bmp', 'I19.bmp') else 0.01)
        assert NO_REFERENCE[score](picture) == pytest.approx(value, **bound)


@pytest.mark.parametrize('score', [niqe, brisque])
def test_damage_raises_the_score(score):
    clean = photo('chelsea')[:288, :384]
    rng = np.random.default_rng(1)
    draws = rng.standard_normal(clean.shape)
    noisy = [score(clean + draws * sigma / 255) for sigma in (0, 10, 25, 50)]
    blurred = [score(gaussian_filter(clean, (sigma, sigma, 0))) for sigma in (0, 1, 2, 4)]
    pixels = np.rint(clean * 255).astype(np.uint8)
    coded = [score(clean)]
    for quality in (30, 10, 5):
        jpeg = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        coded.append(score(cv2.imdecode(jpeg, cv2.IMREAD_COLOR) / 255.0))
    for scores in (noisy, blurred, coded):
        assert all(before < after for before, after in pairwise(scores)), scores


def test_a_picture_without_number_has_a_reason():
    texture = np.random.default_rng(0).random((192, 96, 3))
    assert np.isfinite([score(texture) for score in (niqe, niqe_y, brisque)]).all()
    assert np.isnan(niqe(texture[:191]))
    assert why_without_number('niqe', texture[:191]) == '96x191 is too small: it needs two blocks of 96x96'
    assert np.isfinite(brisque(texture[:16, :16]))
    assert np.isnan(brisque(texture[:15]))
    assert why_without_number('brisque', texture[:15]) == '96x15 is too small: it needs 16x16'
    for score in NO_REFERENCE:
        assert np.isnan(NO_REFERENCE[score](np.full((192, 192, 3), 0.5)))
        assert why_without_number(score, np.full((192, 192, 3), 0.5)) == 'the picture is flat'
        assert np.isnan(NO_REFERENCE[score](np.full((192, 192, 3), np.nan)))
        assert 'nan or infinite' in why_without_number(score, np.full((192, 192, 3), np.nan))
    half = np.concatenate([texture, np.full_like(texture, 0.5), texture], axis=1)
    assert np.isfinite(niqe(half))  # flat blocks are left out of the covariance


def test_scores_are_of_the_picture_as_saved():
    clean = photo('coffee')[:192, :192]
    for score in NO_REFERENCE.values():
        assert score(clean + 0.3 / 255) == score(clean)
        assert score(np.where(clean == 1, 1.5, clean)) == score(clean)
