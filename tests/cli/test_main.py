"""The console script finds its commands."""

import logging
import os
import subprocess
import sys

import pytest

from restorebox.cli.main import COMMANDS, command, main
from restorebox.errors import RestoreboxError
from tests.processes import environment, one_line_error


def test_a_misspelt_command_is_named(tmp_path):
    result = subprocess.run(
        [sys.executable, '-m', 'restorebox', 'tran'],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "did you mean 'train'" in one_line_error(result)


def test_the_script_that_was_a_command_is_named():
    with pytest.raises(RestoreboxError, match=r'tools/benchmarks/train\.py, step\.py'):
        command('benchmark')


def test_every_command_is_listed(capsys):
    main(['--help'])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == list(COMMANDS)


def test_a_log_on_a_full_disk_is_one_line_and_no_traceback(capsys, monkeypatch):
    monkeypatch.setattr(logging.Handler, 'handleError', logging.Handler.handleError)  # undone after the test
    main(['--version'])
    handler = logging.FileHandler('/dev/full')
    for _ in range(3):
        handler.handle(logging.makeLogRecord({'msg': 'x'}))
    assert capsys.readouterr().err == (
        "log /dev/full: can't be written (No space left on device); what follows is missing in it\n"
    )
    handler.stream = None  # its buffer can't be flushed when it is closed


@pytest.mark.parametrize('words', [['models', '--all'], ['--help']])
def test_a_reader_that_ends_early_ends_it_quietly(words):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, '-m', 'restorebox', *words],
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert result.stderr == ''
    assert result.returncode == 141


@pytest.mark.parametrize('closed', ['>&-', '2>&-', '<&- >&- 2>&-'])
def test_closed_streams_do_not_change_the_result(tmp_path, closed):
    """Files that are opened must not get their descriptors, to which messages go."""
    command = f'{sys.executable} -m restorebox models'
    done = subprocess.run(
        ['bash', '-c', f'{command} {closed}'], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith('MODEL') == (closed == '2>&-')
    assert done.stderr == ''
