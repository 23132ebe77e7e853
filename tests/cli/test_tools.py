"""publish, benchmark, demo data and the Slurm scripts."""

import json
import re
import stat
import subprocess
import sys

import pytest
import torch

from restorebox.cli.demo import make_data, own_folder, packaged
from restorebox.cli.main import main
from restorebox.engine import load_file
from restorebox.errors import DataError
from tests.factories import write_pairs
from tests.processes import environment, free_port, one_line_error, run, succeed, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    write_pairs(folder / 'data', 'train', 4)
    write_pairs(folder / 'data', 'test', 3)
    config = write_config(folder / 'toy.py', folder / 'data', samples=8)
    succeed(run('train.py', config, '--work-dir', folder / 'w', cwd=folder))
    succeed(run('test.py', config, folder / 'w/iter_4.pth', '--work-dir', folder / 't', cwd=folder))
    return folder, config


def test_published_file_scores_the_same_and_holds_no_training_part(trained):
    folder, config = trained
    words = ('--licence', 'non-commercial', '--limits', 'line rain only')
    out = folder / 'model.safetensors'
    succeed(run('publish.py', folder / 'w/iter_4.pth', out, '--scores', folder / 't/scores.json', *words, cwd=folder))
    published, source = load_file(out), load_file(folder / 'w/iter_4.pth')
    assert published['state_dict'].keys() == source['ema_state_dict'].keys()
    assert all(torch.equal(v, source['ema_state_dict'][k]) for k, v in published['state_dict'].items())
    meta = published['meta']
    assert meta['licence'] == 'non-commercial'
    assert meta['limits'] == 'line rain only'
    assert json.loads(meta['cfg_json'])['model']['generator']['backbone']['type'] == 'UNet'
    assert meta['compute']['samples'] == 8
    assert meta['scores']['training'] == meta['compute']
    succeed(run('test.py', config, out, '--work-dir', folder / 'p', cwd=folder))
    before, after = (json.loads((folder / d / 'scores.json').read_text())['mean'] for d in ('t', 'p'))
    assert before == after
    assert meta['scores']['mean'] == before


def test_publishing_refuses(trained, tmp_path):
    folder, _ = trained
    words = ('--licence', 'x', '--limits', 'y')
    scores = json.loads((folder / 't/scores.json').read_text())
    scores['checkpoint']['sha256'] = '0' * 64
    (tmp_path / 'scores.json').write_text(json.dumps(scores))
    line = one_line_error(
        run('publish.py', folder / 'w/iter_2.pth', 'm.safetensors', '--scores', 'scores.json', *words, cwd=tmp_path)
    )
    assert 'another checkpoint' in line
    assert 'safetensors' in one_line_error(run('publish.py', folder / 'w/iter_2.pth', 'm.pth', *words, cwd=tmp_path))
    torch.save({'w': torch.ones(1)}, tmp_path / 'bare.pth')
    assert 'no config inside' in one_line_error(run('publish.py', 'bare.pth', 'm.safetensors', *words, cwd=tmp_path))
    assert not list(tmp_path.glob('*.safetensors'))


def test_benchmark_step_compares_with_the_plain_step(tmp_path):
    narrow = [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')]
    options = ['--pairs', 2, '--stretch', 1, '--out', 's.json', '--cfg-options', *narrow]
    succeed(run('benchmark.py', 'step', 'configs/cclgan/cclgan_demo.py', *options, cwd=tmp_path))
    figures = json.loads((tmp_path / 's.json').read_text())
    assert figures['losses_differ_by'] < 1e-5
    assert figures['flops_ratio'] < 1
    assert figures['crop'] == [48, 48]
    assert 0 < figures['ratio_range'][0] <= figures['ratio'] <= figures['ratio_range'][1]
    result = run('benchmark.py', 'step', 'configs/unet/unet5_paired.py', cwd=tmp_path)
    assert 'SupervisedRestorer has no plainly written step' in one_line_error(result)


def test_benchmark_step_compares_two_configs(tmp_path):
    pair = [f'configs/infoaccum/rain800_{row}.py' for row in ('unet5_lsgan', 'infoaccum')]
    narrow = [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')]
    steps = ['--warmup', 1, '--pairs', 2, '--stretch', 1, '--size', 64, '--out', 's.json']
    wider = ['model.generator.backbone.base_width=32', 'model.generator.backbone.stems.down1.layers=2']
    options = ['--cfg-options', *narrow, '--cfg-options-b', *wider]
    result = succeed(run('benchmark.py', 'step', *pair, *steps, *options, cwd=tmp_path))
    figures = json.loads((tmp_path / 's.json').read_text())
    assert figures['configs'] == pair
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
        (['step', 'a', 'a', 'a'], 'benchmark step takes one config or two, 3 are given'),
        (['train', 'a', '--size', '64'], '--size and --batch are of benchmark step'),
        (['step', 'a', '--cfg-options-b', 'x=1'], '--cfg-options-b needs benchmark step with two configs'),
        (['step', 'a', 'b'], 'the configs train on batch 1 of 256x256 and batch 1 of 512x512'),
        (['step', 'a', 'a', '--size', '250', '--pairs', '1'], "'lq' is 250x250 .* need multiples of 256"),
    ],
)
def test_benchmark_step_names_what_it_cannot_compare(given, expected, capsys):
    configs = {'a': 'configs/infoaccum/rain800_lsgan.py', 'b': 'configs/infoaccum/rain_cityscapes_lsgan.py'}
    with pytest.raises(SystemExit) as caught:
        main(['benchmark', *(configs.get(word, word) for word in given)])
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert re.match(f'error: .*{expected}', said), said
    assert said.count('\n') == 1


def test_benchmark_data_times_files_of_data_sets(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 3)
    base = 'configs/_base_/datasets'
    names = [f'{base}/paired_folder.py', f'{base}/clean_folder_line_rain_unpaired.py']
    options = ['--seconds', 1, '--data-root', 'data', '--out', 'd.json']
    result = succeed(run('benchmark.py', 'data', *names, *options, cwd=tmp_path))
    rows = json.loads((tmp_path / 'd.json').read_text())['configs']
    assert [row['config'] for row in rows] == names
    assert all(row['per_second'] > 0 and row['sizes']['lq'] == [256, 256] for row in rows)
    assert result.stdout.count('samples a second per worker') == 2
    assert 'takes one config, 2 are given' in one_line_error(run('benchmark.py', 'train', *names, cwd=tmp_path))


def test_benchmark_prints_and_stores_its_figures(trained, tmp_path):
    _, config = trained
    out = tmp_path / 'figures.json'
    result = succeed(
        run(
            'benchmark.py',
            'train',
            config,
            '--steps',
            10,
            '--warmup',
            2,
            '--pairs',
            2,
            '--stretch',
            3,
            '--out',
            out,
            cwd=tmp_path,
        )
    )
    figures = json.loads(out.read_text())
    assert figures['steps_per_second'] > 0
    assert 0 <= figures['waiting_for_data'] <= 1
    assert figures['peak_memory_mib'] > 100
    assert 'steps per second' in result.stdout
    assert not list(tmp_path.glob('work_dirs'))


def test_a_misspelt_verb_is_named(tmp_path):
    code = "from restorebox.cli.main import main; main(['tran'])"
    result = subprocess.run(
        [sys.executable, '-c', code], env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "did you mean 'train'" in one_line_error(result)


def test_demo_data_from_packages_and_a_folder(tmp_path):
    pytest.importorskip('skimage')
    pytest.importorskip('sklearn')
    write_pairs(tmp_path / 'mine', 'x', 11, size=(300, 280))
    tiles, held = make_data(tmp_path / 'data', tmp_path / 'mine' / 'x' / 'gt')
    train = {p.name for p in (tmp_path / 'data/train/gt').iterdir()}
    test = {p.stem for p in (tmp_path / 'data/test/gt').iterdir()}
    assert (len(train), len(test)) == (tiles, held)
    assert {'chelsea', 'coffee', '00', '10'} <= test
    assert not [name for name in train if name.rsplit('_', 2)[0] in test], (
        'a held-out photograph is in the training set'
    )
    assert 'astronaut_0_0.png' in train
    with pytest.raises(DataError, match='not installed'):
        packaged([('no_such_package', 'data', 'x.png')])
    with pytest.raises(DataError, match='no_such_folder'):
        make_data(tmp_path / 'data', tmp_path / 'no_such_folder')


def test_demo_empties_only_what_a_demo_made(tmp_path):
    mine = tmp_path / 'project'
    (mine / 'data').mkdir(parents=True)
    (mine / 'data' / 'precious.txt').write_text('keep')
    with pytest.raises(DataError, match='not empty and no earlier demo made it'):
        own_folder(mine)
    assert (mine / 'data' / 'precious.txt').read_text() == 'keep'
    own_folder(tmp_path / 'new')
    (tmp_path / 'new' / 'iter_1.pth').touch()
    own_folder(tmp_path / 'new')
    assert not (tmp_path / 'new' / 'iter_1.pth').exists()


def test_a_checkpoint_under_another_model_of_the_same_shapes_is_said(trained, tmp_path):
    folder, config = trained
    options = ('--work-dir', 't', '--cfg-options', 'model.generator.head.residual=True')
    result = succeed(run('test.py', config, folder / 'w/iter_4.pth', *options, cwd=tmp_path))
    assert 'trained with another model than this config has: generator.head.residual None -> True' in result.stdout


FAKE_SRUN = """#!/usr/bin/env bash
# as many tasks as asked for, each told who it is
tasks=1
while [ "${1#-}" != "$1" ]; do
    case $1 in --ntasks=*) tasks=${1#*=} ;; -p) shift ;; esac
    shift
done
for i in $(seq 0 $((tasks - 1))); do
    SLURM_PROCID=$i SLURM_LOCALID=$i SLURM_NTASKS=$tasks SLURM_JOB_NODELIST=127.0.0.1 "$@" & pids="$pids $!"
done
for pid in $pids; do wait $pid || exit 1; done
"""


def test_slurm_scripts_with_a_stand_in_for_srun(trained, tmp_path):
    folder, config = trained
    bin_dir = tmp_path / 'bin'
    bin_dir.mkdir()
    for name, text in (('srun', FAKE_SRUN), ('scontrol', '#!/usr/bin/env bash\necho 127.0.0.1\n')):
        (bin_dir / name).write_text(text)
        (bin_dir / name).chmod(0o755 | stat.S_IXUSR)
    env = dict(NTASKS='2', PATH=f'{bin_dir}:{environment()["PATH"]}')
    options = ('part', 'job', config)
    work_dir = tmp_path / 'w'
    succeed(run('slurm_train.sh', *options, '--work-dir', work_dir, cwd=tmp_path, PORT=free_port(), **env))
    assert len(load_file(work_dir / 'iter_2.pth')['random_states']) == 2  # 8 samples, 2 tasks x batch 2
    checkpoint = folder / 'w/iter_4.pth'
    options = (*options, checkpoint, '--work-dir', tmp_path / 't')
    succeed(run('slurm_test.sh', *options, cwd=tmp_path, PORT=free_port(), **env))
    scores = [json.loads((d / 'scores.json').read_text())['mean'] for d in (folder / 't', tmp_path / 't')]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_scripts_say_how_they_are_used(tmp_path):
    for script in ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'):
        result = run(script, cwd=tmp_path)
        assert result.returncode == 2
        assert 'usage' in result.stderr
    assert 'positive number' in run('dist_train.sh', 'c.py', 'four', cwd=tmp_path).stderr
