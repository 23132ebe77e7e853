"""The diffusion configs train and test on miniatures of their data; a picture is the same on any number of workers."""

import json

import pytest

from restorebox.engine import load_file
from restorebox.engine.config import load_config
from restorebox.files import configs_dir
from restorebox.rows import read_rows
from tests.factories import write_pairs
from tests.processes import run, succeed

FOLDER = configs_dir() / 'raindiffusion'
WHERE = ['--data-root', 'data', '--work-dir', 'w', '--no-data-check']
SHORT = [
    'train_cfg.max_samples=4',
    'default_hooks.checkpoint.every_samples=4',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'train_dataloader.dataset.pipeline.1.size=64',
]
NARROW = ['base_width=4', 'multipliers=[1,1,2]', 'attention=[2]', 'blocks=1']
INNER = [f'model.denoiser.backbone.inner.{each}' for each in NARROW] + ['model.denoiser.backbone.mask_width=4']
SINGLE = [f'model.denoiser.backbone.{each}' for each in NARROW]
FEW = ['model.sampling.steps=5', 'model.sampling.clip_x0=True']


@pytest.fixture
def data(tmp_path):
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data', split, 3)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize('name', ['raindiffusion_rain800', 'raindiffusion_rain800_domain_prior'])
def test_the_unpaired_method_trains_and_tests(data, name):
    options = [*SHORT, *INNER, *FEW, 'model.generator.backbone.base_width=4']
    config = f'configs/raindiffusion/{name}.py'
    succeed(run('train.py', config, *WHERE, '--cfg-options', *options, cwd=data))
    checkpoint = load_file(data / 'w' / 'iter_1.pth')
    assert {key.split('.')[0] for key in checkpoint['ema_state_dict']} == {'denoiser'}
    assert {key.split('.')[0] for key in checkpoint['state_dict']} == {
        'denoiser', 'rain_denoiser', 'generator', 'rain_generator'
    }  # fmt: skip
    options = [*INNER, *FEW, 'test_dataloader.num_workers=0']
    succeed(run('test.py', config, 'w/iter_1.pth', *WHERE[:4], '--cfg-options', *options, cwd=data))
    assert json.loads((data / 'w' / 'scores.json').read_text())['count'] == 3


@pytest.mark.slow
def test_a_sampled_picture_is_the_same_on_1_and_2_workers(data):
    config = 'configs/raindiffusion/weatherdiffusion_rain800.py'
    windows = ['model.sampling.window=32']
    succeed(run('train.py', config, *WHERE, '--cfg-options', *SHORT, *SINGLE, *FEW, *windows, cwd=data))
    scores = []
    for workers in (1, 2):
        options = [*SINGLE, *FEW, *windows, f'test_dataloader.num_workers={workers}']
        where = ['--data-root', 'data', '--work-dir', f't{workers}']
        succeed(run('test.py', config, 'w/iter_1.pth', *where, '--cfg-options', *options, cwd=data))
        scores.append(json.loads((data / f't{workers}' / 'scores.json').read_text())['per_picture'])
    assert scores[0] == scores[1]


def model(name, row=None):
    return load_config(FOLDER / f'{name}.py', row=row).model.to_dict()


def test_every_row_of_the_tables_differs_from_the_full_one_as_named():
    full = model('raindiffusion_rain800')
    rows = [row.name for row in read_rows(FOLDER).values() if 'raindiffusion_rain800.py' in row.of]
    others = {row: model('raindiffusion_rain800', row) for row in rows}
    others |= {name: model(f'raindiffusion_rain800_{name}') for name in ('domain_prior', 'ntb_init')}
    changed = {name: {k for k in full if full[k] != other[k]} for name, other in others.items()}
    assert changed == {
        **{name: {'terms'} for name in ('no_l1', 'no_l2', 'no_l3', 'no_l4', 'no_rain_denoiser')},
        'no_cyc': {'lambda_cyc'},
        **{name: {'terms', 'cycles'} for name in ('no_clean_cycle', 'no_rainy_cycle')},
        **{name: {'denoiser'} for name in ('scales_1', 'scales_1_2', 'scales_1_4', 'stride', 'bilinear')},
        **{name: {'denoiser'} for name in ('weatherdiffusion', 'resnet50', 'vgg16')},
        'sr3': {'denoiser', 'sampling'},
        **{name: {'detach'} for name in ('detach_targets', 'detach_all')},
        'domain_prior': {'domain_prior', 'condition_dropout'},
        'ntb_init': {'generator', 'detach', 'lambda_cyc'},
    }


def test_the_papers_model_has_the_published_estimator():
    denoiser = model('raindiffusion_rain800')['denoiser']['backbone']
    assert denoiser['scales'] == (1, 2, 4)
    assert (denoiser['inner']['base_width'], denoiser['inner']['multipliers']) == (128, (1, 1, 2, 3, 4))


def test_generators_of_the_remedies_are_those_of_the_phase_before():
    for after, before in (
        (model('raindiffusion_rain800_ntb_init'), FOLDER / 'raindiffusion_rain800_cyclegan.py'),
        (model('raindiffusion_demo_held'), configs_dir() / 'cclgan' / 'cclgan_demo.py'),
    ):
        from restorebox.restorers import build_network

        made = [build_network(cfg['generator'], 'generator').state_dict() for cfg in
                (after, load_config(before).model.to_dict())]  # fmt: skip
        shapes = [{key: value.shape for key, value in state.items()} for state in made]
        assert shapes[0] == shapes[1]
