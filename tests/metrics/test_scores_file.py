"""scores.json and the table made from it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from restorebox.metrics import score_table, write_scores
from restorebox.metrics.picture_scores import PictureScores

GIVEN = dict(
    metrics={
        'psnr_y': 30.0,
        'lpips_alex@256': 0.2,
        'input/psnr_y': 24.5,
        'input/lpips_alex@256': 0.3,
        'fid': float('nan'),
    },
    tables=[
        [{'index': 1, 'name': 'b', 'psnr_y': 31.0}, {'index': 0, 'name': 'a', 'psnr_y': float('nan')}],
        [{'index': 0, 'name': 'a', 'lpips_alex@256': 0.2}],
    ],
    unavailable={'lpips_vgg': 'weights file vgg16 is not there'},
    config='configs/x.py',
    checkpoint='x.pth',
    sha256='ab12',
    tiled=True,
    statistics_window=256,
)


def test_schema(tmp_path):
    path = tmp_path / 'new' / 'scores.json'
    returned = write_scores(path, **GIVEN, extra={'compute': {'minutes': 3.5, 'steps': None}})
    scores = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f'{word} is no JSON'))
    assert scores == returned
    assert scores['protocols'] == ['psnr_y', 'lpips_alex@256', 'fid', 'lpips_vgg']
    assert scores['mean'] == {**GIVEN['metrics'], 'fid': None}
    assert scores['per_picture'] == [
        {'index': 0, 'name': 'a', 'psnr_y': None, 'lpips_alex@256': 0.2},
        {'index': 1, 'name': 'b', 'psnr_y': 31.0},
    ]
    assert scores['undefined'] == {'psnr_y': 1}
    assert scores['count'] == 2
    assert scores['unavailable'] == GIVEN['unavailable']
    assert scores['config'] == 'configs/x.py'
    assert scores['checkpoint'] == {'path': 'x.pth', 'sha256': 'ab12'}
    assert scores['inference'] == {'mode': 'tiled', 'statistics_window': 256}
    assert scores['compute'] == {'minutes': 3.5, 'steps': None}
    versions = scores['libraries']
    assert {'python', 'torch', 'torchvision', 'mmengine', 'numpy', 'scipy', 'lpips', 'pytorch_fid'} <= set(versions)
    assert versions['numpy'][0].isdigit()
    assert scores['device']
    assert scores['date'].endswith('+00:00')
    with pytest.raises(ValueError, match='mean'):
        write_scores(path, **GIVEN, extra={'mean': {}})


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'scores.json'
    write_scores(path, **GIVEN)
    before = path.read_bytes()

    def die(source, target):
        assert os.path.dirname(source) == str(tmp_path)  # a rename within one file system is atomic
        assert json.loads(Path(source).read_text())['count'] == 2
        assert path.read_bytes() == before
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', die)
    with pytest.raises(KeyboardInterrupt):
        write_scores(path, **{**GIVEN, 'config': 'another'})
    assert path.read_bytes() == before
    with pytest.raises(TypeError):
        write_scores(path, **{**GIVEN, 'config': object()})
    assert os.listdir(tmp_path) == ['scores.json']


def test_table(tmp_path):
    table = score_table(write_scores(tmp_path / 'scores.json', **GIVEN))
    lines = table.splitlines()
    assert lines[0].split() == ['psnr_y', 'lpips_alex@256', 'fid', 'lpips_vgg']
    assert lines[2].split() == ['input', '(do', 'nothing)', '24.50', '0.3000', '-', '-']
    assert lines[3].split() == ['restored', '30.00', '0.2000', 'nan', '-']
    assert lines[4].split() == ['gain', '+5.50', '+0.1000', '-', '-']  # less LPIPS is a gain
    assert lines[5:] == [
        '2 pictures',
        'psnr_y: undefined for 1 of these pictures',
        'lpips_vgg is not available: weights file vgg16 is not there',
    ]


def test_the_reason_for_a_mean_that_is_not_finite_is_stored(tmp_path):
    reasons = {'psnr_y': r'1 of 2 pictures without a number (caf\xe9: the prediction has nan or infinite values)'}
    nan, mean = float('nan'), {'psnr_y': float('nan'), 'input/psnr_y': 24.5}
    rows = [{'index': 0, 'name': 'a', 'psnr_y': 31.0}, {'index': 1, 'name': 'b', 'psnr_y': nan, 'why': {'psnr_y': 'w'}}]
    given = {**GIVEN, 'metrics': mean, 'tables': [rows], 'unavailable': {}, 'reasons': reasons}
    skipped = [{'index': 2, 'name': 'x\x1b[31m\udce9', 'reason': 'empty'}]
    scores = write_scores(tmp_path / 'scores.json', **given, extra={'skipped': skipped})
    assert scores['mean'] == {'psnr_y': None, 'input/psnr_y': 24.5}
    assert scores['reasons'] == reasons
    assert scores['undefined'] == {'psnr_y': 1}
    assert scores['per_picture'][1]['why'] == {'psnr_y': 'w'}
    lines = score_table(scores).splitlines()
    assert [line.split()[-1] for line in lines[2:5]] == ['24.50', 'nan', 'nan']
    assert lines[5:] == [
        '2 pictures',
        r'1 unreadable and not scored: x\x1b[31m\xe9',
        f'psnr_y is nan: {reasons["psnr_y"]}',
    ]


@pytest.mark.parametrize('name', [os.fsdecode(b'caf\xe9'), 'a\nb\x1b[0m', '雨', '\udcff\udc80'])
def test_every_name_reads_back(tmp_path, name):
    rows = [{'index': 0, 'name': name, 'psnr_y': 31.0}]
    write_scores(tmp_path / 'scores.json', **{**GIVEN, 'tables': [rows]})
    text = (tmp_path / 'scores.json').read_bytes().decode()  # UTF-8
    found = json.loads(text)['per_picture'][0]['name']
    assert found == name
    assert os.fsencode(found) == os.fsencode(name)


def test_from_a_metric(tmp_path, samples):
    metric = PictureScores(['psnr_y', 'ssim_y'])
    metric.process(None, samples)
    metrics = metric.evaluate(5)
    scores = write_scores(
        tmp_path / 'scores.json',
        **{**GIVEN, 'metrics': metrics, 'tables': [metric.table], 'unavailable': metric.unavailable},
    )
    assert scores['count'] == 5
    assert sorted(scores['per_picture'][4]) == ['index', 'input/psnr_y', 'input/ssim_y', 'name', 'psnr_y', 'ssim_y']
    assert f'{metrics["psnr_y"]:.2f}' in score_table(scores)
