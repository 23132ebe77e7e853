"""Texts about the sources: the list, instructions to obtain one, and the page ``docs/datasets.md``."""

from __future__ import annotations

import textwrap

from restorebox.datasets.sources.base import Source
from restorebox.registry import SOURCES, nearest

WIDTH = 110
HEAD = """# Data sets

<!-- Written by `restorebox prepare-data --page docs/datasets.md`; change restorebox/datasets/sources instead. -->

The public data sets that have a config in `configs/_base_/datasets` and a recipe that turns a download into the folders
that the config reads. Nothing is downloaded: most sets want a form, a login or a click.

```sh
restorebox prepare-data --list
restorebox prepare-data rain100l
restorebox prepare-data rain100l --from downloads/rain --to data/rain100l
```

The second line says how to obtain a set, the third checks the download and lays it out. `--from` may hold the unpacked
folders or the archives (zip, tar, tar.gz). The number of pictures, the partner of each and the end of each file are
checked; what is wrong is said in one line, and then nothing is written. `--allow-count` accepts a copy with another
number of pictures than the published one.

Files are hard links where that is possible, else symbolic links, else copies; only what is in an archive or an array,
or has to be cut, takes room. Hard links share their bytes with the download, so don't edit them in place. A clean
picture that belongs to several degraded ones is linked under the name of each, so that nothing needs a pattern of names
to be read. `lists/` names the scenes of each split and what was left out. `source.json` records counts, seed,
exclusions and version. To repeat a preparation that is complete changes nothing.

Splits that are drawn take `--seed` (0 as default). The order of drawing is that of the SHA-256 of `SEED:NAME`, so the
same names and seed give the same lists everywhere, without any code of ours:

```python
from hashlib import sha256

drawn = sorted(sorted(names, key=lambda name: sha256(f'{seed}:{name}'.encode()).hexdigest())[:count])
```

A set of your own is a function that returns a {py:class}`Source <restorebox.datasets.sources.base.Source>`, registered
with `@SOURCES.register_module()` in a [plugin](add_a_method.md).

What "unsure" says could not be confirmed from public sources; the checks then decide on your download.
"""


def all_sources() -> list[Source]:
    """Every registered source, in alphabetical order of their names."""
    return [get(name) for name in sorted(SOURCES.known(), key=_order)]


def get(name: str) -> Source:
    """The source of a name.

    Raises:
        RegistryKeyError: there is none; names the nearest.
    """
    return SOURCES.build(dict(type=name))


def is_known(name: str) -> str:
    """'' for a known source, else the nearest names."""
    known = SOURCES.known()
    return '' if name in known else nearest(name, known)


def overview() -> str:
    """One line per source, on one screen."""
    rows = [(s.name, s.task, numbers(s)) for s in all_sources()]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = [f'{name:<{widths[0]}}  {task:<{widths[1]}}  {count}' for name, task, count in rows]
    return '\n'.join([*lines, '', 'restorebox prepare-data NAME says how to obtain a set.'])


def numbers(source: Source) -> str:
    """'train 200, test 100': what a preparation writes."""
    at_most = {split: 'up to ' for split in source.at_most}
    return ', '.join(f'{split} {at_most.get(split, "")}{count:,}' for split, count in source.expected.items())


def how_to(source: Source) -> str:
    """How to obtain one set, what is expected and what is written, on one screen."""
    facts = [
        ('paper', source.paper),
        ('page', source.page),
        ('terms', source.terms),
        ('obtain', source.obtain),
        ('release', _release(source)),
        *((f'  {part.split} {part.role}', part.shown) for part in source.parts),
        ('pairs', source.pairing),
        ('left out', source.exclusions),
        ('written', f'{source.layout}: {numbers(source)}{" (drawn with --seed)" if source.drawn else ""}'),
        ('unsure', source.unsure),
        ('config', f'configs/_base_/datasets/{source.name}.py'),
    ]
    lines = [f'{source.title} ({source.task})', '']
    for key, text in facts:
        if text:
            indent = ' ' * 22
            lines += textwrap.wrap(text, WIDTH, initial_indent=f'{key:<20}  ', subsequent_indent=indent)
    return '\n'.join([*lines, '', f'restorebox prepare-data {source.name} --from DOWNLOAD --to data/{source.name}'])


def page() -> str:
    """The whole of ``docs/datasets.md``."""
    sources = all_sources()
    rows = [f'| [{s.title}](#{_anchor(s)}) | `{s.name}` | {s.task} | {numbers(s)} |' for s in sources]
    table = '\n'.join(['| set | name | task | pictures written |', '|---|---|---|---|', *rows])
    return '\n'.join([HEAD, table, '', *(_section(source) for source in sources)])


def _section(source: Source) -> str:
    facts = [
        *((f'{part.split} {part.role}', f'`{part.shown}`') for part in source.parts),
        ('Pairs', f'{source.pairing}.'),
        ('Release', f'{_release(source)}.'),
        ('Left out', source.exclusions),
        ('Written', f'{source.layout}. {numbers(source)}.'),
        ('Drawn', 'with `--seed`, 0 as default.' if source.drawn else ''),
        ('Paper', f'{source.paper}.'),
        ('Official page', f'<{source.page}>'),
        ('Terms', f'{source.terms}.'),
        ('Known from', f'{source.facts}.'),
        ('Unsure', source.unsure),
        ('Config', f'`configs/_base_/datasets/{source.name}.py`'),
    ]
    lines = [_wrapped(f'- **{key}:** {text}', '  ') for key, text in facts if text]
    return '\n'.join([f'## {source.title}', '', _wrapped(source.obtain), '', *lines, ''])


def _wrapped(text: str, indent: str = '') -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _release(source: Source) -> str:
    also = {split: ''.join(f' or {n:,}' for n in others) for split, others in source.also.items()}
    return ', '.join(f'{split} {count:,}{also.get(split, "")}' for split, count in source.counts.items())


def _anchor(source: Source) -> str:
    kept = ''.join(c for c in source.title.lower() if c.isalnum() or c in ' -_')
    return kept.replace(' ', '-')


def _order(name: str) -> tuple[str, int, str]:
    """Names with numbers in numeric order: rain800 before rain1200."""
    letters = ''.join(c for c in name.split('_')[0] if not c.isdigit())
    digits = ''.join(c for c in name.split('_')[0] if c.isdigit())
    return (letters[:4] if digits else name, int(digits or 0), name)
