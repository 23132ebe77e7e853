"""Stages in one command: heavy rain at laptop size, and the paper's configs on an Outdoor-Rain of one's own."""

import json

import pytest
import torch
from PIL import Image

from restorebox.datasets.sources import prepare
from restorebox.encoders.frozen import VGG16_FILE, vgg16_features
from restorebox.engine import load_file
from tests.conftest import long
from tests.factories import write_pairs
from tests.miniatures import make
from tests.processes import call, one_line_error, run, succeed

STAGES = [f'configs/heavy_rain/heavy_rain_demo_{name}.py' for name in ('residue', 'stage2', 'stage3')]
TINY = [
    'model.physics.backbone.base_width=4',
    'train_cfg.max_samples=4',
    'default_hooks.checkpoint.every_samples=4',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
]


@pytest.fixture
def random_vgg(tmp_path, monkeypatch):
    """A weights file of VGG-16 at its expected path."""
    folder = tmp_path / 'torch' / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    torch.save({f'features.{key}': x for key, x in vgg16_features('random').state_dict().items()}, folder / VGG16_FILE)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))


@long
@pytest.mark.slow
def test_stages_in_one_command(tmp_path):
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data', split, 2, (64, 80))
    options = ['--', '--data-root', 'data', '--no-data-check', '--cfg-options', *TINY]
    command = ['train_stages.py', *STAGES, '--work-dir', 'w', *options]
    succeed(run(*command, cwd=tmp_path))
    folders = [tmp_path / 'w' / f'heavy_rain_demo_{name}' for name in ('residue', 'stage2', 'stage3')]
    physics, refined, joint = (load_file(folder / 'iter_2.pth')['state_dict'] for folder in folders)
    second = folders[1]
    assert {key.split('.')[0] for key in physics} == {'physics'}
    assert {key.split('.')[0] for key in refined} == {'physics', 'generator', 'discriminator'}
    assert all(torch.equal(value, refined[key]) for key, value in physics.items())
    assert set(joint) == set(refined)
    assert not all(torch.equal(value, joint[key]) for key, value in physics.items())
    assert Image.open(second / 'sheets' / 'val_2.png').width > 8 * 80
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob('w/*/iter_2.pth')}
    again = succeed(call(*command, cwd=tmp_path))
    assert times == {path: path.stat().st_mtime_ns for path in times}
    logs = again.stdout + again.stderr + ''.join(path.read_text() for path in tmp_path.glob('w/*/*/*.log'))
    assert 'loaded' in logs
    assert 'untrained' not in logs
    assert 'another model' not in logs
    where = ['--data-root', 'data', '--work-dir', 't', '--cfg-options', *TINY[:1]]
    succeed(call('test.py', STAGES[1], second / 'iter_2.pth', *where, cwd=tmp_path))
    mean = json.loads((tmp_path / 't' / 'scores.json').read_text())['mean']
    assert {'psnr_y', 'psnr_streak', 'psnr_transmission', 'psnr_physics', 'mae_airlight'} <= set(mean)


@pytest.mark.slow
def test_an_outdoor_rain_of_ones_own_trains_all_three_stages(tmp_path, random_vgg):
    """The commands of configs/heavy_rain/README.md, with narrow networks and few steps; then Test 1 is scored."""
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'clean', split, 3, (64, 80))
    for clean, split, recipe in (
        ('train', 'train', 'outdoor_rain'),
        ('test', 'val', 'outdoor_rain_val'),
        ('test', 'test', 'outdoor_rain_val'),
    ):
        options = ['--recipe', recipe, '--split', split, '--workers', '1', '--layers']
        succeed(call('synthesize.py', f'clean/{clean}/gt', 'data/outdoor_rain', *options, cwd=tmp_path))
    stages = [f'configs/heavy_rain/heavy_rain_outdoor_rain_stage{n}.py' for n in (1, 2, 3)]
    small = ['train_dataloader.batch_size=2', 'train_dataloader.dataset.pipeline.1.size=64']
    # Pictures this small resemble each other too much for the check of data.
    options = ['--no-data-check', '--cfg-options', *TINY, *small]
    succeed(run('train_stages.py', *stages, '--work-dir', 'w', '--', *options, cwd=tmp_path))
    saved = load_file(tmp_path / 'w/heavy_rain_outdoor_rain_stage3/iter_2.pth')
    assert {key.split('.')[0] for key in saved['state_dict']} == {'physics', 'generator', 'discriminator'}
    logged = [json.loads(line) for path in tmp_path.glob('w/*stage3/*/vis_data/scalars.json') for line in path.open()]
    assert any({'psnr_streak', 'psnr_transmission', 'mae_airlight', 'psnr_rgb'} <= set(row) for row in logged)

    source, _ = make('outdoor_rain', tmp_path / 'release')
    prepare(source, tmp_path / 'release', tmp_path / 'public')
    weights = 'w/heavy_rain_outdoor_rain_stage3/iter_2.pth'
    where = ['--data-root', 'public', '--work-dir', 't', '--cfg-options', TINY[0], 'test_dataloader.num_workers=0']
    result = succeed(call('test.py', stages[2], weights, *where, cwd=tmp_path))
    scores = json.loads((tmp_path / 't' / 'scores.json').read_text())
    assert scores['count'] == 4  # Test 1's
    assert {'psnr_physics', 'psnr_y_full_u8', 'psnr_y_full_u8@448x672'} <= set(scores['mean'])
    assert not {'psnr_streak', 'psnr_transmission', 'mae_airlight'} & {*scores['mean'], *scores['unavailable']}
    assert 'another model' not in result.stdout + result.stderr


@pytest.mark.slow
def test_a_stage_that_fails_ends_the_row(tmp_path):
    result = call('train_stages.py', *STAGES, '--', '--data-root', 'nowhere', cwd=tmp_path)
    assert result.returncode == 1
    assert 'heavy_rain_demo_residue ended with exit code 1; later stages were not started' in result.stderr
    assert not (tmp_path / 'work_dirs' / 'heavy_rain_demo_stage2').exists()


def test_a_config_twice_is_refused(tmp_path):
    line = one_line_error(call('train_stages.py', STAGES[0], STAGES[0], cwd=tmp_path))
    assert 'would share a work directory' in line


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['fdrnet/fdrnet_demo.py', 'fdrnet/fdrnet_dem.py'], 'fdrnet/fdrnet_dem.py'),
        (['fdrnet/fdrnet_demo.py', 'fdrnet/fdrnet_demo.py@no_fdn'], "has no such row; did you mean 'no_fdm'"),
    ],
)
def test_a_wrong_stage_is_refused_before_the_first_is_trained(tmp_path, words, expected):
    assert expected in one_line_error(call('train_stages.py', *words, cwd=tmp_path))
    assert not (tmp_path / 'work_dirs').exists()


@pytest.mark.parametrize('option', ['--work-dir=x', '--row', '--resume'])
def test_options_that_each_stage_has_are_refused(tmp_path, option):
    result = call('train_stages.py', *STAGES, '--', option, cwd=tmp_path)
    assert result.returncode == 2
    assert f'{option} after --: train-stages sets it for each stage' in result.stderr


def test_rows_are_stages_with_work_directories_of_their_own(tmp_path):
    stages = ('fdrnet/fdrnet_demo.py@no_fdm', 'fdrnet/fdrnet_demo.py@no_aux')
    result = call('train_stages.py', *stages, '--', '--data-root', 'nowhere', cwd=tmp_path)
    assert 'fdrnet_demo_no_fdm ended with exit code 1' in result.stderr
    line = one_line_error(call('train_stages.py', stages[0], stages[0], cwd=tmp_path))
    assert 'would share a work directory' in line
