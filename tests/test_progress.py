"""Progress line of a long run."""

import os
import pty
import subprocess
import sys

from restorebox import progress
from restorebox.progress import Progress
from tests.processes import environment


def test_in_a_log_a_line_comes_each_minute(monkeypatch, capsys):
    now = iter([0, 24, 66, 72, 132])
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(now))
    monkeypatch.setattr(progress, 'EVERY', 60)
    with Progress(8, 'restore') as shown:
        for _ in range(4):
            shown.advance()
    assert capsys.readouterr().err.splitlines() == [
        'restore: 2 of 8, 1.8 a minute, 198 s left',
        'restore: 4 of 8, 1.8 a minute, 132 s left',
    ]


CODE = """
from restorebox.progress import Progress
with Progress(3, 'restore') as shown:
    for i in range(3):
        print(f'line {i}')
        shown.advance()
"""


def test_on_a_terminal_a_bar_shows_the_rate_and_redirected_output_stays_in_its_file(tmp_path):
    terminal, end = pty.openpty()
    with open(tmp_path / 'out', 'wb') as out:
        command = [sys.executable, '-c', CODE]
        subprocess.run(command, stdout=out, stderr=end, env=environment(COLUMNS='100', TERM='xterm'), check=True)
    shown = os.read(terminal, 10**5).decode()
    os.close(terminal)
    os.close(end)
    assert (tmp_path / 'out').read_text() == 'line 0\nline 1\nline 2\n'
    assert '3/3' in shown
    assert ' a second,' in shown
    assert 'line' not in shown
