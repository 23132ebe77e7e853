"""The scripts for torchrun and Slurm."""

import json
import stat
import subprocess
import sys

import pytest

from restorebox.cli.main import main
from restorebox.engine import load_file
from tests.factories import write_pairs
from tests.processes import environment, free_port, run, succeed, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    write_pairs(folder / 'data', 'train', 4)
    write_pairs(folder / 'data', 'test', 3)
    config = write_config(folder / 'toy.py', folder / 'data', samples=8)
    main(['train', str(config), '--work-dir', str(folder / 'w')])
    main(['test', str(config), str(folder / 'w/iter_4.pth'), '--work-dir', str(folder / 't')])
    return folder, config


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


def test_the_cache_of_yapf_exists_before_the_ranks_start(tmp_path):
    script = tmp_path / 'rank.py'
    script.write_text(
        'import os, pathlib; print(*(p.name for p in pathlib.Path(os.environ["XDG_CACHE_HOME"]).rglob("*.pickle")))'
    )
    env = environment(XDG_CACHE_HOME=str(tmp_path / 'cache'))
    command = [sys.executable, '-m', 'restorebox.engine.launch', '--nproc_per_node', '1']
    done = subprocess.run(
        [*command, '--master_port', free_port(), str(script)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 'Grammar' in done.stdout


def test_scripts_say_how_they_are_used(tmp_path):
    for script in ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'):
        result = run(script, cwd=tmp_path)
        assert result.returncode == 2
        assert 'usage' in result.stderr
    assert 'positive number' in run('dist_train.sh', 'c.py', 'four', cwd=tmp_path).stderr
