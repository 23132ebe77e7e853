"""Run docs/first_training.md as it stands; writes docs/results/first_training/N.txt and docs/images/first_training.

    python docs/studies/first_training.py

The blocks run in order, in an empty folder: shell blocks line by line, Python blocks as scripts; captioned blocks are
files. N.txt is the output of the N-th section that has one, without dates and paths of the machine. Long outputs are
cut in the middle.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from restorebox.cli.common import guarded

DOCS = Path(__file__).resolve().parents[1]
PAGE = DOCS / 'first_training.md'
BLOCK = re.compile(r'^```(?:\{code-block\} )?(sh|python)\n(?::caption: (\S+)\n\n)?(.*?)^```$', re.MULTILINE | re.DOTALL)
DRAWN = {  # picture of the page -> file of the run
    'browse': 'browse.png',
    'curves': 'work_dirs/first/curves.png',
    'test': 'work_dirs/first/sheets/test.png',
}
WIDEST = 1000  # pixels of a picture on the page
HEAD, TAIL = 6, 12  # lines of a long output that are shown
STAMP = re.compile(r'^\d+/\d+ \d+:\d+:\d+ - mmengine - ', re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of the page: ``sh`` or ``python``, the file that it is (or None), its text, its section's number."""

    language: str
    file: str | None
    text: str
    section: int


def blocks() -> Iterator[Block]:
    """Yield the blocks of the page in order."""
    page = PAGE.read_text(encoding='utf-8')
    for match in BLOCK.finditer(page):
        number = int(re.findall(r'^## (\d+)\.', page[: match.start()], re.MULTILINE)[-1])
        yield Block(match[1], match[2], match[3], number)


def commands(block: Block) -> list[str]:
    """Return the lines of a shell block, continued lines joined."""
    return [line for line in block.text.replace('\\\n', ' ').splitlines() if line.strip()]


def walk(folder: Path, run: Callable[[str, str], str], change: Callable[[str], str] = str) -> dict[int, str]:
    """Carry out the page in a folder.

    Args:
        folder: empty folder.
        run: called with ``'sh'`` or ``'python'`` and a command or script; returns its output.
        change: changes the text of each block before it is used.

    Returns:
        Number of a section -> its output.
    """
    outputs: dict[int, str] = {}
    for block in blocks():
        if block.file is not None:
            (folder / block.file).write_text(change(block.text), encoding='utf-8')
            continue
        scripts = commands(block) if block.language == 'sh' else [block.text]
        text = ''.join(run(block.language, change(script)) for script in scripts)
        outputs[block.section] = outputs.get(block.section, '') + text
    return outputs


def readable(output: str, folder: Path) -> str:
    """Return an output for the page: no dates, no paths of the machine, long ones cut in the middle."""
    output = STAMP.sub('', output).replace(f'{folder}/', '')
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    if len(lines) > HEAD + TAIL + 1:
        lines = [*lines[:HEAD], '...', *lines[-TAIL:]]
    return '\n'.join(line if len(line) <= 118 else f'{line[:115]}...' for line in lines) + '\n'


def main() -> None:
    """Run the page and store what it prints and draws."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    began = time.perf_counter()
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        environment = {**os.environ, 'COLUMNS': '118'}

        def run(language: str, script: str) -> str:
            command = ['bash', '-c', script] if language == 'sh' else [sys.executable, '-c', script]
            start = time.perf_counter()
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f'{script}\n{done.stdout[-3000:]}')
            seconds[' '.join(script.split())[:60]] = round(time.perf_counter() - start, 1)
            return done.stdout

        outputs = walk(folder, run)
        texts, pictures = DOCS / 'results' / 'first_training', DOCS / 'images' / 'first_training'
        for out in (texts, pictures):
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
        for number, output in outputs.items():
            (texts / f'{number}.txt').write_text(readable(output, folder), encoding='utf-8')
        for stem, file in DRAWN.items():
            picture = Image.open(folder / file).convert('RGB')
            picture.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
            picture.save(pictures / f'{stem}.webp', quality=75, method=6)
        scores = json.loads((folder / 'work_dirs/first/scores.json').read_text())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {
        'minutes': round((time.perf_counter() - began) / 60, 1),
        'cpu_minutes': round((used.ru_utime + used.ru_stime) / 60, 1),
        'seconds': seconds,
        'cores': os.cpu_count(),
        'load_average': round(os.getloadavg()[0], 1),
        'mean': scores['mean'],
        'training': scores['training'],
    }
    (texts / 'run.json').write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)
