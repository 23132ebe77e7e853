"""``restorebox score``: tables, files, exit codes, and one line for each mistake."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from restorebox.cli.main import main


@pytest.fixture
def folders(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    for k in range(2):
        clean = rng.integers(20, 230, (48, 40, 3))
        for role, picture in (('gt', clean), ('results', clean + rng.integers(-9, 10, clean.shape))):
            (tmp_path / role).mkdir(exist_ok=True)
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / role / f'{k}.png')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args):
    try:
        main(['score', *args])
    except SystemExit as end:
        return end.code
    return 0


def test_tables_files_and_a_claim(folders, capsys):
    assert run('results', '--gt', 'gt', '--crop', '4') == 0
    first = json.loads((folders / 'work_dirs/score/score.json').read_text())
    means = {each['name']: each['mean'] for each in first['protocols']}
    claim = f'{means["psnr_y+crop4"]:.3f}/{means["ssim_rgb"]:.4f}'
    capsys.readouterr()
    assert run('results', '--gt', 'gt', '--claimed', claim, '--published', 'Rain100L/PromptIR', '--out', 'o') == 0
    out = capsys.readouterr().out
    assert 'psnr_y+crop4 ' in out
    assert 'none of 60 variants gives it' in out
    assert '2 pictures scored' in out
    content = json.loads((folders / 'o/score.json').read_text())
    assert 'psnr_y+crop4' in content['claims'][0]['matches']
    assert 'ssim_rgb' in content['claims'][1]['matches']
    assert content['claims'][2]['text'] == '36.37'
    assert (content['results'], content['gt']) == ('results', 'gt')
    assert len((folders / 'o/score.csv').read_text().splitlines()) == 4


def test_an_incomplete_set_is_scored_and_fails(folders, capsys):
    (folders / 'results/1.png').unlink()
    assert run('results', '--gt', 'gt') == 1
    printed = capsys.readouterr()
    assert '1 clean pictures have no result: 1' in printed.out
    assert printed.err.splitlines() == ['error: the scores are not those of the whole set, see above']
    assert json.loads((folders / 'work_dirs/score/score.json').read_text())['missing'] == ['1']


def test_without_ground_truth(folders, capsys):
    assert run('results') == 1  # too small for NIQE
    assert 'niqe is nan: 2 of 2 pictures (0: 40x48 is too small' in capsys.readouterr().out
    big = np.random.default_rng(0).integers(0, 256, (192, 96, 3), dtype=np.uint8)
    for k in range(2):
        Image.fromarray(big).save(folders / 'results' / f'{k}.png')
    assert run('results') == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ['niqe', 'niqe_y', 'brisque']


@pytest.mark.parametrize(
    ('args', 'line'),
    [
        (('results', '--claimed', '30.1'), 'add --gt FOLDER'),
        (('results', '--gt', 'gt', '--claimed', 'much'), "'much' is no score"),
        (('results', '--gt', 'gt', '--published', 'Rain100L/Prompt'), "did you mean 'PromptIR'"),
        (('results', '--gt', 'nowhere'), 'nowhere: no such folder'),
        (('results', '--gt', 'results'), 'same folder'),
    ],
)
def test_mistakes_are_one_line(folders, capsys, args, line):
    assert run(*args) == 1
    printed = capsys.readouterr()
    assert printed.err.count('\n') == 1
    assert line in printed.err
    assert not (folders / 'work_dirs').exists()
