"""Usable cores, exit of a process, and its end with its parent."""

import os
import signal
import subprocess
import sys

import pytest

from restorebox.errors import ConfigError
from restorebox.processes import environment_number, own_command, own_environment, usable_cores
from tests.processes import environment


def test_the_cores_that_may_be_used():
    assert 1 <= usable_cores() <= os.cpu_count()


def test_a_command_in_a_new_process_imports_nothing_from_the_current_folder(tmp_path):
    for name in ('json', 'yaml', 'restorebox'):
        (tmp_path / f'{name}.py').write_text("raise SystemExit('a module of the current folder was imported')\n")
    bare = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    result = subprocess.run(
        own_command('models'), cwd=tmp_path, env=own_environment(bare), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert 'weather_gated' in result.stdout


def test_leaving_waits_for_no_thread_and_loses_no_output(tmp_path):
    code = (
        'import threading, time\n'
        'from restorebox.processes import exit_at_once\n'
        'threading.Thread(target=time.sleep, args=(1000,)).start()\n'
        "print('written', end='')\n"
        'exit_at_once(3)\n'
    )
    command = [sys.executable, '-c', code]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=900
    )
    assert result.returncode == 3
    assert result.stdout == 'written'
    assert result.stderr == ''


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux has it')
def test_a_process_ends_with_its_parent():
    child = (
        'import time\n'
        'from restorebox.processes import end_with_parent\n'
        'end_with_parent()\n'
        "print('ready', flush=True)\n"
        'time.sleep(1000)\n'
    )
    parent = f'import subprocess, sys\nsubprocess.run([sys.executable, "-c", {child!r}])\n'
    process = subprocess.Popen([sys.executable, '-c', parent], env=environment(), stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'ready\n'
    process.send_signal(signal.SIGKILL)
    assert process.stdout.read() == b''  # the pipe is closed when the child has ended, too


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='counts page faults as Linux does')
def test_a_worker_keeps_the_memory_of_its_arrays():
    code = (
        'import resource, numpy\n'
        'from restorebox.processes import keep_freed_memory\n'
        'def faults():\n'
        '    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n'
        '    for _ in range(50):\n'
        '        arrays = [numpy.ones((256, 256, 3), numpy.float32) for _ in range(5)]\n'
        '        del arrays\n'
        '    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n'
        'plain = faults()\n'
        'keep_freed_memory()\n'
        'faults()\n'
        'print(plain, faults())\n'
    )
    run = subprocess.run([sys.executable, '-c', code], env=environment(), capture_output=True, text=True, check=True)
    plain, kept = map(int, run.stdout.split())
    assert kept < plain / 10


def test_a_rank_that_is_no_number_is_named(monkeypatch):
    monkeypatch.setenv('RANK', '')
    assert environment_number('RANK', 0) == 0
    monkeypatch.setenv('RANK', 'x')
    with pytest.raises(ConfigError, match=r"environment variable RANK is 'x'; it must be a whole number"):
        environment_number('RANK', 0)
