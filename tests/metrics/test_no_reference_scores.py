"""NoReferenceScores: rows, sets without ground truth, reasons."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from PIL import Image
from skimage import data

from restorebox.errors import ConfigError, DataError
from restorebox.metrics.no_reference import NO_REFERENCE
from restorebox.metrics.no_reference_scores import NoReferenceScores
from restorebox.sample import RestorationSample
from tests.factories import write_pairs
from tests.metrics.conftest import make_samples
from tests.processes import call, succeed, write_config

WITHOUT_CLEAN_PICTURES = """
for each in (val_dataloader, test_dataloader):
    each['dataset'] = dict(
        type='DegradedPictures', data_root=root, pipeline=[dict(type='LoadPictures'), dict(type='Pack')]
    )
del each
val_evaluator = test_evaluator = dict(type='NoReferenceScores', protocols=('niqe', 'brisque'))
default_hooks = dict(checkpoint=dict(save_best='niqe'))
"""


def array(tensor):
    return tensor.permute(1, 2, 0).double().numpy()


def test_through_mmengines_evaluator_without_ground_truth(warnings_logged):
    samples = make_samples(3, 192, 96)
    evaluator = Evaluator(dict(type='restorebox.NoReferenceScores', protocols=['niqe', 'brisque']))
    elements = []
    for sample in samples:
        element = RestorationSample(metainfo={'name': sample['name'], 'index': sample['index']})
        element.set_data({role: sample[role] for role in ('pred', 'lq')})
        elements.append(element)
    evaluator.process(elements[1:])
    evaluator.process(elements[:1])
    metrics = evaluator.evaluate(3)
    assert list(metrics) == ['niqe', 'brisque', 'input/niqe', 'input/brisque']
    for name in ('niqe', 'brisque'):
        assert metrics[name] == np.mean([NO_REFERENCE[name](array(sample['pred'])) for sample in samples])
        assert metrics[f'input/{name}'] == np.mean([NO_REFERENCE[name](array(sample['lq'])) for sample in samples])
    assert not warnings_logged
    assert not any('why' in row for row in evaluator.metrics[0].table)


def test_reasons_of_nan(samples, warnings_logged):
    metric = NoReferenceScores(['niqe', 'brisque'])
    spoilt = torch.full_like(samples[1]['pred'], float('nan'))
    metric.process(None, [samples[0], {'pred': spoilt, 'name': 'spoilt', 'index': 1}])
    metrics = metric.evaluate(2)
    assert np.isnan([metrics[name] for name in ('niqe', 'brisque', 'input/brisque')]).all()
    assert metric.table[0]['why']['niqe'] == '80x96 is too small: it needs two blocks of 96x96'
    assert metric.table[1]['why'] == {
        'niqe': 'the picture has nan or infinite values',
        'brisque': 'the picture has nan or infinite values',
        'input/niqe': 'the picture has no input',
        'input/brisque': 'the picture has no input',
    }
    assert 'brisque is nan: 1 of 2 pictures' in ' '.join(warnings_logged)


def test_options():
    metric = NoReferenceScores(['niqe'], do_nothing=False)
    metric.process(None, make_samples(1, 192, 96))
    assert list(metric.evaluate(1)) == ['niqe']
    with pytest.raises(ConfigError, match=r"called 'nique'.*niqe"):
        NoReferenceScores(['nique'])
    with pytest.raises(ConfigError, match='list'):
        NoReferenceScores([])
    with pytest.raises(DataError, match='no index'):
        metric.process(None, [{'pred': torch.zeros(3, 8, 8), 'name': 'a'}])


@pytest.mark.slow
def test_validation_and_test_on_pictures_without_clean_ones(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 2)
    (tmp_path / 'data/test/lq').mkdir(parents=True)
    for name in ('chelsea', 'coffee'):
        Image.fromarray(getattr(data, name)()[:96, :200]).save(tmp_path / f'data/test/lq/{name}.png')
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=2)
    config.write_text(config.read_text() + WITHOUT_CLEAN_PICTURES)
    succeed(call('train.py', config, '--work-dir', tmp_path / 'w', cwd=tmp_path))
    assert (tmp_path / 'w/best_niqe.pth').is_file()
    succeed(call('test.py', config, tmp_path / 'w/iter_1.pth', '--work-dir', tmp_path / 't', cwd=tmp_path))
    scores = json.loads((tmp_path / 't/scores.json').read_text())
    assert [row['name'] for row in scores['per_picture']] == ['chelsea', 'coffee']
    assert set(scores['mean']) == {'niqe', 'brisque', 'input/niqe', 'input/brisque'}
    photo = data.chelsea()[:96, :200] / 255
    assert scores['per_picture'][0]['input/niqe'] == pytest.approx(NO_REFERENCE['niqe'](photo), rel=1e-6)
