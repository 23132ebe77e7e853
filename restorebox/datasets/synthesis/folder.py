"""Output folder of ``synthesize``: lock, check of existing files, journal and manifest.

```text
lq/ gt/ streak/ ...   pictures
recipe.json           settings of the folder; a run with other settings is an error
journal.jsonl         during a run: one line per complete picture, in the order of completion
manifest.jsonl        after the run: the same lines sorted by name
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
from restorebox.datasets.synthesis.work import LAYERS, Job, Result
from restorebox.degradations import named_recipe
from restorebox.errors import DataError
from restorebox.files import LOCK, locked, remove_leftovers, write_whole
from restorebox.version import __version__

RECIPE, JOURNAL, MANIFEST, PAIRS = 'recipe.json', 'journal.jsonl', 'manifest.jsonl', 'pairs.txt'
LOCK_TIMEOUT = 30.0  # seconds; the workers of a killed run keep the lock until they have finished their picture


def settings(job: Job) -> dict:
    """Return all settings that determine the content of a folder, besides the clean pictures."""
    versions = {'restorebox': __version__, 'numpy': np.__version__, 'opencv': cv2.__version__}
    versions.update(pillow=PIL.__version__, machine=platform.machine())
    values = {'recipe': job.recipe, 'config': as_config(job.recipe), 'seed': job.seed}
    values.update(per_picture=job.per_picture, layers=job.layers, versions=versions)
    return json.loads(json.dumps(values))  # tuples become lists, as when the file is read


def as_config(recipe: str | dict) -> dict:
    """Return the config of a recipe that is given by name or as a config."""
    return named_recipe(recipe) if isinstance(recipe, str) else recipe


class OutputFolder:
    """Output folder of a synthesis, locked until :meth:`close`.

    Args:
        job: settings of the synthesis.
        sources: all clean pictures, as paths relative to ``job.clean_dir``.

    Raises:
        BusyError: another run uses the folder.
        DataError: the folder was made with other settings, or contains other files.
    """

    def __init__(self, job: Job, sources: Iterable[str]) -> None:
        self.job, self.path = job, job.out_dir
        self._journal: IO[str] | None = None
        self.lines: dict[str, str] = {}  # source -> its lines of the manifest
        with ExitStack() as stack:
            lock_error = stack.enter_context(locked(self.path, 'synthesize', workers=True, timeout=LOCK_TIMEOUT))
            if lock_error:
                print(f'{self.path}: no lock ({lock_error}); do not start another run in this folder', file=sys.stderr)
            for root, _, _ in os.walk(self.path):
                remove_leftovers(root)
            self._check_files(set(sources))
            for name in (MANIFEST, JOURNAL):
                self._read(self.path / name)
            self._lock = stack.pop_all()

    def _check_files(self, sources: set[str]) -> None:
        expected = {RECIPE, JOURNAL, MANIFEST, PAIRS}
        found = sorted(
            os.path.relpath(os.path.join(root, name), self.path).replace(os.sep, '/')
            for root, _, names in os.walk(self.path)
            for name in names
            if name != LOCK
        )
        if RECIPE not in found:
            if found:
                raise DataError(
                    f'{self.path} contains {found[0]}, which was not made by synthesize; use another OUT_DIR'
                )
            text = json.dumps(settings(self.job), indent=1) + '\n'
            write_whole(self.path / RECIPE, text.encode())
        else:
            self._check_settings()
        for source in sources:
            expected |= {f'gt/{source}', f'gt/{source[: -len(Path(source).suffix)]}.png'}
            for role in ('lq', *(LAYERS if self.job.layers else ())):
                expected |= {f'{role}/{name}.png' for name in self.job.names(source)}
        others = [name for name in found if name not in expected]
        if others:
            raise DataError(
                f'{self.path} contains {len(others)} files that belong to no picture of {self.job.clean_dir}, the '
                f'first is {others[0]}; remove them or use another OUT_DIR'
            )

    def _check_settings(self) -> None:
        try:
            before = json.loads((self.path / RECIPE).read_text())
        except (ValueError, OSError) as error:
            raise DataError(f"{self.path / RECIPE} can't be read: {error}") from None
        now = settings(self.job)
        for key in ('config', 'recipe', 'seed', 'per_picture', 'layers', 'versions'):
            old, new = (values.get(key) if isinstance(values, dict) else None for values in (before, now))
            if old != new:
                if key == 'config' and before.get('recipe') != now['recipe']:
                    key, old, new = 'recipe', before.get('recipe'), now['recipe']
                raise DataError(
                    f'{self.path} was made with {key} {json.dumps(old)}, now it is {json.dumps(new)}; '
                    'repeat the first command line or use another OUT_DIR'
                )

    def _read(self, path: Path) -> None:
        """Read the lines of a manifest or journal; incomplete lines are ignored, their pictures are made again."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return
        found: dict[str, list[str]] = {}
        for encoded in content.splitlines():
            try:
                line = encoded.decode()
                record = json.loads(line)
                complete = {'name', 'source_sha256', 'files'} <= record.keys()
                source = record['source']
            except (ValueError, AttributeError, KeyError, TypeError):
                continue
            if complete:
                found.setdefault(source, []).append(line)
        number = self.job.per_picture
        # A picture that was made again is in the journal twice; the last lines are valid.
        self.lines.update({s: '\n'.join(lines[-number:]) for s, lines in found.items() if len(lines) >= number})

    def records(self, source: str) -> list[dict]:
        """Return the existing manifest records of a source."""
        return [json.loads(line) for line in self.lines[source].splitlines()] if source in self.lines else []

    def add(self, result: Result) -> None:
        """Append the records of a complete source to the journal."""
        if self._journal is None:
            text = ''.join(f'{lines}\n' for lines in self.lines.values())
            write_whole(self.path / JOURNAL, text.encode())
            self._journal = open(self.path / JOURNAL, 'a')  # noqa: SIM115 (open until the run ends)
        self.lines[result.source] = '\n'.join(result.lines)
        self._journal.write(f'{self.lines[result.source]}\n')
        self._journal.flush()

    def finish(self, skipped: set[str], pairs: bool) -> int:
        """Write the manifest, and the list of pairs if wanted, and remove the journal.

        Args:
            skipped: sources without degraded pictures.
            pairs: whether to write ``pairs.txt``.

        Returns:
            Number of degraded pictures.
        """
        lines = [line for s, lines in self.lines.items() if s not in skipped for line in lines.splitlines()]
        records = sorted((json.loads(line)['name'], line) for line in lines)
        if pairs:
            files = [json.loads(line)['files'] for _, line in records]
            text = ''.join(list_line(each['lq']['path'], each['gt']['path']) + '\n' for each in files)
            write_whole(self.path / PAIRS, text.encode())
        if hasattr(os, 'sync'):
            os.sync()  # the pictures must be on disk before the manifest that lists them
        write_whole(self.path / MANIFEST, ''.join(f'{line}\n' for _, line in records).encode())
        (self.path / JOURNAL).unlink(missing_ok=True)
        return len(records)

    def close(self) -> None:
        """Close the journal and release the lock."""
        if self._journal is not None:
            self._journal.close()
        self._lock.close()
