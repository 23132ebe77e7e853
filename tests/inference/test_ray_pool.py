"""Restoration by actors of Ray. Everything that starts Ray is in the last test, since each start takes seconds."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from restorebox.errors import ConfigError, MissingPackageError, RestoreboxError
from restorebox.inference import ray_pool
from restorebox.inference.output_log import OUTPUTS
from restorebox.inference.ray_pool import RayPool, allocation
from tests.conftest import LONG
from tests.factories import publish_small
from tests.inference.crashing import CRASHES, WAITS
from tests.processes import environment, messages


def test_workers_share_the_gpus(monkeypatch):
    monkeypatch.setattr(ray_pool, 'device_count', lambda kind: 2)
    assert allocation('cuda', None) == (2, 1.0)
    assert allocation('cuda', 1) == (1, 1.0)
    assert allocation('cuda', 3) == (3, 0.5)  # 2/3 of a GPU each would leave one of three without
    monkeypatch.setattr(ray_pool, 'usable_cores', lambda: 6)
    assert allocation('cpu', None) == (6, 0.0)
    assert allocation('mps', None) == (1, 0.0)


def test_it_is_refused_without_ray_and_under_torchrun(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ray_pool, 'find_spec', lambda name: None)
        with pytest.raises(MissingPackageError, match=r"engine ray needs the package ray.*'restorebox\[ray\]'"):
            RayPool(lambda: None)
    if find_spec('ray') is not None:
        monkeypatch.setenv('WORLD_SIZE', '2')
        with pytest.raises(ConfigError, match='without torchrun'):
            RayPool(lambda: None)


def test_an_error_of_rays_start_is_one_line(monkeypatch):
    ray = pytest.importorskip('ray')

    def init(*args, **kwargs):
        raise TimeoutError('The node\n timed out')

    monkeypatch.setattr(ray, 'init', init)
    with (
        pytest.raises(RestoreboxError, match=r'^engine ray: Ray does not start \(The node timed out\)$'),
        ray_pool._local_ray(1, 0, False),
    ):
        pytest.fail('it started')


RUN = """
import sys
from functools import partial
from pathlib import Path
from restorebox.inference.folders import RestoreRun, restore_into
from restorebox.inference.ray_pool import RayPool
from restorebox.inference.records import maker_of
from tests.inference.crashing import build

begin = partial(build, sys.argv[1])
run = RestoreRun(('in',), Path('out'), maker_of(sys.argv[1]), report=Path('report.jsonl'))
done = restore_into(run, begin, lambda done: print(done.numbers('out')), RayPool(begin, workers=2))
sys.exit(0 if done else 3)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec('ray') is None, reason='Ray is not installed')
def test_workers_that_end_are_replaced(tmp_path):
    """One worker is killed from outside; with RESTOREBOX_LONG=1 a picture also crashes each worker."""
    crash = LONG  # three more starts of a worker
    published, rng = publish_small(tmp_path), np.random.default_rng(0)
    (tmp_path / 'in').mkdir()
    for i in range(48):
        height = {20: CRASHES if crash else 12, 30: WAITS}.get(i, 12)
        Image.fromarray(rng.integers(0, 256, (height, 16, 3), dtype=np.uint8)).save(tmp_path / 'in' / f'{i:02d}.png')
    (tmp_path / 'in' / '40.png').write_bytes(b'no picture')
    process = subprocess.Popen(
        [sys.executable, '-c', RUN, str(published)],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / 'waiting').exists() and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    (tmp_path / 'go').touch()
    os.kill(int((tmp_path / 'waiting').read_text()), signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 3, err
    assert out.splitlines()[-1] == f'{47 - crash} restored into out, {1 + crash} could not be restored'
    notes = messages(err)
    assert len(notes) == 1 + crash, err  # and nothing of Ray
    assert all(line.startswith('note: a worker process ended, and another one went on') for line in notes)

    report = [json.loads(line) for line in (tmp_path / 'report.jsonl').read_text().splitlines()]
    assert sorted(line['source'] for line in report) == [f'in/{i:02d}.png' for i in range(48)]
    failed = {line['source']: line['error'] for line in report if line['status'] == 'failed'}
    assert set(failed) == {'in/40.png'} | ({'in/20.png'} if crash else set())
    assert not crash or 'the worker process ended 3 times at it' in failed['in/20.png']

    words = ['restore', 'in', '--out', 'alone', '--model', str(published), '--device', 'cpu']
    words += ['--exclude', '20.png'] if crash else []
    subprocess.run([sys.executable, '-m', 'restorebox', *words], cwd=tmp_path, env=environment(), capture_output=True)
    made = [{path.name: path.read_bytes() for path in (tmp_path / name).glob('*.png')} for name in ('out', 'alone')]
    assert made[0] == made[1]
    assert len(made[0]) == 47 - crash
    assert sorted(path.name for path in (tmp_path / 'out').iterdir() if path.suffix != '.png') == [OUTPUTS]
