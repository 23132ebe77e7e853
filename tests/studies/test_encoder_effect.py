"""The study of the intra loss on three encoders: its configs, intervals and page."""

from __future__ import annotations

import pytest

from restorebox.engine.check import check_types
from restorebox.engine.config import load_config
from tests.conftest import load_study


@pytest.fixture(scope='module')
def study():
    return load_study('encoder_effect')


def runs(scores):
    return [
        {
            'mean': {'psnr_y': score, 'input/psnr_y': 20.0},
            'count': 4,
            'training': dict(seed=i, device='cpu', minutes=1.0),
        }
        for i, score in enumerate(scores)
    ]


def test_interval_by_hand(study):
    assert study.interval([1.0]) is None
    # t(0.975, 2) = 4.3027, standard deviation 1, mean 2
    assert study.interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)


def test_verdicts_of_the_page(study):
    sides = dict(none=[20.0, 20.1, 19.9], RandomConv=[21.0, 21.1, 20.9], EfficientNetLite=[19.0, 19.1, 18.9])
    text = study.page('Photographs', 10, {side: runs(scores) for side, scores in sides.items()})
    rows = {line.split('|')[1].strip(): line for line in text.splitlines() if line.startswith('|')}
    assert rows['none - input'].endswith('| inconclusive: 0 is inside |')
    assert rows['RandomConv - input'].endswith('| above 0 |')
    assert rows['EfficientNetLite - RandomConv'].endswith('| below 0 |')
    assert 'No interval is above the input' not in text
    flat = study.page('Photographs', 10, {side: runs([19.0, 19.1, 18.9]) for side in sides})
    assert 'No interval is above the input' in flat
    assert study.page('Photographs', 10, {side: runs([19.0]) for side in sides}).count('one seed: no interval') == 6


def test_each_side_is_a_valid_config_and_differs_in_its_encoder_only(study):
    encoders = {}
    for side, changed in study.SIDES.items():
        cfg = load_config(study.CONFIG)
        cfg.merge_from_dict(study.overrides(8) | changed)
        check_types(cfg)
        encoders[side] = cfg.model.semantic_encoder.type if cfg.model.lambda_intra else None
    assert encoders == {'none': None, 'RandomConv': 'RandomConv', 'EfficientNetLite': 'EfficientNetLite'}
