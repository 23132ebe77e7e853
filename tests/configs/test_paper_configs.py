"""The papers' configs really train and test, with narrower networks on a miniature of their data."""

import json

import pytest

from restorebox.engine import load_file
from tests.factories import write_pairs
from tests.processes import run, succeed

NARROW = [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')]


def narrow(samples):
    schedule = [f'train_cfg.max_samples={samples}', f'default_hooks.checkpoint.every_samples={samples}']
    return ['--cfg-options', *NARROW, *schedule, 'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0']


@pytest.mark.slow
@pytest.mark.parametrize('method', ['cclgan', 'cyclegan', 'cut'])
def test_unpaired_methods_train_and_test(tmp_path, method):
    for split, role, name in (
        ('train', 'lq', 'trainA'), ('train', 'gt', 'trainB'), ('test', 'lq', 'testA'), ('test', 'gt', 'testB')
    ):  # fmt: skip
        write_pairs(tmp_path / 'made', split, 3, seed=1 if name == 'trainB' else 0)
        (tmp_path / 'data').mkdir(exist_ok=True)
        (tmp_path / 'made' / split / role).rename(tmp_path / 'data' / name)
    config = f'configs/{method}/{method}_spa.py'
    where = ['--data-root', 'data', '--work-dir', 'w']
    succeed(run('train.py', config, *where, '--no-data-check', *narrow(2), cwd=tmp_path))
    checkpoint = load_file(tmp_path / 'w' / 'iter_2.pth')
    assert 'ema_state_dict' not in checkpoint  # the papers deploy the last weights
    assert ('semantic_encoder' in checkpoint['meta']['compute']) == (method == 'cclgan')
    succeed(run('test.py', config, 'w/iter_2.pth', *where, '--cfg-options', *NARROW, cwd=tmp_path))
    scores = json.loads((tmp_path / 'w' / 'scores.json').read_text())
    assert scores['count'] == 3
    assert {'psnr_y@256', 'ssim_y@256'} <= set(scores['mean'])
    assert ('semantic_encoder' in scores['training']) == (method == 'cclgan')


@pytest.mark.slow
@pytest.mark.parametrize('name', ['rain800_pix2pix', 'rain800_infoaccum_subpix', 'reconstruct_endecoder8'])
def test_the_pix2pix_family_trains(tmp_path, name):
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data', split, 2)
    paired = name.startswith('rain800')
    options = [o for o in narrow(2) if paired or 'discriminator' not in o]
    options += ['model.generator.backbone.stems.down1.layers=2'] if 'infoaccum' in name else []
    where = ['--data-root', 'data', '--work-dir', 'w', '--no-data-check']
    succeed(run('train.py', f'configs/infoaccum/{name}.py', *where, *options, cwd=tmp_path))
    assert load_file(tmp_path / 'w' / 'iter_2.pth')['meta']['iter'] == 2
