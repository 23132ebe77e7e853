"""Fine-tuning of the included model from folders of one's own images."""

import re

import numpy as np
import pytest
from PIL import Image

from restorebox.engine.checkpoint import load_file
from restorebox.files import configs_dir, find_checkpoints
from tests.processes import call, succeed

pytestmark = pytest.mark.slow

SHORT = (
    'train_cfg.max_samples=4',
    'train_cfg.val_samples=4',
    'train_dataloader.batch_size=2',
    'default_hooks.checkpoint.every_samples=4',
    'default_hooks.logger.interval=1',
)
ENCODER = ('backbone.enter', 'backbone.before', 'backbone.down')


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for split, seed in (('train', 1), ('test', 5)):
        for number, name in enumerate('ab'):
            y, x = np.mgrid[:250, :260] / 40
            gt = np.stack([np.sin(x * (seed + number)), np.cos(y * seed), np.sin(x + y * number)], -1) * 90 + 120
            for role, sigma in (('lq', 8), ('gt', 0)):
                folder = tmp_path / 'data' / split / role
                folder.mkdir(parents=True, exist_ok=True)
                noisy = gt + sigma * rng.standard_normal(gt.shape)
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f'{name}.png')
    return tmp_path / 'data'


def changed(checkpoint):
    """The weights that differ from those of the included model."""
    included = load_file(configs_dir() / 'fdrnet/weather.safetensors')['state_dict']
    trained = load_file(checkpoint)['state_dict']
    return {name for name, value in included.items() if not np.array_equal(value, trained[name])}, set(included)


@pytest.mark.parametrize(
    'config', [('weather_finetune.py',), ('weather.py', '--row', 'finetune')], ids=['pairs', 'clean']
)
def test_training_starts_from_the_included_model_in_any_folder(config, data, tmp_path):
    given = (f'fdrnet/{config[0]}', *config[1:], '--data-root', data, '--work-dir', 'w', '--cfg-options', *SHORT)
    result = call('train.py', *given, cwd=tmp_path)
    text = succeed(result).stdout + result.stderr
    assert re.search(r'loaded configs/fdrnet/weather.safetensors into generator', text)
    differ, names = changed(find_checkpoints(tmp_path / 'w')[-1])
    assert differ == names


def test_a_fixed_encoder_keeps_its_weights(data, tmp_path):
    given = ('--row', 'fixed_encoder', '--data-root', data, '--work-dir', 'w', '--cfg-options', *SHORT)
    succeed(call('train.py', 'fdrnet/weather_finetune.py', *given, cwd=tmp_path))
    differ, names = changed(find_checkpoints(tmp_path / 'w')[-1])
    assert names - differ == {name for name in names if any(key in name for key in ENCODER)}
