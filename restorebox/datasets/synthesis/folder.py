"""Output folder of ``synthesize``: lock, existing files, and files that must not be there.

```text
lq/ gt/ streak/ ...   pictures
recipe.json           what the folder was made with; another run with other settings is refused
journal.jsonl         while it is being made: a line per complete picture, in the order of completion
manifest.jsonl        in the end: the same lines by name
pairs.txt             with sub-folders: the list for pairing='list_file'
```
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import PIL

from restorebox.datasets.pairing import list_line
from restorebox.datasets.synthesis.work import LAYERS, Done, Job
from restorebox.errors import DataError
from restorebox.files import LOCK, locked, remove_leftovers, write_whole
from restorebox.version import __version__

RECIPE, JOURNAL, MANIFEST, PAIRS = 'recipe.json', 'journal.jsonl', 'manifest.jsonl', 'pairs.txt'
PATIENCE = 30.0  # seconds that the workers of a killed run may take to end the picture that they are at


def settings(job: Job) -> dict:
    """All that the bytes of a folder depend on, besides the clean pictures."""
    versions = {'restorebox': __version__, 'numpy': np.__version__, 'opencv': cv2.__version__}
    versions.update(pillow=PIL.__version__, machine=platform.machine())
    facts = {'recipe': job.recipe, 'config': as_config(job.recipe), 'seed': job.seed}
    facts.update(per_picture=job.per_picture, layers=job.layers, versions=versions)
    return json.loads(json.dumps(facts))  # tuples as the lists that a file gives back


def as_config(recipe: str | dict) -> dict:
    """A recipe's config."""
    from restorebox.degradations import named_recipe

    return named_recipe(recipe) if isinstance(recipe, str) else recipe


class Folder:
    """The state of a synthesis on disk.

    Args:
        job: what is to be made in ``job.home``.
        sources: all clean pictures, as paths below ``job.clean``.

    Raises:
        BusyError: another run is at work here.
        DataError: another run made it with other settings, or there are files that no run made.
    """

    def __init__(self, job: Job, sources: Iterable[str]) -> None:
        self.job, self.home = job, job.home
        self._journal: IO[str] | None = None
        self.lines: dict[str, str] = {}  # source -> its lines of the manifest
        with ExitStack() as stack:
            unlocked = stack.enter_context(locked(self.home, 'synthesize', workers=True, patience=PATIENCE))
            if unlocked:
                print(f'{self.home}: no lock ({unlocked}); keep other runs away from it', file=sys.stderr)
            for root, _, _ in os.walk(self.home):
                remove_leftovers(root)
            self._refuse_others(set(sources))
            for name in (MANIFEST, JOURNAL):
                self._read(self.home / name)
            self._open = stack.pop_all()

    def _refuse_others(self, sources: set[str]) -> None:
        own = {RECIPE, JOURNAL, MANIFEST, PAIRS}
        found = sorted(
            os.path.relpath(os.path.join(root, name), self.home).replace(os.sep, '/')
            for root, _, names in os.walk(self.home)
            for name in names
            if name != LOCK
        )
        if RECIPE not in found:
            if found:
                raise DataError(f'{self.home} holds {found[0]}, which no synthesis made; take another OUT_DIR')
            text = json.dumps(settings(self.job), indent=1) + '\n'
            write_whole(self.home / RECIPE, text.encode())
        else:
            self._refuse_other_settings()
        for source in sources:
            own |= {f'gt/{source}', f'gt/{source[: -len(Path(source).suffix)]}.png'}
            for role in ('lq', *(LAYERS if self.job.layers else ())):
                own |= {f'{role}/{name}.png' for name in self.job.names(source)}
        foreign = [name for name in found if name not in own]
        if foreign:
            raise DataError(
                f'{self.home} holds {len(foreign)} files that belong to no picture of {self.job.clean}, the first is '
                f'{foreign[0]}; remove them or take another OUT_DIR'
            )

    def _refuse_other_settings(self) -> None:
        try:
            before = json.loads((self.home / RECIPE).read_text())
        except (ValueError, OSError) as error:
            raise DataError(f"{self.home / RECIPE} can't be read: {error}") from None
        now = settings(self.job)
        for key in ('config', 'recipe', 'seed', 'per_picture', 'layers', 'versions'):
            was, is_now = (facts.get(key) if isinstance(facts, dict) else None for facts in (before, now))
            if was != is_now:
                if key == 'config' and before.get('recipe') != now['recipe']:
                    key, was, is_now = 'recipe', before.get('recipe'), now['recipe']
                raise DataError(
                    f'{self.home} was made with {key} {json.dumps(was)}, now it is {json.dumps(is_now)}; '
                    'repeat the first command line or take another OUT_DIR'
                )

    def _read(self, path: Path) -> None:
        """Take the lines of a manifest or journal; one that was cut short is of a picture that is made again."""
        try:
            text = path.read_text()
        except FileNotFoundError:
            return
        found: dict[str, list[str]] = {}
        for line in text.splitlines():
            try:
                record = json.loads(line)
                complete = {'name', 'source_sha256', 'files'} <= record.keys()
                source = record['source']
            except (ValueError, AttributeError, KeyError, TypeError):
                continue
            if complete:
                found.setdefault(source, []).append(line)
        wanted = self.job.per_picture
        # The last ones count: a picture that was made again has its lines twice in a journal.
        self.lines.update({s: '\n'.join(lines[-wanted:]) for s, lines in found.items() if len(lines) >= wanted})

    def known(self, source: str) -> list[dict]:
        """Lines of the manifest that there are of a source."""
        return [json.loads(line) for line in self.lines[source].splitlines()] if source in self.lines else []

    def note(self, done: Done) -> None:
        """Write down that the pictures of a source are complete."""
        if self._journal is None:
            known = ''.join(f'{lines}\n' for lines in self.lines.values())
            write_whole(self.home / JOURNAL, known.encode())
            self._journal = open(self.home / JOURNAL, 'a')  # noqa: SIM115 (open until the run ends)
        self.lines[done.source] = '\n'.join(done.lines)
        self._journal.write(f'{self.lines[done.source]}\n')
        self._journal.flush()

    def finish(self, skipped: set[str], pairs: bool) -> int:
        """All pictures are there: put the manifest in its place -> the number of degraded pictures."""
        lines = [line for s, lines in self.lines.items() if s not in skipped for line in lines.splitlines()]
        records = sorted((json.loads(line)['name'], line) for line in lines)
        if pairs:
            files = [json.loads(line)['files'] for _, line in records]
            text = ''.join(list_line(each['lq']['path'], each['gt']['path']) + '\n' for each in files)
            write_whole(self.home / PAIRS, text.encode())
        if hasattr(os, 'sync'):
            os.sync()  # the pictures are on the disk before the file that says so
        write_whole(self.home / MANIFEST, ''.join(f'{line}\n' for _, line in records).encode())
        (self.home / JOURNAL).unlink(missing_ok=True)
        return len(records)

    def close(self) -> None:
        """Let others in."""
        if self._journal is not None:
            self._journal.close()
        self._open.close()
