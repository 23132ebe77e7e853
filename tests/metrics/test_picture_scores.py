"""PictureScores: rows, do-nothing rows, absent weights, LPIPS against its library."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from restorebox.encoders.frozen import ALEXNET_FILE
from restorebox.errors import ConfigError, DataError
from restorebox.metrics import PROTOCOLS
from restorebox.metrics.picture_scores import PictureScores
from restorebox.sample import RestorationSample


def array(tensor):
    return tensor.permute(1, 2, 0).double().numpy()


def test_through_mmengines_evaluator(samples, warnings_logged):
    evaluator = Evaluator(dict(type='restorebox.PictureScores', protocols=['psnr_y', 'ssim_rgb']))
    elements = []
    for sample in samples:
        element = RestorationSample(metainfo={'name': sample['name'], 'index': sample['index']})
        element.set_data({role: sample[role] for role in ('pred', 'lq', 'gt')})
        elements.append(element)
    evaluator.process(elements[3:])
    evaluator.process([])
    evaluator.process(elements[:3])
    metrics = evaluator.evaluate(5)
    wanted = [PROTOCOLS['psnr_y'](array(s['pred']), array(s['gt'])) for s in samples]
    nothing = [PROTOCOLS['psnr_y'](array(s['lq']), array(s['gt'])) for s in samples]
    assert list(metrics) == ['psnr_y', 'ssim_rgb', 'input/psnr_y', 'input/ssim_rgb']
    assert metrics['psnr_y'] == np.mean(wanted)
    assert metrics['input/psnr_y'] == np.mean(nothing)
    assert metrics['psnr_y'] > metrics['input/psnr_y'] + 3  # the error of the input is twice as large
    table = evaluator.metrics[0].table
    assert [row['name'] for row in table] == [f'picture_{k}' for k in range(5)]
    assert [row['psnr_y'] for row in table] == wanted
    assert not warnings_logged
    evaluator.process(elements[:2])
    assert evaluator.evaluate(2)['psnr_y'] == np.mean(wanted[:2])  # nothing is left of the first evaluation
    assert len(evaluator.metrics[0].table) == 2


def test_input_of_another_size_has_no_row(samples, warnings_logged):
    metric = PictureScores(['psnr_rgb'])
    metric.process(None, [{**samples[0], 'lq': samples[0]['lq'][:, ::2, ::2]}, samples[1]])
    metrics = metric.evaluate(2)
    assert np.isnan(metric.table[0]['input/psnr_rgb'])
    assert metric.table[0]['why'] == {'input/psnr_rgb': 'the input does not have the size of its gt'}
    assert 'why' not in metric.table[1]
    assert np.isnan(metrics['input/psnr_rgb'])  # the mean of one picture is not that of the set
    assert metrics['psnr_rgb'] > 0
    reason = 'picture_0: the input does not have the size of its gt'
    assert warnings_logged == [f'input/psnr_rgb is nan: 1 of 2 pictures without a number ({reason})']
    metric.process(None, [{**sample, 'lq': sample['lq'][:, ::2, ::2]} for sample in samples[:2]])
    assert list(metric.evaluate(2)) == ['psnr_rgb']
    metric = PictureScores(['psnr_rgb'], do_nothing=False)
    metric.process(None, samples)
    assert list(metric.evaluate(5)) == ['psnr_rgb']


def test_a_picture_too_small_for_a_score_makes_its_mean_nan(samples, warnings_logged):
    tiny = {**{role: samples[0][role][:, :5, :5] for role in ('pred', 'gt')}, 'name': 'tiny', 'index': 9}
    metric = PictureScores(['ssim_y', 'psnr_y', 'lpips_vgg'], lpips_weights='random')
    metric.process(None, [samples[0], tiny])
    metrics = metric.evaluate(2)
    assert np.isnan(metric.table[1]['ssim_y'])
    assert np.isnan(metric.table[1]['lpips_vgg'])
    assert np.isnan(metrics['ssim_y'])
    assert np.isnan(metrics['lpips_vgg'])
    assert metrics['psnr_y'] == np.mean([row['psnr_y'] for row in metric.table])
    small = '1 of 2 pictures without a number (tiny: 5x5 is too small for this score)'
    assert {name: metric.undefined[name] for name in ('ssim_y', 'lpips_vgg')} == {'ssim_y': small, 'lpips_vgg': small}
    assert f'ssim_y is nan: {small}' in warnings_logged


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('whole', [True, False])
def test_outputs_that_are_not_finite_are_not_scored(samples, warnings_logged, bad, whole):
    spoilt = samples[0]['pred'].clone()
    spoilt[... if whole else (1, -1, -1)] = bad  # one pixel of a corner, which no window of LPIPS sees
    names = ['psnr_y', 'ssim_rgb', 'psnr_rgb@32', 'lpips_alex']
    metric = PictureScores(names, lpips_weights='random')
    metric.process(None, [{**samples[0], 'pred': spoilt, 'name': 'a\udce9\n'}, *samples[1:3]])
    metrics = metric.evaluate(3)
    for name in names:
        assert np.isnan(metrics[name]), name
        assert metrics[f'input/{name}'] == np.mean([row[f'input/{name}'] for row in metric.table])
        assert metric.table[1][name] > 0
    line = r'1 of 3 pictures without a number (a\xe9\n: the prediction has nan or infinite values)'
    assert metric.undefined == dict.fromkeys(names, line)
    assert warnings_logged == [f'{name} is nan: {line}' for name in names]
    metric.process(None, samples[:3])
    assert metric.evaluate(3)['psnr_y'] > 0  # what one validation had does not stick to the next
    assert metric.undefined == {}


def test_two_pictures_of_one_index_are_refused(samples):
    metric = PictureScores(['psnr_y'])
    metric.process(None, [samples[0], {**samples[1], 'index': 0}])
    with pytest.raises(DataError, match="the index 0: 'picture_0' and 'picture_1'"):
        metric.evaluate(2)


def test_users_mistakes(samples):
    for without in ({k: v for k, v in samples[2].items() if k != 'gt'}, {**samples[2], 'gt': None}):
        with pytest.raises(DataError, match=r'picture_2.*no gt.*FID'):
            PictureScores().process(None, [without])
    with pytest.raises(DataError, match=r'picture_2.*no index'):
        PictureScores().process(None, [{k: v for k, v in samples[2].items() if k != 'index'}])
    with pytest.raises(DataError, match=r'picture_2.*prediction is'):
        PictureScores().process(None, [{**samples[2], 'pred': samples[2]['pred'][:, :-1]}])
    with pytest.raises(ConfigError, match='psnr_y'):
        PictureScores(['psnr_Y', 'ssimm_y'])
    with pytest.raises(ConfigError, match='list'):
        PictureScores('psnr_y')


def test_missing_pictures_are_noticed(samples, warnings_logged):
    metric = PictureScores(['psnr_y'])
    metric.process(None, [samples[0], samples[0]])
    metric.evaluate(3)
    assert len(metric.table) == 1
    assert warnings_logged == ['PictureScores: 1 of 3 pictures were scored']
    assert metric.evaluate(3) == {}


def test_absent_weights_cost_one_warning(samples, without_weights, warnings_logged):
    metric = PictureScores(['psnr_y', 'lpips_alex', 'lpips_alex@64'])
    for _ in range(2):
        for sample in samples:
            metric.process(None, [sample])
        metrics = metric.evaluate(5)
        assert set(metrics) == {'psnr_y', 'input/psnr_y'}
        assert set(metric.unavailable) == {'lpips_alex', 'lpips_alex@64'}
        assert 'lpips_alex' not in metric.table[0]
    reason = metric.unavailable['lpips_alex']
    assert ALEXNET_FILE in reason
    assert str(without_weights / 'hub' / 'checkpoints') in reason
    assert len(warnings_logged) == 2
    assert all(ALEXNET_FILE in line and '\n' not in line for line in warnings_logged)


@pytest.mark.parametrize('net', ['alex', 'vgg'])
def test_lpips_is_the_librarys(net, samples, with_weights):
    import lpips

    metric = PictureScores([f'lpips_{net}'])
    metric.process(None, samples)
    metrics = metric.evaluate(5)
    library = lpips.LPIPS(net=net, verbose=False)  # reads the same local weights files on its own
    for role, prefix in (('pred', ''), ('lq', 'input/')):
        wanted = []
        for sample in samples:
            pair = [(x.clamp(0, 1) * 255).round()[None] / 127.5 - 1 for x in (sample[role], sample['gt'])]
            with torch.no_grad():
                wanted.append(library(*pair).item())
        found = [row[f'{prefix}lpips_{net}'] for row in metric.table]
        np.testing.assert_allclose(found, wanted, rtol=1e-4)
        assert metrics[f'{prefix}lpips_{net}'] == pytest.approx(np.mean(wanted), rel=1e-4)
        assert min(wanted) > 1e-4
