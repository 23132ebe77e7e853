"""Configs of heavy rain: they train on miniatures, which weights fit which config, and what they say of themselves."""

import json

import pytest

from restorebox.datasets.sources import prepare
from restorebox.engine import load_file
from restorebox.engine.config import load_config
from restorebox.files import configs_dir
from restorebox.registry import RESTORERS
from tests.miniatures import make
from tests.processes import call, succeed

DENOISER = ('base_width=4', 'multipliers=[1,1,2]', 'attention=[2]', 'blocks=1')
# config -> options that make its networks small
NARROW = {
    'diffusion': [
        'model.physics.backbone.base_width=4',
        *(f'model.denoiser.backbone.{option}' for option in DENOISER),
        'model.sampling.steps=5',
        'model.sampling.clip_x0=True',
    ],
    'script_stage1': ['model.physics.backbone.base_width=4'],
    'script': [
        *(f'model.{role}.backbone.base_width={width}' for role, width in (('physics', 4), ('generator', 4))),
        'model.losses.vgg.weights=random',
    ],
    'ddn': ['model.generator.backbone.layers=4'],
    'pix2pix': [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')],
    'cyclegan': [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')],
}
STAGE2 = ('heavy_rain_outdoor_rain_stage2', None)


def shapes(name, row, *roles):
    """Name -> shape of all weights of a config's narrow networks, or of some roles."""
    model = load_config(f'configs/heavy_rain/{name}.py', row=row).model.to_dict()
    for role in ('physics', 'generator', 'discriminator'):
        if role in model:
            model[role]['backbone']['base_width'] = 4
    state = RESTORERS.build(model).state_dict()
    return {key: value.shape for key, value in state.items() if not roles or key.split('.')[0] in roles}


@pytest.mark.parametrize(
    ('before', 'after', 'roles'),
    [
        (('heavy_rain_rain100h_stage1', None), ('heavy_rain_rain100h_stage2', None), ('physics',)),
        (STAGE2, ('heavy_rain_rain100h_finetune', None), ()),
        (('heavy_rain_authors', None), ('heavy_rain_rain100h_finetune', 'authors'), ()),
        (('heavy_rain_authors', None), ('heavy_rain_authors', 'rain100h'), ()),
    ],
)
def test_the_weights_of_one_config_fit_the_next(before, after, roles):
    assert shapes(*before, *roles) == shapes(*after, *roles)


@pytest.mark.parametrize(('row', 'root'), [(None, 'data/outdoor_rain'), ('rain100h', 'data/rain100h')])
def test_no_layer_is_scored_where_the_set_has_none(row, root):
    cfg = load_config('configs/heavy_rain/heavy_rain_authors.py', row=row)
    assert cfg.test_dataloader.dataset.data_root == root
    assert 'layers' not in cfg.test_dataloader.dataset
    scores = [protocol for metric in cfg.test_evaluator for protocol in metric['protocols']]
    assert not {'psnr_streak', 'psnr_transmission', 'mae_airlight'} & set(scores)


@pytest.mark.slow
@pytest.mark.parametrize('name', NARROW)
def test_configs_on_outdoor_rain_train_and_score_the_held_out_backgrounds(tmp_path, name):
    source, _ = make('outdoor_rain', tmp_path / 'release')
    prepare(source, tmp_path / 'release', tmp_path / 'data/outdoor_rain')
    options = [
        *NARROW[name],
        'train_cfg.max_samples=4',
        'train_cfg.val_samples=4',
        'default_hooks.checkpoint.every_samples=4',
        'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0',
        f'train_dataloader.dataset.pipeline.1.size={256 if name == "pix2pix" else 64}',  # UNet-8 needs 256
        'val_dataloader.num_workers=0',
    ]
    config = f'configs/heavy_rain/heavy_rain_outdoor_rain_{name}.py'
    succeed(call('train.py', config, '--work-dir', 'w', '--no-data-check', '--cfg-options', *options, cwd=tmp_path))
    assert load_file(tmp_path / 'w/iter_2.pth')['meta']['iter'] == 2
    logged = [json.loads(line) for path in tmp_path.glob('w/*/vis_data/scalars.json') for line in path.open()]
    assert any('psnr_rgb' in row for row in logged)


def test_the_script_configs_are_the_authors_script():
    for name in ('script_stage1', 'script'):
        cfg = load_config(f'configs/heavy_rain/heavy_rain_outdoor_rain_{name}.py')
        assert cfg.train_cfg.max_samples == 200 * 8_250
        assert [step.type for step in cfg.train_dataloader.dataset.pipeline] == [
            'LoadPictures', 'RandomWindow', 'Degrade', 'Pack'
        ]  # fmt: skip
    assert not cfg.train_dataloader.dataset.layers  # so the discriminator's map is compared with the estimated T


def test_a_step_of_the_diffusion_configs_is_what_their_schedule_says():
    found = 0
    for path in configs_dir().glob('*/*.py'):
        if 'adam_diffusion_400k' in path.read_text() and 'demo' not in path.stem:
            cfg = load_config(path)
            found += 1
            assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 4, path.name
            assert cfg.train_cfg.max_samples == 400_000 * 4, path.name
            window = next(x for x in cfg.train_dataloader.dataset.pipeline if x.type == 'RandomWindow')
            assert window.size == 128, path.name
    assert found > 5
