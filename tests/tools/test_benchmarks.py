"""tools/benchmarks: trainings, steps and data, small."""

import json
import subprocess
import sys

import data
import pytest
import step
import torch
import train

from restorebox.cli.common import guarded
from tests.conftest import REPO, long
from tests.factories import write_pairs
from tests.processes import environment, refused, succeed, write_config

pytestmark = pytest.mark.slow
NARROW = [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')]
CONFIGS = {'a': 'configs/infoaccum/rain800_pix2pix.py', 'b': 'configs/infoaccum/rain_cityscapes_pix2pix.py'}


def test_a_step_is_compared_with_the_plain_step(tmp_path, capsys):
    out = tmp_path / 's.json'
    options = ['--pairs', '2', '--stretch', '1', '--out', str(out), '--cfg-options', *NARROW]
    step.main(['configs/cclgan/cclgan_demo.py', *options])
    figures = json.loads(out.read_text())
    assert figures['losses_differ_by'] < 1e-5
    assert figures['flops_ratio'] < 1
    assert figures['crop'] == [48, 48]
    assert 0 < figures['ratio_range'][0] <= figures['ratio'] <= figures['ratio_range'][1]
    capsys.readouterr()
    line = refused(lambda: guarded(lambda: step.main(['configs/unet/unet5_paired.py'])), capsys)
    assert 'SupervisedRestorer has no plainly written step' in line


@long
def test_the_steps_of_two_configs_are_compared_in_fresh_processes(tmp_path):
    pair = 2 * [CONFIGS['a']]
    rows = ['--row', 'unet5_lsgan', '--row-b', 'infoaccum']
    steps = ['--warmup', '1', '--pairs', '2', '--stretch', '1', '--size', '64', '--out', 's.json']
    wider = ['model.generator.backbone.base_width=32', 'model.generator.backbone.stems.down1.layers=2']
    command = [sys.executable, REPO / 'tools/benchmarks/step.py', *pair, *rows, *steps]
    result = subprocess.run(
        [*command, '--cfg-options', *NARROW, '--cfg-options-b', *wider],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    succeed(result)
    figures = json.loads((tmp_path / 's.json').read_text())
    assert (figures['configs'], figures['rows']) == (pair, ['unet5_lsgan', 'infoaccum'])
    assert [given['model.generator.backbone.base_width'] for given in figures['cfg_options']] == [4, 32]
    assert (figures['batch'], figures['crop'], figures['pairs']) == (1, [64, 64], 2)
    assert figures['parameters'][1] > 2 * figures['parameters'][0]
    # at least its optimisers' two states and its gradients, of 4 bytes each, are above what was held before
    assert figures['memory_mib'][1] > 3 * 4 * figures['parameters'][1] / 2**20
    assert figures['memory_mib_ratio'] > 1.5
    for name in ('seconds', 'memory_mib'):
        low, high = figures[f'{name}_ratio_range']
        assert 0 < low <= figures[f'{name}_ratio'] <= high
    assert torch.__version__.startswith(figures['libraries']['torch'])
    assert 'memory of a step, MiB' in result.stdout


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (['a', 'b'], 'the configs train on batch 1 of 256x256 and batch 1 of 512x512'),
        (['a', 'a', '--size', '250', '--pairs', '1'], "'lq' is 250x250"),
    ],
)
def test_a_step_names_what_it_cannot_compare(given, expected, capsys):
    words = [CONFIGS.get(word, word) for word in given]
    assert expected in refused(lambda: guarded(lambda: step.main(words)), capsys)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (['a', 'a', 'a'], 'one config or two, 3 are given'),
        (['a', '--cfg-options-b', 'x=1'], '--cfg-options-b needs two configs'),
        (['a', '--row-b', 'lsgan'], '--row-b needs two configs'),
    ],
)
def test_a_step_takes_one_config_or_two(given, expected, capsys):
    with pytest.raises(SystemExit):
        step.parse([CONFIGS.get(word, word) for word in given])
    assert expected in capsys.readouterr().err


def test_data_times_files_of_data_sets(tmp_path, capsys):
    write_pairs(tmp_path / 'data', 'train', 3)
    base = 'configs/_base_/datasets'
    names = [f'{base}/paired_folder.py', f'{base}/clean_folder_line_rain_unpaired.py']
    out = tmp_path / 'd.json'
    data.main([*names, '--seconds', '1', '--data-root', str(tmp_path / 'data'), '--out', str(out)])
    rows = json.loads(out.read_text())['configs']
    assert [row['config'] for row in rows] == names
    assert all(row['per_second'] > 0 and row['sizes']['lq'] == [256, 256] for row in rows)
    assert capsys.readouterr().out.count('samples a second per worker') == 2


def test_a_training_is_measured_and_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / 'data', 'train', 4)
    write_pairs(tmp_path / 'data', 'test', 3)
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=8)
    options = ['--steps', '10', '--warmup', '2', '--pairs', '2', '--stretch', '3', '--out', 'figures.json']
    train.main([str(config), *options])
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['steps_per_second'] > 0
    assert 0 <= figures['waiting_for_data'] <= 1
    assert figures['peak_memory_mib'] > 100
    assert 'steps per second' in capsys.readouterr().out
    assert not list(tmp_path.glob('work_dirs'))
