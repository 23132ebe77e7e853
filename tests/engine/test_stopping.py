"""A training that is stopped by a signal saves its state, and the resumed run equals an uninterrupted one."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from restorebox.engine.checkpoint import load_file
from restorebox.engine.stopping import StopRequest
from restorebox.files import find_checkpoints
from tests.factories import write_pairs
from tests.processes import environment, run, succeed, write_config

SLOW_DOWN = """
custom_imports = dict(imports=['tests.engine.pause_hook'])
custom_hooks = [dict(type='PauseHook')]
"""


def test_a_signal_is_noted_and_the_handlers_come_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    with StopRequest() as request:
        assert request.agreed() == 0
        os.kill(os.getpid(), signal.SIGUSR1)
        assert request.agreed() == signal.SIGUSR1
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.agreed() == signal.SIGUSR1, 'the first one counts'
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before


def test_a_second_interrupt_ends_at_once():
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'workers'), [(signal.SIGINT, 2), (signal.SIGTERM, 2), (signal.SIGUSR1, 0)])
def test_a_stopped_training_resumes_exactly(tmp_path, number, workers):
    write_pairs(tmp_path / 'data', 'train', 6)
    write_pairs(tmp_path / 'data', 'test', 2)
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=60, workers=workers)
    config.write_text(config.read_text() + SLOW_DOWN)
    command = [sys.executable, '-m', 'restorebox', 'train', str(config), '--work-dir', 'stopped']
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    (tmp_path / 'wait').touch()
    while not (tmp_path / 'reached').exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    os.killpg(process.pid, number)  # as a terminal and Slurm do: workers as well
    (tmp_path / 'wait').unlink()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 128 + number, out[-2000:] + err[-2000:]
    (saved,) = find_checkpoints(tmp_path / 'stopped')
    assert err.splitlines()[-1].startswith(
        f'stopped by {number.name} after step {saved.stem[5:]}; resume with --resume'
    )
    assert 'Traceback' not in err
    succeed(run('train.py', config, '--work-dir', 'stopped', '--resume', cwd=tmp_path))
    succeed(run('train.py', config, '--work-dir', 'straight', cwd=tmp_path))
    straight, resumed = (load_file(tmp_path / name / 'iter_30.pth') for name in ('straight', 'stopped'))
    for part in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(weight, resumed[part][name]) for name, weight in straight[part].items())
