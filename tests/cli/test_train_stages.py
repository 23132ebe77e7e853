"""Configs in a row: heavy rain's two stages at laptop size, from clean pictures to scores and sheets."""

import json

import pytest
import torch
from PIL import Image

from restorebox.engine import load_file
from tests.factories import write_pairs
from tests.processes import call, one_line_error, run, succeed

STAGES = [f'configs/heavy_rain/heavy_rain_demo_{name}.py' for name in ('residue', 'stage2')]
TINY = [
    'model.physics.backbone.base_width=4',
    'train_cfg.max_samples=4',
    'default_hooks.checkpoint.every_samples=4',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
]


@pytest.mark.slow
def test_two_stages_in_one_command(tmp_path):
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data', split, 2, (64, 80))
    options = ['--', '--data-root', 'data', '--no-data-check', '--cfg-options', *TINY]
    command = ['train_stages.py', *STAGES, '--work-dir', 'w', *options]
    succeed(run(*command, cwd=tmp_path))
    first, second = (tmp_path / 'w' / f'heavy_rain_demo_{name}' for name in ('residue', 'stage2'))
    physics, refined = (load_file(folder / 'iter_2.pth')['state_dict'] for folder in (first, second))
    assert {key.split('.')[0] for key in physics} == {'physics'}
    assert {key.split('.')[0] for key in refined} == {'physics', 'generator', 'discriminator'}
    assert all(torch.equal(value, refined[key]) for key, value in physics.items())
    assert Image.open(second / 'sheets' / 'val_2.png').width > 8 * 80
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob('w/*/iter_2.pth')}
    again = succeed(call(*command, cwd=tmp_path))
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert 'untrained' not in again.stdout + again.stderr
    where = ['--data-root', 'data', '--work-dir', 't', '--cfg-options', *TINY[:1]]
    succeed(call('test.py', STAGES[1], second / 'iter_2.pth', *where, cwd=tmp_path))
    mean = json.loads((tmp_path / 't' / 'scores.json').read_text())['mean']
    assert {'psnr_y', 'psnr_streak', 'psnr_transmission', 'psnr_physics', 'mae_airlight'} <= set(mean)


@pytest.mark.slow
def test_a_stage_that_fails_ends_the_row(tmp_path):
    result = call('train_stages.py', *STAGES, '--', '--data-root', 'nowhere', cwd=tmp_path)
    assert result.returncode == 1
    assert 'heavy_rain_demo_residue ended with exit code 1; later stages were not started' in result.stderr
    assert not (tmp_path / 'work_dirs' / 'heavy_rain_demo_stage2').exists()


def test_a_config_twice_is_refused(tmp_path):
    line = one_line_error(call('train_stages.py', STAGES[0], STAGES[0], cwd=tmp_path))
    assert 'would share a work directory' in line


def test_rows_are_stages_with_work_directories_of_their_own(tmp_path):
    stages = ('fdrnet/fdrnet_demo.py@no_fdm', 'fdrnet/fdrnet_demo.py@no_such_row')
    result = call('train_stages.py', *stages, '--', '--data-root', 'nowhere', cwd=tmp_path)
    assert 'fdrnet_demo_no_fdm ended with exit code 1' in result.stderr
    line = one_line_error(call('train_stages.py', stages[0], stages[0], cwd=tmp_path))
    assert 'would share a work directory' in line
