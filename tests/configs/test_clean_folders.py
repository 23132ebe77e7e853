"""Bases that draw weather over clean photographs: each gives samples, at test always the same."""

import numpy as np
import pytest
from PIL import Image

from restorebox.engine.config import load_config, set_data_root
from restorebox.files import configs_dir
from restorebox.registry import DATASETS

pytestmark = pytest.mark.slow

BASES = sorted(p.stem for p in (configs_dir() / '_base_' / 'datasets').glob('clean_folder_*.py'))
PAIRED = [name for name in BASES if 'unpaired' not in name]
DEMOS = sorted(p for p in configs_dir().glob('*/*.py') if '_demo' in p.stem or p.stem in ('weather', 'weather_stage1'))
LAYERS = {
    'clean_folder_heavy_rain': {'streak', 'transmission', 'airlight'},
    'clean_folder_scenes': {'scene'},
    'clean_folder_three_tasks': {'scene'},
}
CROPS = {
    'clean_folder_weather': 128,
    'clean_folder_scenes': 128,
    'clean_folder_heavy_rain_demo': 192,
    'clean_folder_three_tasks': 64,
}


def test_the_recipes_people_train_on_have_bases():
    assert {f'clean_folder_{name}' for name in ('light_rain', 'heavy_rain', 'haze', 'snow', 'hybrid')} <= set(PAIRED)


@pytest.mark.parametrize('base', PAIRED)
def test_a_base_builds_and_gives_samples(base, tmp_path):
    cfg = load_config(configs_dir() / '_base_' / 'datasets' / f'{base}.py')
    rng = np.random.default_rng(0)
    for split in ('train', 'test'):
        (tmp_path / split / 'gt').mkdir(parents=True)
        picture = rng.integers(0, 256, (40, 300, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / split / 'gt' / 'a.png')
    set_data_root(cfg, str(tmp_path))
    train = DATASETS.build(cfg.train_dataloader.dataset.to_dict())[0]['inputs']
    assert set(train) == {'lq', 'gt'} | LAYERS.get(base.removesuffix('_demo'), set())
    crop = (CROPS.get(base, 256),) * 2
    assert all(x.shape[-2:] == crop for role, x in train.items() if role != 'scene')
    test = DATASETS.build(cfg.test_dataloader.dataset.to_dict())
    layers = LAYERS['clean_folder_heavy_rain'] if base == 'clean_folder_heavy_rain_demo' else set()  # it scores them
    assert set(test[0]['inputs']) == {'lq', 'gt'} | layers
    assert (test[0]['inputs']['lq'] == test[0]['inputs']['lq']).all()


@pytest.mark.parametrize('path', DEMOS, ids=lambda path: path.stem)
def test_what_is_trained_at_laptop_size_can_be_looked_at_and_tested(path, tmp_path):
    cfg = load_config(path)
    for split in ('train', 'test'):
        (tmp_path / split / 'gt').mkdir(parents=True)
        for name in ('a', 'b'):
            Image.new('RGB', (300, 260), (90, 120, 150)).save(tmp_path / split / 'gt' / f'{name}.png')
    set_data_root(cfg, str(tmp_path))
    assert DATASETS.build(cfg.train_dataloader.dataset.to_dict())[0]['inputs']
    for part in ('val', 'test'):
        sample = DATASETS.build(cfg[f'{part}_dataloader'].dataset.to_dict())[0]['inputs']
        assert {'lq', 'gt'} <= set(sample)
