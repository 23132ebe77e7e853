"""Scores of estimated layers."""

import numpy as np
import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.metrics.layer_scores import LayerScores
from restorebox.metrics.protocols import LAYER_PROTOCOLS


def sample(index, off=0.1, channels=3):
    t = torch.full((1, 6, 5), 0.5)
    made = {'index': index, 'name': str(index), 'gt': torch.full((3, 6, 5), 0.4)}
    for layer in ('streak', 'transmission', 'airlight'):
        made[layer] = (t + off).expand(3, -1, -1)
        made[f'true_{layer}'] = t.expand(channels, -1, -1)
    made['physics'] = made['gt'] + off
    return made


@pytest.mark.parametrize('channels', [1, 3])
def test_by_hand(channels):
    metric = LayerScores()
    metric.process(None, [sample(0, 0.1, channels), sample(1, 0.2, channels)])
    found = metric.evaluate(2)
    assert set(found) == set(LAYER_PROTOCOLS)
    assert found['mae_airlight'] == pytest.approx(0.15)  # not rounded to 8 bit
    for name in ('psnr_streak', 'psnr_transmission', 'psnr_physics'):
        each = [row[name] for row in metric.table]
        assert each == pytest.approx([20.0, 13.98], abs=0.2)
        assert found[name] == pytest.approx(np.mean(each))


def test_a_layer_that_some_pictures_lack_has_no_mean():
    metric = LayerScores(('psnr_streak', 'mae_airlight'))
    first, second = sample(0), sample(1)
    del second['true_streak'], first['true_airlight'], second['true_airlight']
    metric.process(None, [first, second])
    found = metric.evaluate(2)
    assert set(found) == {'psnr_streak'}
    assert np.isnan(found['psnr_streak'])
    assert metric.table[0]['psnr_streak'] == pytest.approx(20.0, abs=0.2)
    assert metric.table[1]['why'] == {'psnr_streak': 'it lacks true_streak'}
    assert metric.undefined == {'psnr_streak': '1 of 2 pictures without a number (1: it lacks true_streak)'}
    assert 'true_airlight' in metric.unavailable['mae_airlight']


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_layer_that_is_no_number_makes_the_mean_nan(bad):
    metric = LayerScores()
    spoilt = sample(1)
    spoilt['streak'] = torch.full((3, 6, 5), bad)
    metric.process(None, [sample(0), spoilt])
    found = metric.evaluate(2)
    assert [name for name, value in found.items() if np.isnan(value)] == ['psnr_streak']
    assert 'the prediction has nan or infinite values' in metric.undefined['psnr_streak']


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="no protocol is called 'psnr_streaks'; did you mean 'psnr_streak'"):
        LayerScores(('psnr_streaks',))
    with pytest.raises(ConfigError, match='must be a list'):
        LayerScores('psnr_streak')
