"""FID against pytorch-fid's own functions on the same weights file."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from PIL import Image

from restorebox.encoders.frozen import INCEPTION_FILE
from restorebox.errors import ConfigError, DataError, WeightsError
from restorebox.metrics.fid import FID, inception_network

pytestmark = pytest.mark.slow


def save_all(samples, role, folder):
    folder.mkdir()
    for sample in samples:
        picture = (sample[role].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(picture).save(folder / f'{sample["name"]}.png')
    return str(folder)


@pytest.fixture
def library_fid(samples, with_weights, tmp_path):
    """pytorch-fid's own answer, from PNG files."""
    from pytorch_fid.fid_score import calculate_fid_given_paths

    folders = {role: save_all(samples, role, tmp_path / role) for role in ('pred', 'lq', 'gt')}
    options = dict(batch_size=2, device='cpu', dims=64, num_workers=0)
    return {
        role: calculate_fid_given_paths([folders[role], folders['gt']], **options) for role in ('pred', 'lq')
    }, folders


def test_fid_is_the_librarys(samples, library_fid, warnings_logged):
    wanted, folders = library_fid
    metric = FID(dims=64, batch_size=2)
    metric.process(None, samples[2:])
    metric.process(None, [])
    metric.process(None, samples[:2])
    metrics = metric.evaluate(5)
    assert metrics['fid'] == pytest.approx(wanted['pred'], rel=1e-3)
    assert metrics['input/fid'] == pytest.approx(wanted['lq'], rel=1e-3)
    assert metrics['input/fid'] > metrics['fid'] > 1e-3
    assert warnings_logged == ['fid of 5 pictures with 64 features is biased: compare sets of equal size only']

    unpaired = FID(dims=64, reference=folders['gt'])
    for _ in range(2):
        unpaired.process(None, [{k: v for k, v in sample.items() if k != 'gt'} for sample in samples])
        again = unpaired.evaluate(5)
        assert again['fid'] == pytest.approx(metrics['fid'], rel=1e-4)
        assert again['input/fid'] == pytest.approx(metrics['input/fid'], rel=1e-4)


def test_activations_are_the_librarys_at_full_depth(samples, with_weights):
    from pytorch_fid.inception import InceptionV3

    metric = FID(batch_size=3)
    pictures = [samples[0]['gt'], samples[1]['gt'][:, :50]]
    found = metric._activations(pictures)
    assert found.shape == (2, 2048)
    library = InceptionV3([3]).eval()
    for vector, picture in zip(found, pictures, strict=True):
        with torch.no_grad():
            wanted = library((picture * 255).round()[None] / 255)[0].flatten().numpy()
        np.testing.assert_allclose(vector, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
        assert wanted.std() > 0


def test_absent_weights_cost_one_warning(samples, without_weights, warnings_logged, tmp_path):
    folder = save_all(samples[:2], 'gt', tmp_path / 'clean')
    for metric in (FID(dims=64), FID(dims=64, reference=folder)):
        warnings_logged.clear()
        for _ in range(2):
            metric.process(None, samples[:2])
            metric.process(None, samples[2:])
            assert metric.evaluate(5) == {}
            assert list(metric.unavailable) == ['fid']
        assert len(warnings_logged) == 1
        assert INCEPTION_FILE in warnings_logged[0]
        assert str(without_weights) in warnings_logged[0]


def test_too_few_pictures(samples, warnings_logged):
    metric = FID(weights='random', dims=64)
    metric.process(None, samples[:1])
    assert metric.evaluate(1) == {}
    assert 'at least 2' in metric.unavailable['fid']
    metric.process(None, samples)
    assert metric.evaluate(5)['fid'] > 0  # a reason of one set does not stick to the next
    assert metric.unavailable == {}


@pytest.mark.parametrize(('role', 'spoilt'), [('pred', ['fid']), ('lq', ['input/fid']), ('gt', ['fid', 'input/fid'])])
def test_a_picture_that_is_no_number_makes_it_nan(samples, warnings_logged, role, spoilt):
    picture = samples[1][role].clone()
    picture[0, 0, 0] = float('inf')
    metric = FID(weights='random', dims=64)
    metric.process(None, [samples[0], {**samples[1], role: picture}, samples[2]])
    metrics = metric.evaluate(3)
    assert [name for name, value in metrics.items() if np.isnan(value)] == spoilt
    assert list(metric.undefined) == spoilt
    assert metric.undefined[spoilt[0]].startswith('1 of 3 pictures without a number (picture_1: ')
    assert any(line.startswith(f'{spoilt[0]} is nan: 1 of 3') for line in warnings_logged)


def test_a_picture_without_its_input_leaves_no_row_of_fewer(samples, warnings_logged):
    metric = FID(weights='random', dims=64)
    metric.process(None, [{**samples[0], 'lq': samples[0]['lq'][:, ::2]}, *samples[1:3]])
    metrics = metric.evaluate(3)
    assert metrics['fid'] > 0
    assert np.isnan(metrics['input/fid'])
    assert 'the size of its gt' in metric.undefined['input/fid']


def test_a_reference_with_a_name_that_is_not_utf8(samples, tmp_path):
    folder = save_all(samples[:3], 'gt', tmp_path / 'clean')
    os.rename(f'{folder}/picture_0.png', os.fsencode(folder) + b'/caf\xe9.png')
    metric = FID(weights='random', dims=64, reference=folder)
    metric.process(None, samples[:3])
    assert metric.evaluate(3)['fid'] > 0


def test_users_mistakes(samples, tmp_path):
    with pytest.raises(ConfigError, match='2048'):
        FID(dims=2000)
    with pytest.raises(DataError, match='reference'):
        FID(reference=str(tmp_path))
    with pytest.raises(DataError, match=r'picture_1.*reference'):
        FID(weights='random').process(None, [{k: v for k, v in samples[1].items() if k != 'gt'}])
    torch.save({'a': torch.ones(1)}, tmp_path / 'other.pth')
    with pytest.raises(WeightsError, match=r'other\.pth does not hold'):
        inception_network(str(tmp_path / 'other.pth'), 64)
