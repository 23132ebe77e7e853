"""Subsets of a data set: records named in a list, or a reproducible fraction of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from restorebox.errors import DataError


def rank(seed: int, name: str) -> str:
    """Return the sort key of a deterministic random selection: the SHA-256 of 'SEED:NAME' in UTF-8, in hexadecimal.

    The order depends only on seed and names, so that the selection can be reproduced without this package.
    """
    return hashlib.sha256(f'{seed}:{name}'.encode(errors='surrogateescape')).hexdigest()


def draw(names: Iterable[str], count: int, seed: int) -> list[str]:
    """Return the first ``count`` names in the order of :func:`rank`, or all if there are fewer; sorted by name."""
    return sorted(sorted(set(names), key=lambda name: rank(seed, name))[:count])


def select(records: Sequence[dict[str, Any]], where: str, names: str | None, fraction: float | None) -> list[dict]:
    """Return the selected records, in their order.

    Args:
        records: dicts with ``name``.
        where: the data set, for messages.
        names: text file with one name per line. A suffix after the last dot is ignored if no record has the whole name.
            Empty lines don't count, nor do comments: lines that begin with '#' and are no record's name. None selects
            all.
        fraction: fraction of the records, above 0 and up to 1: the first in the order of :func:`rank` with seed 0,
            at least one. None selects all. It applies to the records that ``names`` selects.

    Raises:
        DataError: the file can't be read, has no names, or names a record that does not exist.
    """
    chosen = list(records)
    if names is not None:
        wanted = _read_names(Path(names), {record['name'] for record in records}, where)
        chosen = [record for record in chosen if record['name'] in wanted]
    if fraction is not None:
        count = max(round(fraction * len(chosen)), 1)
        # a name may occur twice, where a small folder is repeated
        order = sorted(range(len(chosen)), key=lambda i: (rank(0, chosen[i]['name']), i))
        chosen = [chosen[i] for i in sorted(order[:count])]
    return chosen


def _read_names(file: Path, known: set[str], where: str) -> set[str]:
    try:
        text = file.read_text('utf-8', errors='surrogateescape')
    except OSError as error:
        raise DataError(f"{where}: the list of names {file} can't be read ({error.strerror})") from None
    lines = [line.strip() for line in text.splitlines()]
    found = {line if line in known else line.rsplit('.', 1)[0] for line in lines if line}
    found = {name for name in found if name in known or not name.startswith('#')}
    if not found:
        raise DataError(f'{where}: the list of names {file} is empty')
    unknown = sorted(found - known)
    if unknown:
        more = f' and {len(unknown) - 1} more' if len(unknown) > 1 else ''
        raise DataError(f"{where}: {file} names '{unknown[0]}'{more}, which no picture of it is called")
    return found
