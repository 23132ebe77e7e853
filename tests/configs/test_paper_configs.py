"""The papers' configs really train and test, with narrower networks on a miniature of their data."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from restorebox.cli.main import main
from restorebox.datasets.sources import prepare
from restorebox.encoders import efficientnet
from restorebox.engine import load_file
from restorebox.engine.config import load_config
from restorebox.files import configs_dir
from tests.factories import write_pairs
from tests.miniatures import make
from tests.processes import run, succeed

needs_encoder = pytest.mark.skipif(
    find_spec(efficientnet.PACKAGE) is None, reason='requirements/encoder.txt is not installed'
)
NARROW = [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')]


def narrow(samples):
    schedule = [f'train_cfg.max_samples={samples}', f'default_hooks.checkpoint.every_samples={samples}']
    return ['--cfg-options', *NARROW, *schedule, 'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0']


@pytest.mark.slow
@pytest.mark.parametrize('method', [pytest.param('cclgan', marks=needs_encoder), 'cyclegan', 'cut'])
def test_unpaired_methods_train_and_test(tmp_path, method):
    for split, role, name in (
        ('train', 'lq', 'trainA'), ('train', 'gt', 'trainB'), ('test', 'lq', 'testA'), ('test', 'gt', 'testB')
    ):  # fmt: skip
        write_pairs(tmp_path / 'made', split, 3, seed=1 if name == 'trainB' else 0)
        (tmp_path / 'data').mkdir(exist_ok=True)
        (tmp_path / 'made' / split / role).rename(tmp_path / 'data' / name)
    config = f'configs/{method}/{method}_spa.py'
    where = ['--data-root', 'data', '--work-dir', 'w']
    home = dict(TORCH_HOME=str(tmp_path))  # neither CLIP nor VGG-16 there
    succeed(run('train.py', config, *where, '--no-data-check', *narrow(2), cwd=tmp_path, **home))
    checkpoint = load_file(tmp_path / 'w' / 'iter_2.pth')
    assert 'ema_state_dict' not in checkpoint  # the papers deploy the last weights
    assert ('semantic_encoder' in checkpoint['meta']['compute']) == (method == 'cclgan')
    log = next((tmp_path / 'w').glob('*/*.log')).read_text()
    assert ('semantic encoder: EfficientNetLite (' in log) == (method == 'cclgan')
    succeed(run('test.py', config, 'w/iter_2.pth', *where, '--cfg-options', *NARROW, cwd=tmp_path))
    scores = json.loads((tmp_path / 'w' / 'scores.json').read_text())
    assert scores['count'] == 3
    assert {'psnr_y@256', 'ssim_y@256'} <= set(scores['mean'])
    recorded = scores['training'].get('semantic_encoder', '')
    assert recorded.startswith('EfficientNetLite (efficientnet-lite0-57934424.pth, sha256 ') == (method == 'cclgan')


@pytest.mark.slow
def test_cclgan_without_any_encoder_is_refused(tmp_path, monkeypatch, capsys):
    for role in ('trainA', 'trainB', 'testA', 'testB'):
        write_pairs(tmp_path / role, 'train', 2)
        (tmp_path / 'data').mkdir(exist_ok=True)
        (tmp_path / role / 'train' / 'lq').rename(tmp_path / 'data' / role)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(efficientnet, 'find_spec', lambda name: None)
    where = ['--data-root', 'data', '--work-dir', 'w', '--no-data-check']
    with pytest.raises(SystemExit):
        main(['train', 'cclgan/cclgan_spa.py', *where, *narrow(2)])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error')]
    assert len(lines) == 1
    assert "pip install 'restorebox[encoder]'" in lines[0]
    assert not list((tmp_path / 'w').glob('*.pth'))


# one config for each data set of configs/infoaccum; between them they are all rows of Table II and two of Table III
INFOACCUM = (
    ('sidd_small_pix2pix', 'infoaccum_subpix'),
    ('reside_pix2pix', 'infoaccum'),
    ('rain800_pix2pix', None),
    ('rain1200_pix2pix', 'lsgan'),
    ('rain_cityscapes_pix2pix', 'unet5_lsgan'),
    ('outdoor_rain_8_2_pix2pix', 'infoaccum_subpix'),
    ('outdoor_rain_8_2_by_background_pix2pix', 'infoaccum'),
    ('reconstruct_unet8', 'unet5_infoaccum_subpix'),
    ('reconstruct_unet8', 'endecoder8'),
)


def data_of(name):
    """(data folder, whether its degraded pictures are read) of a config."""
    data = load_config(f'configs/infoaccum/{name}.py').train_dataloader.dataset
    return data.data_root, data.get('lq', 'lq') is not None


def test_each_data_set_of_infoaccum_is_among_those_that_train():
    every = {path.stem for path in (configs_dir() / 'infoaccum').glob('*.py') if 'demo' not in path.stem}
    assert {data_of(name) for name, _ in INFOACCUM} == {data_of(name) for name in every}


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'row'), INFOACCUM)
def test_infoaccum_trains_on_a_miniature_of_each_of_its_data_sets(tmp_path, monkeypatch, name, row):
    cfg = load_config(f'configs/infoaccum/{name}.py', row=row)
    source, _ = make(Path(cfg.train_dataloader.dataset.data_root).name, tmp_path / 'release')
    prepare(source, tmp_path / 'release', tmp_path / cfg.train_dataloader.dataset.data_root)
    monkeypatch.chdir(tmp_path)  # the config's own folder, data/SET, is read
    steps = 3
    options = [o for o in narrow(steps) if 'discriminator' not in o or cfg.model.type == 'AdversarialRestorer']
    options.append(f'train_cfg.val_samples={steps}')
    if 'infoaccum' in (row or ''):
        options.append('model.generator.backbone.stems.down1.layers=2')
    of = ['--row', row] if row else []
    main(['train', f'configs/infoaccum/{name}.py', *of, '--work-dir', 'w', *options])
    saved = load_file(tmp_path / 'w' / f'iter_{steps}.pth')
    assert saved['meta']['iter'] == steps
    logged = [json.loads(line) for path in tmp_path.glob('w/*/vis_data/scalars.json') for line in path.open()]
    assert any('psnr_rgb' in row for row in logged), 'the test pictures were not scored'
    each = saved['optimizer']
    for optimiser in (each['discriminator'], each['generator']) if 'generator' in each else (each,):
        assert {int(state['step']) for state in optimiser['state'].values()} == {steps}
