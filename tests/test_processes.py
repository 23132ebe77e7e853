"""Usable cores, and exit of a process."""

import os
import subprocess
import sys

from restorebox.processes import usable_cores
from tests.processes import environment


def test_the_cores_that_may_be_used():
    assert 1 <= usable_cores() <= os.cpu_count()


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
