"""Pairing of degraded and clean picture files to records.

A record is ``{'name': str, 'paths': {role: file}}``. For two pictures in one file it also has
``'halves': {role: (k, n)}``: the role is part k of n equal parts of the width, counted from 0 at the left. Names are
unique within a list. ``split`` is only used in messages.
"""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from restorebox.datasets.formats import left_out
from restorebox.datasets.reading import list_pictures
from restorebox.datasets.walking import SkippedFiles
from restorebox.errors import ConfigError, DataError

Record = dict[str, Any]


def single(folder: Path, role: str, split: str) -> list[Record]:
    """Return one record per picture of a folder.

    Raises:
        DataError: the folder is missing or has no pictures.
    """
    files = _listed(folder, split)
    return [{'name': n, 'paths': {role: str(f)}} for n, f in zip(_names(files, folder), files, strict=True)]


def same_name(lq: Path, gt: Path, split: str) -> list[Record]:
    """Pair pictures whose names are equal except for the suffix.

    Raises:
        ConfigError: both folders are the same.
        DataError: a folder is missing or empty, a picture has no counterpart, or a name occurs twice in a folder.
    """
    if lq.resolve() == gt.resolve():
        raise ConfigError(
            f"split '{split}': lq and gt are the same folder {lq}, so every picture would be paired with itself; "
            "name two folders, or use pairing='template' or 'side_by_side'"
        )
    lq_files, gt_files = _listed(lq, split), _listed(gt, split)
    clean = _by_stem(gt_files, split)
    pairs = {stem: (file, clean[stem]) for stem, file in _by_stem(lq_files, split).items() if stem in clean}
    _check_partners(lq, gt, lq_files, gt_files, list(pairs.values()), split)
    return [_pair(stem, *files) for stem, files in pairs.items()]


def add_layer(records: list[Record], layer: str, folder: Path, split: str) -> None:
    """Add to each record the picture of the same name from a folder of ground-truth layers.

    Raises:
        DataError: the folder is missing or empty, or has no picture for a record.
    """
    known = _by_stem(_listed(folder, split), split)
    alone = [record['name'] for record in records if record['name'] not in known]
    if alone:
        more = f' and {len(alone) - 1} more' if len(alone) > 1 else ''
        raise DataError(f"split '{split}': {folder} has no {layer} of {alone[0]}{more}")
    for record in records:
        record['paths'][layer] = str(known[record['name']])


def by_template(lq: Path, gt: Path, template: dict[str, str], split: str) -> list[Record]:
    """Pair degraded pictures with clean pictures by name patterns; several may share one clean picture.

    ``template={'lq': '{name}_*_*', 'gt': '{name}'}`` pairs ``1400_3_0.9.png`` with ``1400.png``. Patterns apply to
    names without suffix, ``*`` is any text. The longest matching clean name is used. Both folders may be the same.

    Raises:
        ConfigError: a pattern does not contain exactly one ``{name}``.
        DataError: a folder is missing or empty, or a picture has no counterpart.
    """
    lq_head, lq_tail = _halves_of_pattern(template['lq'], 'lq')
    gt_head, gt_tail = _halves_of_pattern(template['gt'], 'gt')
    lq_files, gt_files = _listed(lq, split), _listed(gt, split)
    fits = re.compile(f'{gt_head}(.+){gt_tail}')
    clean = {match[1]: file for stem, file in _by_stem(gt_files, split).items() if (match := fits.fullmatch(stem))}
    head, tail = re.compile(lq_head), re.compile(lq_tail)
    pairs = []
    for stem, file in _by_stem(lq_files, split).items():
        name = _longest_known(stem, head, tail, clean)
        if name is not None and clean[name] != file:
            pairs.append((stem, file, clean[name]))
    _check_partners(lq, gt, lq_files, gt_files, [pair[1:] for pair in pairs], split)
    return [_pair(*pair) for pair in pairs]


def side_by_side(folder: Path, order: tuple[str, str], split: str) -> list[Record]:
    """Return one record per file with two pictures of equal width; ``order`` names the left and the right role.

    Raises:
        DataError: the folder is missing or has no pictures.
    """
    files = _listed(folder, split)
    return [
        {
            'name': name,
            'paths': {role: str(file) for role in order},
            'halves': {role: (k, len(order)) for k, role in enumerate(order)},
        }
        for name, file in zip(_names(files, folder), files, strict=True)
    ]


def from_list_file(list_file: Path, root: Path, split: str) -> list[Record]:
    """Read pairs from a text file with one pair per line: the degraded and the clean file, relative to ``root``.

    The two are separated by a tab, by spaces if the line has no tab, or given as JSON ``["lq", "gt"]``, see
    :func:`list_line`. Empty lines and comments, which begin with #, are skipped.

    Raises:
        DataError: the list file is missing or has no pairs, a line does not name two existing files, or a comment
            names an existing file.
    """
    try:
        lines = list_file.read_text(encoding='utf-8-sig').split('\n')  # not splitlines(): names may contain e.g. \f
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'is not UTF-8 text'
        raise DataError(f"split '{split}': list file {list_file}: {reason}") from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = _from_json(line)
        if parts is None:
            parts = [part.strip() for part in line.split('\t')] if '\t' in line else line.split()
        where = f"split '{split}': list file {list_file}, line {number}"
        if line.lstrip().startswith('#'):
            if len(parts) == 2 and os.path.isfile(root / parts[0]):
                raise DataError(
                    f'{where}: begins with #, as a comment does, but {parts[0]!r} is a file; '
                    f'write the pair as {json.dumps(parts)}, or a comment with a space after the #'
                )
            continue
        if len(parts) != 2:
            raise DataError(f"{where}: expected two files, 'lq gt', found {len(parts)}: {line.strip()!r}")
        files = [root / part for part in parts]
        for file in files:
            if not os.path.isfile(file):  # unlike is_file(), also without an error for a name that is too long
                raise DataError(f'{where}: no such file: {file}')
        pairs.append(files)
    if not pairs:
        raise DataError(f"split '{split}': list file {list_file} lists no pairs; each line is 'lq gt'")
    names = _names([lq for lq, _ in pairs], root)
    return [_pair(name, lq, gt) for name, (lq, gt) in zip(names, pairs, strict=True)]


def list_line(lq: str, gt: str) -> str:
    """Format a line of a list file: separated by a tab, or as JSON if the names need escaping."""
    line = f'{lq}\t{gt}'
    plain = all(name.isprintable() and name == name.strip() and not name.startswith(('#', '[')) for name in (lq, gt))
    return line if plain else json.dumps([lq, gt])


def _from_json(line: str) -> list[str] | None:
    """Return the two names of a line with a JSON list of them; None for any other line."""
    try:
        found = json.loads(line) if line.startswith('[') else None
    except (ValueError, RecursionError):
        return None
    pair = isinstance(found, list) and len(found) == 2 and all(isinstance(name, str) for name in found)
    return found if pair else None


def _pair(name: str, lq: Path, gt: Path) -> Record:
    return {'name': name, 'paths': {'lq': str(lq), 'gt': str(gt)}}


def _listed(folder: Path, split: str) -> list[Path]:
    skipped = SkippedFiles(strict=True)
    try:
        files = list_pictures(folder, skipped=skipped)
    except DataError as error:
        raise DataError(f"split '{split}': {error}") from None
    warn_left_out(skipped, folder, split)
    return files


def warn_left_out(skipped: SkippedFiles, folder: Path, split: str) -> None:
    """Log which pictures of a folder are of unsupported kinds; files that are not pictures are ignored."""
    for line in left_out(skipped.suffixes, others=False):
        print_log(f"split '{split}': {folder}: {line}", 'current', logging.WARNING)


def _by_stem(files: list[Path], split: str) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for file in files:
        if file.stem in stems:
            raise DataError(
                f"split '{split}': two pictures of one name in {file.parent}: {stems[file.stem].name} and {file.name}; "
                'delete or rename one'
            )
        stems[file.stem] = file
    return stems


def _names(files: list[Path], root: Path) -> list[str]:
    """Return unique names: stems if unique, else paths relative to ``root`` if unique, else numbered stems."""

    def relative(file: Path) -> str:
        inside = file.relative_to(root) if file.is_relative_to(root) else file
        return '_'.join(part for part in inside.parts if part not in ('/', '..'))

    stems = [file.stem for file in files]
    for names in (stems, [relative(file) for file in files] if len(set(stems)) < len(stems) else stems):
        if len(set(names)) == len(names):
            return names
    return [f'{i:06d}_{stem}' for i, stem in enumerate(stems)]


def _halves_of_pattern(pattern: str, role: str) -> tuple[str, str]:
    """Return regular expressions for the parts before and after ``{name}``."""
    parts = pattern.split('{name}')
    if len(parts) != 2:
        raise ConfigError(f"template['{role}'] must hold {{name}} once, as in '{{name}}_*'; it is {pattern!r}")
    head, tail = ('.*'.join(re.escape(piece) for piece in part.split('*')) for part in parts)
    return head, tail


def _longest_known(stem: str, head: re.Pattern, tail: re.Pattern, known: dict[str, Path]) -> str | None:
    """Return the longest known name in ``stem`` whose prefix and suffix match ``head`` and ``tail``, or None."""
    starts = [i for i in range(len(stem)) if head.fullmatch(stem, 0, i)]
    for length in range(len(stem), 0, -1):
        for start in starts:
            name = stem[start : start + length]
            if len(name) == length and name in known and tail.fullmatch(stem, start + length):
                return name
    return None


def _check_partners(
    lq: Path, gt: Path, lq_files: list[Path], gt_files: list[Path], pairs: list[tuple[Path, Path]], split: str
) -> None:
    """Check that every picture is part of a pair.

    Raises:
        DataError: with the split, both folders and counts, and up to 3 pictures without a counterpart.
    """

    used = {file for pair in pairs for file in pair}
    alone = [file for file in dict.fromkeys(lq_files + gt_files) if file not in used]
    if alone:
        named = ', '.join(f'{file.parent.name}/{file.name}' for file in alone[:3])
        more = f' and {len(alone) - 3} more' if len(alone) > 3 else ''
        raise DataError(
            f"split '{split}': {len(lq_files)} pictures in {lq}, {len(gt_files)} in {gt}; "
            f'without a partner: {named}{more}'
        )
