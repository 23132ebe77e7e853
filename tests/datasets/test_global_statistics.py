"""Statistics of the scene from which a crop is taken."""

import numpy as np
import pytest
import torch

from restorebox.datasets.global_statistics import SurveyScene
from restorebox.datasets.rounding import RoundPicture
from restorebox.datasets.transforms import Pack, RandomWindow
from restorebox.errors import ConfigError, DataError
from restorebox.layers.global_statistics import scene_statistics


def sample():
    rng = np.random.default_rng(0)
    lq = rng.random((64, 80, 3), dtype=np.float32)
    return {
        'gt': np.zeros((64, 80, 3), np.uint8),
        'lq': lq,
        'rng': rng,
        'name': 'x',
        'index': 0,
        'paths': {},
        'bad': (),
    }


def test_a_crop_keeps_the_statistics_of_its_scene():
    results = SurveyScene().transform(RoundPicture().transform(sample()))
    whole = torch.from_numpy(results['lq']).permute(2, 0, 1)[None]
    results = RandomWindow(16, roles=('lq', 'gt')).transform(results)
    packed = Pack(roles=('lq', 'gt', 'scene')).transform(results)['inputs']
    assert packed['lq'].shape == (3, 16, 16)
    assert packed['lq'].dtype == torch.uint8
    torch.testing.assert_close(packed['scene'], scene_statistics(whole)[0])


def test_statistics_need_its_picture():
    results = sample()
    with pytest.raises(DataError, match="SurveyScene: sample x has no role 'rain'"):
        SurveyScene(source='rain').transform(results)
    with pytest.raises(DataError, match="would overwrite 'gt'"):
        SurveyScene(target='gt').transform(results)


def test_jitter_changes_the_amount_of_texture_only():
    exact = SurveyScene().transform(RoundPicture().transform(sample()))['scene']
    made = RoundPicture().transform(sample())
    made['rng'] = np.random.default_rng(0)
    varied = SurveyScene(jitter=0.5).transform(made)['scene']
    np.testing.assert_array_equal(varied[..., [0, 1, 2, 6]], exact[..., [0, 1, 2, 6]])
    factors = [np.median(varied[..., i] / exact[..., i]) for i in (3, 4, 5)]
    for i, factor in zip((3, 4, 5), factors, strict=True):
        np.testing.assert_allclose(varied[..., i], exact[..., i] * factor, rtol=1e-5)
    assert len({round(float(factor), 3) for factor in factors}) == 3
    for jitter in (-1, 3, float('nan'), 'a'):
        with pytest.raises(ConfigError, match=r'SurveyScene: jitter is .* between 0 and 2'):
            SurveyScene(jitter=jitter)
