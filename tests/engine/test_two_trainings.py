"""A work directory is one training's at a time, and free as soon as that is gone."""

import os
import time

import pytest
from mmengine.config import Config

from restorebox.engine import RestorationRunner
from restorebox.errors import BusyError
from restorebox.files import LOCK, locked
from tests.factories import write_pairs
from tests.processes import one_line_error, run, start, succeed, write_config


def toy(folder, samples):
    write_pairs(folder / 'data', 'train', 6)
    write_pairs(folder / 'data', 'test', 3)
    return write_config(folder / 'toy.py', folder / 'data', samples=samples, workers=1)


def test_a_second_one_writes_nothing(tmp_path):
    cfg = Config.fromfile(toy(tmp_path, 4))
    cfg.work_dir, cfg.launcher = str(tmp_path / 'w'), 'none'
    line = rf'w: another training \(process {os.getpid()} on .*\) is at work there'
    with locked(tmp_path / 'w', 'training'), pytest.raises(BusyError, match=line):
        RestorationRunner.from_cfg(cfg)
    assert not list((tmp_path / 'w').iterdir())
    runner = RestorationRunner.from_cfg(cfg)
    with locked(tmp_path / 'w', 'training'), pytest.raises(BusyError, match=line):  # one that began meanwhile
        runner.train()


@pytest.mark.slow
def test_a_killed_one_leaves_the_directory_to_the_next_though_its_workers_live(tmp_path):
    config = toy(tmp_path, 100_000)
    few = ['--cfg-options', 'default_hooks.checkpoint.every_samples=4']
    first = start('train.py', config, '--work-dir', 'w', *few, cwd=tmp_path)
    try:
        until = time.monotonic() + 600
        while not list(tmp_path.glob('w/iter_*.pth')) and first.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        assert first.poll() is None, (tmp_path / 'output.txt').read_text()
        line = one_line_error(run('train.py', config, '--work-dir', 'w', '--resume', cwd=tmp_path))
        assert f'w: another training (process {first.pid} on ' in line
    finally:
        first.kill()
        first.wait()
    assert (tmp_path / 'w' / LOCK).exists()
    (tmp_path / 'w' / f'.restorebox-{"0" * 16}.tmp').write_bytes(b'half')
    newest = max(int(path.stem.split('_')[1]) for path in tmp_path.glob('w/iter_*.pth'))
    more = [*few, f'train_cfg.max_samples={2 * newest + 4}', 'train_cfg.val_samples=0']
    succeed(run('train.py', config, '--work-dir', 'w', '--resume', *more, cwd=tmp_path))
    assert not [path for path in (tmp_path / 'w').iterdir() if path.name.startswith('.')]
