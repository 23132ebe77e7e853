"""Measure what the commands import, and their time and memory above ``import torch``.

    python docs/studies/startup.py

Each command runs on a small input, in processes of its own: once with
Python's ``-X importtime`` for the import time of each package, and RUNS times for processor time (user and system) and
peak memory. Those of a process that only imports torch are measured in turn with them and subtracted pair by pair; the
median is stored. Processor time is used because it depends less on other load than elapsed time.
Prints and writes docs/results/startup.json and startup.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from restorebox.cli.common import guarded

RESULTS = Path(__file__).resolve().parents[1] / 'results'
RUNS = 3
SHOWN = 4  # packages per command in the table
SIDE = 64  # of the picture in pixels
COMMANDS = {
    'restore': ('restore', 'picture.png', '--out', 'out'),
    'info': ('info', 'weather'),
    'models': ('models',),
    'check-config': ('check-config', 'fdrnet/did_hy_fdrnet.py'),
}
TORCH = ('-c', 'import torch')


def measure(arguments: tuple[str, ...], folder: Path) -> tuple[float, float]:
    """Return processor seconds and peak resident MiB of a Python process.

    Raises:
        RuntimeError: it failed.
    """
    process = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f'python {" ".join(arguments)} ended with {process.returncode}')
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def import_times(arguments: tuple[str, ...], folder: Path) -> tuple[int, dict[str, float]]:
    """Return the number of imported modules, and package -> milliseconds spent in its own modules."""
    command = [sys.executable, '-X', 'importtime', *arguments]
    lines = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stderr.splitlines()
    spent: Counter[str] = Counter()
    count = 0
    for line in lines:
        fields = line.removeprefix('import time:').split('|')
        if len(fields) == 3 and fields[0].strip().isdigit():
            spent[fields[2].strip().split('.')[0]] += int(fields[0])
            count += 1
    return count, {name: round(microseconds / 1000, 1) for name, microseconds in spent.most_common()}


def main() -> None:
    """Measure all commands, print and write the results."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / 'picture.png')
        for label, command in COMMANDS.items():
            arguments = ('-m', 'restorebox', *command)
            above = []
            for run in range(RUNS):
                own = (*arguments[:-1], f'out{run}') if command[0] == 'restore' else arguments
                (seconds, memory), (torch_seconds, torch_memory) = measure(own, folder), measure(TORCH, folder)
                above.append((seconds - torch_seconds, memory - torch_memory))
            modules, packages = import_times(arguments, folder)
            rows[label] = dict(
                seconds_above_torch=round(statistics.median(each[0] for each in above), 2),
                mib_above_torch=round(statistics.median(each[1] for each in above)),
                modules=modules,
                import_ms=packages,
            )
            print(label, {key: value for key, value in rows[label].items() if key != 'import_ms'}, flush=True)
            store(rows)  # after each command, so that an interrupted run keeps what it measured


def store(rows: dict[str, dict]) -> None:
    """Write the results."""
    stored = dict(
        runs=RUNS,
        machine=platform.machine(),
        python=platform.python_version(),
        versions={package: version(package) for package in ('torch', 'mmengine', 'numpy')},
        commands=rows,
    )
    (RESULTS / 'startup.json').write_text(json.dumps(stored, indent=1) + '\n', encoding='utf-8')
    (RESULTS / 'startup.md').write_text(table(rows), encoding='utf-8')


def table(rows: dict[str, dict]) -> str:
    """Return the results as Markdown."""
    lines = ['| command | CPU time above `import torch`, s | memory above it, MiB | modules | longest imports, ms |']
    lines.append('|---|---|---|---|---|')
    for label, row in rows.items():
        longest = ', '.join(f'{name} {ms:.0f}' for name, ms in [*row['import_ms'].items()][:SHOWN])
        numbers = f'{row["seconds_above_torch"]:.2f} | {row["mib_above_torch"]} | {row["modules"]}'
        lines.append(f'| `{label}` | {numbers} | {longest} |')
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    guarded(main)
