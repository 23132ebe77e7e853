"""Comparison of two real runs: scores, pictures, curves, configs; and what a test leaves on disk."""

import copy
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from restorebox.cli.main import main
from restorebox.engine.comparison import config_lines, differences, picture_lines, read_runs, score_lines
from restorebox.engine.config import load_config
from restorebox.engine.running import run_config
from restorebox.errors import ConfigError
from restorebox.metrics.protocols import protocol
from tests.factories import write_pairs
from tests.processes import call, succeed, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Two trainings with other learning rates, both tested with saved pictures; their folder."""
    folder = tmp_path_factory.mktemp('compared')
    write_pairs(folder / 'data', 'train', 4)
    write_pairs(folder / 'data', 'test', 3)
    config = write_config(folder / 'toy.py', folder / 'data', samples=16)
    for name, rate in (('a', 1e-3), ('b', 1e-2)):
        cfg = copy.deepcopy(load_config(config, {'optim_wrapper.optimizer.lr': rate}))
        cfg.work_dir, cfg.launcher, cfg.experiment_name = str(folder / name), 'none', f'compared_{name}'
        cfg.default_hooks.logger.interval = 2
        run_config(cfg, 'train')
        succeed(call('test', config, folder / name / 'iter_8.pth', '--work-dir', name, '--save-pictures', cwd=folder))
    return folder


def test_the_tables_are_those_of_the_runs(runs):
    a, b = read_runs([runs / 'a', runs / 'b'])
    header, first, second = score_lines([a, b])
    assert header.split() == ['run', 'psnr_y', 'ssim_y', 'pictures']
    assert first.split()[:2] == ['a', f'{a.scores["mean"]["psnr_y"]:.4f}']
    assert second.split()[3] == '3'
    gains = differences(a, b, 'psnr_y')
    mean = b.scores['mean']['psnr_y'] - a.scores['mean']['psnr_y']
    assert np.mean([*gains.values()]) == pytest.approx(mean)
    assert f'mean gain {mean:+.3f}' in picture_lines([a, b], 'psnr_y')[0]
    assert 'optim_wrapper.optimizer.lr: a 0.001, b 0.01' in config_lines([a, b])
    assert len([line for line in config_lines([a, b]) if 'lr' in line]) == 1


def test_the_command_prints_and_draws(runs, capsys):
    main(['compare', str(runs / 'a'), str(runs / 'b'), '--out', str(runs / 'out')])
    out = capsys.readouterr().out
    assert out.startswith('scores:\n  run')
    assert 'optim_wrapper.optimizer.lr: a 0.001, b 0.01' in out
    with Image.open(runs / 'out' / 'curves.png') as curves, Image.open(runs / 'out' / 'pictures.png') as sheet:
        assert min(curves.size) > 300
        assert sheet.width > 3 * 48
        assert sheet.height > 3 * 40


def test_runs_without_something_are_compared_by_the_rest(runs, tmp_path, capsys):
    shutil.copytree(runs / 'b', tmp_path / 'bare', ignore=shutil.ignore_patterns('*.pth', 'scores.json', 'pictures'))
    (tmp_path / 'bare' / next((runs / 'b').glob('*.scores.json')).name).unlink()
    main(['compare', str(runs / 'a'), str(tmp_path / 'bare'), '--out', str(tmp_path / 'out')])
    out = capsys.readouterr().out
    assert 'has no scores.json; `restorebox test` writes it' in out
    assert 'has no checkpoint, which would store its config' in out
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['curves.png']


def test_a_picture_that_cannot_be_read_is_named(runs, tmp_path, capsys):
    shutil.copytree(runs / 'b', tmp_path / 'b', ignore=shutil.ignore_patterns('*.pth'))
    for path in (tmp_path / 'b' / 'pictures').iterdir():
        path.write_bytes(b'no picture')
    main(['compare', str(runs / 'a'), str(tmp_path / 'b'), '--out', str(tmp_path / 'out')])
    printed = capsys.readouterr().out
    assert f'{path.name}: ' in printed.split('notes:')[1]
    assert not (tmp_path / 'out' / 'pictures.png').exists()


def test_what_is_no_run_is_named(runs, tmp_path):
    for folders, expected in (
        ([runs / 'a'], 'give two or more work directories'),
        ([runs / 'a', runs / 'none'], 'none is no folder'),
        ([runs / 'a', tmp_path], 'holds neither scores'),
        ([runs / 'a', runs / 'a'], 'a folder is given twice'),
    ):
        with pytest.raises(ConfigError, match=expected):
            read_runs(folders)
    for text in (
        '{"mean": 3}',
        '{"mean": {"psnr_y": "abc"}}',
        '{"mean": {"psnr_y": 3}, "per_picture": [{"name": "a", "psnr_y": []}]}',
    ):
        (tmp_path / 'scores.json').write_text(text)
        with pytest.raises(ConfigError, match='is no score file of restorebox'):
            read_runs([runs / 'a', tmp_path])


def test_a_test_saves_the_pictures_that_it_scored(runs):
    scores = json.loads((runs / 'a' / 'scores.json').read_text())
    for row in scores['per_picture']:
        with Image.open(runs / 'a' / 'pictures' / f'{row["name"]}.png') as picture:
            restored = np.asarray(picture) / 255
        with Image.open(runs / 'data' / 'test' / 'gt' / f'{row["name"]}.png') as picture:
            clean = np.asarray(picture) / 255
        assert protocol('psnr_y')(restored, clean) == pytest.approx(row['psnr_y'], abs=1e-6)


def test_the_scores_lie_beside_the_checkpoint(runs):
    beside = json.loads((runs / 'a' / 'iter_8.toy.scores.json').read_text())
    assert beside == json.loads((runs / 'a' / 'scores.json').read_text())
