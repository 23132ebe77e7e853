"""A user's mistakes: one clear line each, a non-zero exit code, no traceback, nothing lost."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image

from restorebox.cli.main import main
from restorebox.engine import load_file
from tests.factories import write_pairs
from tests.processes import REPO, call, environment, one_line_error, refused, succeed, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with pairs, a config, and a finished little training."""
    folder = tmp_path_factory.mktemp('trained')
    write_pairs(folder / 'data', 'train', 4)
    write_pairs(folder / 'data', 'test', 2)
    config = write_config(folder / 'toy.py', folder / 'data', samples=4)
    succeed(call('train.py', config, '--work-dir', folder / 'w', cwd=folder))
    return folder, config


def copy_of(trained, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / 'data', tmp_path / 'data')
    return write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=4, workers=1), tmp_path / 'data'


def damage_zero_bytes(data):
    (data / 'train/lq/01.png').write_bytes(b'')
    return ['train/lq/01.png', 'empty']


def damage_truncated(data):
    path = data / 'train/lq/02.png'
    path.write_bytes(path.read_bytes()[:400])
    return ['train/lq/02.png', 'truncated']


def damage_text(data):
    (data / 'train/lq/03.png').unlink()
    (data / 'train/lq/03.jpg').write_text('I am a picture, honestly')
    return ['train/lq/03.jpg', 'not a picture']


def damage_float(data):
    (data / 'train/gt/00.png').unlink()
    Image.new('F', (48, 40)).save(data / 'train/gt/00.tif')
    return ['train/gt/00.tif', '32-bit']


def damage_size(data):
    Image.open(data / 'train/gt/00.png').resize((20, 20)).save(data / 'train/gt/00.png')
    return ['00.png', 'size']


def damage_missing_folder(data):
    shutil.rmtree(data / 'train/gt')
    return ['train', 'gt']


def damage_empty_folder(data):
    shutil.rmtree(data / 'train/lq')
    (data / 'train/lq').mkdir()
    return ['train/lq', '.png']


def damage_counts(data):
    (data / 'train/gt/02.png').unlink()
    return ['train', '4', '3', '02.png']


@pytest.mark.parametrize(
    'damage',
    [
        damage_zero_bytes,
        damage_truncated,
        damage_text,
        damage_float,
        damage_size,
        damage_missing_folder,
        damage_empty_folder,
        damage_counts,
    ],
)
def test_bad_data_is_named(trained, tmp_path, damage):
    config, data = copy_of(trained, tmp_path)
    expected = damage(data)
    line = one_line_error(call('train.py', config, '--work-dir', 'w', cwd=tmp_path))
    assert all(word in line for word in expected), line


def test_skipping_bad_pictures_trains_and_reports_them(trained, tmp_path):
    config, data = copy_of(trained, tmp_path)
    damage_zero_bytes(data)
    (data / 'test/lq/01.png').write_bytes(b'x')
    options = [f'{part}_dataloader.dataset.bad_picture=skip' for part in ('train', 'val', 'test')]
    result = succeed(
        call('train.py', config, '--work-dir', 'w', '--cfg-options', *options, 'train_cfg.max_samples=12', cwd=tmp_path)
    )
    assert 'unreadable picture(s) were skipped' in result.stdout + result.stderr
    assert '01.png' in (tmp_path / 'w' / 'skipped_pictures_train.txt').read_text()
    (data / 'test/lq/00.png').write_bytes(b'')  # now a whole batch is unreadable
    options.append('test_dataloader.batch_size=1')
    (data / 'test/gt/02.png').write_bytes((data / 'train/gt/03.png').read_bytes())
    (data / 'test/lq/02.png').write_bytes((data / 'train/lq/03.png').read_bytes())
    result = succeed(
        call('test.py', config, 'w/iter_6.pth', '--work-dir', 't', '--cfg-options', *options, cwd=tmp_path)
    )
    assert '2 unreadable picture(s) were skipped' in result.stdout + result.stderr
    scores = json.loads((tmp_path / 't' / 'scores.json').read_text())
    assert [row['name'] for row in scores['per_picture']] == ['02']


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (
            ['model.generator.backbone.type=UNett'],
            "model.generator.backbone: no backbone is called 'UNett'; did you mean 'UNet'",
        ),
        (['model.generator.backbone.levles=3'], "UNet has no key 'levles'; did you mean 'levels'"),
        (['modle.type=X'], "no 'modle', the override would reach nothing; did you mean 'model'"),
        (
            ['optim_wrapper.clip_grad.max_norm=1'],
            "'optim_wrapper' has no 'clip_grad' yet; give it whole: optim_wrapper.clip_grad=\"dict(max_norm=...)\"",
        ),
        (['launcher=slurm'], '--cfg-options launcher has no effect; use the option --launcher'),
        (['train_dataloader.dataset.pipeline.1.sise=3'], "RandomWindow has no key 'sise'; did you mean 'size'"),
        (['train_dataloader.sampler.type=DefaultSampler'], 'KeyedSampler'),
        (['custom_imports.imports=[x]'], 'custom_imports'),
    ],
)
def test_a_bad_config_is_named(trained, tmp_path, options, expected):
    config, _ = copy_of(trained, tmp_path)
    line = one_line_error(call('train.py', config, '--work-dir', 'w', '--cfg-options', *options, cwd=tmp_path))
    assert expected in line


def test_places_and_ways_to_start_that_cannot_work_are_named(trained, tmp_path):
    config, _ = copy_of(trained, tmp_path)
    (tmp_path / 'file').write_text('')
    assert 'file' in one_line_error(call('train.py', config, '--work-dir', 'file', cwd=tmp_path))
    line = one_line_error(call('train.py', config, '--launcher', 'pytorch', cwd=tmp_path))
    assert 'start it through torchrun' in line
    config.write_text(config.read_text() + 'train_cgf = dict(max_samples=1)\n')
    assert "nothing reads 'train_cgf'; did you mean 'train_cfg'" in one_line_error(
        call('train.py', config, cwd=tmp_path)
    )


def test_a_config_that_does_not_exist_or_parse_is_named(tmp_path):
    assert 'unet5_paired.py' in one_line_error(call('train.py', 'configs/unet/unet5_piared.py', cwd=tmp_path))
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    line = one_line_error(call('train.py', 'broken.py', cwd=tmp_path))
    assert 'broken.py' in line
    assert 'line' in line


class Pickled:
    def __reduce__(self):
        return print, ('this must never be printed',)


def test_bad_checkpoints_are_named(trained, tmp_path):
    folder, config = trained
    shutil.copy(folder / 'w' / 'iter_2.pth', tmp_path / 'other.pth')
    line = one_line_error(
        call(
            'test.py',
            config,
            'other.pth',
            '--work-dir',
            'w',
            '--cfg-options',
            'model.generator.backbone.base_width=5',
            cwd=tmp_path,
        )
    )
    assert 'other.pth' in line
    assert 'of another model' in line
    torch.save({'state_dict': {}, 'x': Pickled()}, tmp_path / 'evil.pth')
    result = call('test.py', config, 'evil.pth', '--work-dir', 'w', cwd=tmp_path)
    assert 'refused' in one_line_error(result)
    assert 'never be printed' not in result.stdout
    assert 'no such file' in one_line_error(call('test.py', config, 'absent.pth', '--work-dir', 'w', cwd=tmp_path))


def test_a_full_disk_while_saving_loses_nothing(trained, tmp_path):
    """A limit on the file size simulates the full disk: the first checkpoint fits, the second does not."""
    config, _ = copy_of(trained, tmp_path)
    size = (trained[0] / 'w' / 'iter_1.pth').stat().st_size
    grown = config.read_text().replace('max_samples=4', 'max_samples=400').replace('4 // 2', '4')
    config.write_text(grown + "custom_imports = dict(imports=['limit'])\n")
    (tmp_path / 'limit.py').write_text(
        'import resource, signal\n'
        'from mmengine.hooks import Hook\n'
        'from restorebox.registry import HOOKS\n'
        'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
        '@HOOKS.register_module()\n'
        'class FullDisk(Hook):\n'
        '    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):\n'
        '        if batch_idx == 2:\n'
        f'            resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 2}, resource.RLIM_INFINITY))\n'
    )
    text = config.read_text() + "custom_hooks = [dict(type='FullDisk')]\n"
    config.write_text(text)
    env = environment()
    env['PYTHONPATH'] = f'{tmp_path}:{env["PYTHONPATH"]}'
    result = subprocess.run(
        [sys.executable, REPO / 'tools/train.py', config, '--work-dir', 'w'],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    line = one_line_error(result)
    assert "can't save " in line
    assert 'w/iter_4.pth' in line
    assert line.endswith('w/iter_2.pth')
    load_file(tmp_path / 'w' / 'iter_2.pth')
    assert [p.name for p in (tmp_path / 'w').glob('iter_*')] == ['iter_2.pth']
    assert not list((tmp_path / 'w').glob('.*'))


@pytest.mark.parametrize(
    'words',
    [
        ('analyze-convergence', 'bare.py', 'c.pth'),
        ('prune', 'bare.py', 'c.pth', '--samples', '0'),
        ('convert-weights', 'pix2pix', 'out.pth', '--weights', 'generator=c.pth', '--config', 'bare.py'),
        ('restore', 'a.png', '--model', 'bare.py', '--checkpoint', 'c.pth', '--out', 'out'),
        ('export', 'bare.py', 'c.pth', '--to', 'onnx'),
        ('check-data', 'bare.py'),
        ('train', 'bare.py', '--amp'),
    ],
    ids=lambda words: words[0],
)
def test_a_config_without_a_model_or_data_is_one_line(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'bare.py').write_text("_base_ = '{{$RESTOREBOX_CONFIGS:}}/_base_/default_runtime.py'\n")
    Image.new('RGB', (8, 8)).save('a.png')
    torch.save({'state_dict': {}, 'meta': {}}, 'c.pth')
    line = refused(lambda: main(list(words)), capsys)
    assert 'names no data set' in line if words[0] == 'check-data' else "needs the key 'model'" in line


@pytest.mark.parametrize(
    'words',
    [
        ('synthesize', 'clean', 'out', '--recipe', 'noise', '--seed', '-1'),
        ('browse-data', 'fdrnet/fdrnet_demo.py', '--start', '-1'),
        ('prune', 'weather', '--samples', '-1'),
        ('prepare-data', 'rain800', '--seed', '1.5'),
        ('reproduce', '--plan', '--first-seed', '-1'),
    ],
    ids=lambda words: words[0],
)
def test_negative_numbers_are_refused(capsys, words):
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert caught.value.code == 2
    assert f'{words[-1]} is no whole number; it must be 0 or more' in capsys.readouterr().err
