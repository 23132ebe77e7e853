"""The study of CCLGAN's laptop setting: its arms are valid, and its page counts what has left the identity."""

from __future__ import annotations

from restorebox.engine.running import check_config
from tests.conftest import load_study


def test_each_arm_is_a_valid_config():
    study = load_study('unpaired_setting')
    for method, _, _, changed in study.ARMS.values():
        assert check_config(study.config_of(method), study.schedule(method, 1600) | changed) == []


def result(seed, gain):
    mean = {'psnr_y': 26 + gain, 'input/psnr_y': 26.0, 'ssim_y': 0.85, 'input/ssim_y': 0.85}
    return {'mean': mean, 'count': 20, 'training': {'seed': seed, 'minutes': 2.0, 'device': 'cpu'}}


def test_the_page_counts_the_runs_that_have_left_the_identity():
    study = load_study('unpaired_setting')
    text = study.page('Pictures', 1600, {'cut': [result(0, 1.0), result(1, 0.05), result(2, -0.3)]})
    row = text.splitlines()[-1]
    assert '+1.00, +0.05, -0.30' in row
    assert '2 of 3' in row
    assert '| +0.25 |' in row
