"""Texts about the public data sets: list, instructions to obtain one, and the page ``docs/datasets.md``."""

from __future__ import annotations

import textwrap

from restorebox.datasets.sources.base import Source
from restorebox.registry import SOURCES, nearest

WIDTH = 110
LISTED = 14  # parts of a release in the instructions
HEAD = """# Data sets

<!-- Written by `restorebox prepare-data --page docs/datasets.md`; change restorebox/datasets/sources instead. -->

Each public data set on this page has a config in `configs/_base_/datasets`. `restorebox prepare-data` turns a download
into the folders that the config reads. Nothing is downloaded, because most sets require a form or a login.

```sh
restorebox prepare-data --list
restorebox prepare-data rain100l
restorebox prepare-data rain100l --from downloads/rain --to data/rain100l
```

The second command shows how to obtain a set; the third checks the download and writes the folders. `--from` may contain
the unpacked folders or the archives (zip, tar, tar.gz). The number of pictures, the partner of each picture and the end
of each file are checked. If there is a fault, it is reported in one line and nothing is written. `--allow-count`
accepts a copy whose number of pictures differs from the published one.

Files are hard links where possible, else symbolic links, else copies. Disk space is only needed for files in archives
or arrays and for cropped pictures. Hard links share their content with the download, so do not edit them in place. A
clean picture of several degraded ones is linked under the name of each, so that partners have the same name. `lists/`
contains the names of the scenes of each split and of those left out. `source.json` records counts, seed, exclusions and
version. Repeating a complete preparation changes nothing.

Randomly selected splits take `--seed` (default 0). Names are ordered by the SHA-256 of `SEED:NAME`, so the same names
and seed give the same lists everywhere, and they can be reproduced without restorebox:

```python
from hashlib import sha256

drawn = sorted(sorted(names, key=lambda name: sha256(f'{seed}:{name}'.encode()).hexdigest())[:count])
```

To add a data set, write a function that returns a {py:class}`Source <restorebox.datasets.sources.base.Source>` and
register it with `@SOURCES.register_module()` in a [plugin](add_a_method.md).

Facts listed as "unconfirmed" could not be verified from public sources; the checks test them on your download.
"""


def all_sources() -> list[Source]:
    """Return all registered sources, sorted by name; numbers in names are sorted numerically."""
    return [get(name) for name in sorted(SOURCES.known(), key=_sort_key)]


def get(name: str) -> Source:
    """Return the source with a name.

    Raises:
        RegistryKeyError: unknown name; suggests the nearest ones.
    """
    return SOURCES.build(dict(type=name))


def suggestion(name: str) -> str:
    """Return the nearest names of an unknown source as text; '' for a known one."""
    known = SOURCES.known()
    return '' if name in known else nearest(name, known)


def overview() -> str:
    """Return one line per source."""
    rows = [(s.name, s.task, expected_counts(s)) for s in all_sources()]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = [f'{name:<{widths[0]}}  {task:<{widths[1]}}  {count}' for name, task, count in rows]
    return '\n'.join([*lines, '', 'restorebox prepare-data NAME shows how to obtain a set.'])


def expected_counts(source: Source) -> str:
    """Return the numbers of scenes that are written, e.g. 'train 200, test 100'."""
    at_most = {split: 'up to ' for split in source.at_most}
    counts = {split: f'{at_most.get(split, "")}{count:,}' for split, count in source.expected.items()}
    tests = [split for split in counts if split.startswith('test_')]
    if len(tests) > 3:  # the release's counts have each of them
        alike = len({counts[split] for split in tests}) == 1
        each = f'of {counts[tests[0]]}' if alike else f'of {sum(source.expected[split] for split in tests):,} in all'
        counts = {**{split: counts[split] for split in counts if split not in tests}, f'{len(tests)} test sets': each}
    return ', '.join(f'{split} {count}' for split, count in counts.items())


def how_to(source: Source) -> str:
    """Return instructions to obtain a set, the expected files, and the folders that are written."""
    rows = [
        ('paper', source.paper),
        ('page', source.page),
        ('terms', source.terms),
        ('obtain', source.obtain),
        ('release', _published_counts(source)),
        *((f'  {part.split} {part.role}', part.example) for part in source.parts[:LISTED]),
        ('  and', f'{len(source.parts) - LISTED} more of the same kind' if len(source.parts) > LISTED else ''),
        ('pairs', source.pairing),
        ('left out', source.exclusions),
        ('output', f'{source.layout}: {expected_counts(source)}{" (drawn with --seed)" if source.drawn else ""}'),
        ('unconfirmed', source.unconfirmed),
        ('config', f'configs/_base_/datasets/{source.name}.py'),
    ]
    lines = [f'{source.title} ({source.task})', '']
    for key, text in rows:
        if text:
            indent = ' ' * 22
            lines += textwrap.wrap(text, WIDTH, initial_indent=f'{key:<20}  ', subsequent_indent=indent)
    return '\n'.join([*lines, '', f'restorebox prepare-data {source.name} --from DOWNLOAD --to data/{source.name}'])


def page() -> str:
    """Return the text of ``docs/datasets.md``."""
    sources = all_sources()
    rows = [f'| [{s.title}](#{_anchor(s)}) | `{s.name}` | {s.task} | {expected_counts(s)} |' for s in sources]
    table = '\n'.join(['| set | name | degradation | scenes |', '|---|---|---|---|', *rows])
    return '\n'.join([HEAD, table, '', *(_section(source) for source in sources)])


def _section(source: Source) -> str:
    rows = [
        *((f'{part.split} {part.role}', f'`{part.example}`') for part in source.parts),
        ('Pairs', f'{source.pairing}.'),
        ('Release', f'{_published_counts(source)}.'),
        ('Left out', source.exclusions),
        ('Output', f'{source.layout}. {expected_counts(source)}.'),
        ('Random selection', 'with `--seed`, default 0.' if source.drawn else ''),
        ('Paper', f'{source.paper}.'),
        ('Official page', f'<{source.page}>'),
        ('Terms', f'{source.terms}.'),
        ('References', f'{source.references}.'),
        ('Unconfirmed', source.unconfirmed),
        ('Config', f'`configs/_base_/datasets/{source.name}.py`'),
    ]
    lines = [_wrapped(f'- **{key}:** {text}', '  ') for key, text in rows if text]
    return '\n'.join([f'## {source.title}', '', _wrapped(source.obtain), '', *lines, ''])


def _wrapped(text: str, indent: str = '') -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _published_counts(source: Source) -> str:
    others = {split: ''.join(f' or {n:,}' for n in counts) for split, counts in source.other_counts.items()}
    return ', '.join(f'{split} {count:,}{others.get(split, "")}' for split, count in source.counts.items())


def _anchor(source: Source) -> str:
    kept = ''.join(c for c in source.title.lower() if c.isalnum() or c in ' -_')
    return kept.replace(' ', '-')


def _sort_key(name: str) -> tuple[str, int, str]:
    """Return a key that sorts numbers in names numerically: rain800 before rain1200."""
    letters = ''.join(c for c in name.split('_')[0] if not c.isdigit())
    digits = ''.join(c for c in name.split('_')[0] if c.isdigit())
    return (letters[:4] if digits else name, int(digits or 0), name)
