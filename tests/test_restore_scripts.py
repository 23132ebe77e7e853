"""tools/dist_restore.sh and tools/slurm_restore.sh: exit codes, and shares of the files."""

import json
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.conftest import REPO
from tests.factories import publish_small
from tests.processes import environment, free_port

TASKS = 2


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp('home')
    publish_small(home)
    rng = np.random.default_rng(0)
    (home / 'in').mkdir()
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)).save(home / 'in' / f'{i}.png')
    return home


def start(home, *words, **env):
    command = [str(REPO / 'tools' / words[0]), *words[1:], '--model', 'published.safetensors', '--device', 'cpu']
    return subprocess.Popen(
        command, cwd=home, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_several_processes_end_with_3_for_a_bad_picture(home):
    (home / 'in' / 'bad.png').write_bytes(b'no picture')
    try:
        process = start(home, 'dist_restore.sh', '2', 'in', '--out', 'dist', PORT=free_port())
        out, err = process.communicate()
    finally:
        (home / 'in' / 'bad.png').unlink()
    assert process.returncode == 3, err
    assert '5 restored into dist, 1 could not be restored' in out
    assert [line for line in err.splitlines() if 'Traceback' in line] == []
    assert sum('bad.png' in line for line in err.splitlines()) == 1


@pytest.mark.parametrize('arguments', [['0', 'in'], ['x', 'in'], ['2']])
def test_wrong_numbers_end_with_2(arguments, tmp_path):
    command = [str(REPO / 'tools' / 'dist_restore.sh'), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_tasks_of_a_slurm_array_restore_each_file_once(home):
    array = {'SLURM_ARRAY_TASK_COUNT': str(TASKS), 'SLURM_ARRAY_TASK_MIN': '10', 'SLURM_ARRAY_TASK_STEP': '10'}
    running = [
        start(home, 'slurm_restore.sh', 'array', 'in', SLURM_ARRAY_TASK_ID=str(10 * i), **array)
        for i in range(1, TASKS + 1)
    ]
    for process in running:
        err = process.communicate()[1]
        assert process.returncode == 0, err
    reports = sorted((home / 'array-report').iterdir())
    shares = [[json.loads(line)['source'] for line in path.read_text().splitlines()] for path in reports]
    assert [len(share) for share in shares] == [3, 2]
    assert sorted(source for share in shares for source in share) == [f'in/{i}.png' for i in range(5)]
    assert sorted(path.name for path in (home / 'array').glob('*.png')) == [f'{i}.png' for i in range(5)]
