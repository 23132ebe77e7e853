"""Running of the blocks of the pages: commands in this process, so that each does not import PyTorch again."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from tests.conftest import REPO
from tests.processes import call, environment, succeed

OURS = re.compile(r'^(?:restorebox\s+|(?:python\s+)?tools/)([\w-]+?)(?:\.py)?(?:\s|$)')


def lines_of(block: str) -> list[str]:
    """The command lines of a shell block, continued ones joined, without comments."""
    lines = [re.sub(r'\s+#.*$', '', line) for line in block.replace('\\\n', ' ').splitlines()]
    return [line for line in lines if line.strip()]


def call_line(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one command line in a folder, with the folder as home.

    A command of restorebox is called in this process; a line with pipes, variables or other programs goes to bash.
    """
    match = OURS.match(line)
    if match is not None and not re.search(r'[|;&<>$]', line):
        words = [word.replace('~', str(folder), 1) if word.startswith('~/') else word for word in shlex.split(line)]
        return call(match[1], *words[2 if words[0] in ('restorebox', 'python') else 1 :], cwd=folder)
    env = environment(HOME=str(folder))
    return subprocess.run(
        ['bash', '-c', line], cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False
    )


def run_shell(line: str, folder: Path) -> str:
    """Run one command line, which must succeed; returns what it printed."""
    return succeed(call_line(line, folder)).stdout


def run_python(script: str, folder: Path, **names: object) -> str:
    """Run a Python block in a folder, with names that its page takes as given; returns what it printed."""
    before, out = os.getcwd(), StringIO()
    os.chdir(folder)
    try:
        with redirect_stdout(out):
            exec(compile(script, 'block', 'exec'), names)
    finally:
        os.chdir(before)
    return out.getvalue()


def link_repository(folder: Path) -> None:
    """Let a folder look like a clone, for commands that name files of the repository."""
    for name in ('tools', 'configs', 'docs', 'requirements'):
        (folder / name).symlink_to(REPO / name)
