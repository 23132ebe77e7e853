"""restore over many small files by two processes that are killed: the same outputs, and a whole report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebox.engine.measuring import descendants
from restorebox.inference.output_log import OUTPUTS
from tests.conftest import LONG, REPO
from tests.factories import publish_small
from tests.processes import environment, free_port, messages

# the full campaign with RESTOREBOX_LONG=1
COUNT, DISTINCT, BAD = (10_000 if LONG else 1_200), 40, 3
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Small pictures in ten folders, and a few files that are none."""
    home = tmp_path_factory.mktemp('many')
    rng = np.random.default_rng(0)
    image = home / 'image.png'
    distinct = []
    for _ in range(DISTINCT):
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(image)
        distinct.append(image.read_bytes())
    for i in range(COUNT):
        path = home / 'in' / str(i % 10) / f'{i:05d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'no picture' if i % (COUNT // BAD) == 5 else distinct[i % DISTINCT])
    return home


def begin(home, published, out, report):
    """Two processes under torchrun; their output goes to files, since a pipe that nobody reads blocks them."""
    launch = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node=2', f'--master-port={free_port()}']
    words = ['in', '--model', str(published), '--out', out, '--report', report, '--device', 'cpu']
    with open(home / 'stdout.txt', 'w') as stdout, open(home / 'stderr.txt', 'w') as stderr:
        return subprocess.Popen(
            [*launch, '-m', 'restorebox', 'restore', *words],
            cwd=home,
            env=environment(PYTHONPATH=str(REPO)),
            stdout=stdout,
            stderr=stderr,
        )


def end(process, home):
    """Wait for the end; return standard output and standard error."""
    process.wait()
    return (home / 'stdout.txt').read_text(), (home / 'stderr.txt').read_text()


def made(folder):
    return [path for path in Path(folder).rglob('*.png') if not path.name.startswith('.')]


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_many_files_killed_three_times(folder, published):
    whole = begin(folder, published, 'whole', 'whole.jsonl')
    out, err = end(whole, folder)
    bad = sum(i % (COUNT // BAD) == 5 for i in range(COUNT))
    assert whole.returncode == 0, err
    assert f'{COUNT - bad} restored into whole, {bad} could not be restored' in out
    assert [line.split(': ')[0] for line in messages(err)] == ['not restored'] * bad

    for part in (0.1, 0.3, 0.5):  # on a busy machine many more are restored before the kill
        process = begin(folder, published, 'out', 'out.jsonl')
        while len(made(folder / 'out')) < part * COUNT and process.poll() is None:
            time.sleep(0.01 if COUNT < 2_000 else 0.2)  # the folder is read each time
        for each in descendants(process.pid):  # torchrun gives each rank a session of its own
            os.kill(each, signal.SIGKILL)
        end(process, folder)
        assert len(made(folder / 'out')) < COUNT - bad, 'the ranks had ended before they were killed'
        assert process.returncode == -signal.SIGKILL, 'it had ended before it was killed'
        for line in lines(folder / 'out.jsonl'):  # whole at any time
            assert line['status'] == 'failed' or (folder / line['output']).is_file()
    last = begin(folder, published, 'out', 'out.jsonl')
    out, err = end(last, folder)
    assert last.returncode == 0, err
    assert f'were there already, {bad} could not be restored' in out

    first, second = (
        {str(path.relative_to(folder / name)): path.read_bytes() for path in made(folder / name)}
        for name in ('whole', 'out')
    )
    assert first == second
    assert len(first) == COUNT - bad
    assert sorted(path.name for path in (folder / 'out').iterdir() if path.is_file()) == [OUTPUTS]
    reports = [lines(folder / f'{name}.jsonl') for name in ('whole', 'out')]
    sources = [sorted(line['source'] for line in report) for report in reports]
    assert sources[0] == sources[1] == sorted(str(path.relative_to(folder)) for path in (folder / 'in').rglob('*.png'))
    assert [sum(line['status'] == 'failed' for line in report) for report in reports] == [bad, bad]
    assert {(line['model'], line['sha256']) for line in reports[1]} == {
        (line['model'], line['sha256']) for line in reports[0]
    }
    # a file that was written just before a kill is there, but its line may be of the next run
    again = [line for line in reports[1] if line['status'] == 'existing']
    assert len(again) <= 3 * 2 * 4
