"""The papers' tables in ``restorebox/published``, and numbers of papers to be compared with scores."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from restorebox.errors import ConfigError
from restorebox.files import PUBLISHED
from restorebox.registry import nearest

NUMBER = re.compile(r'\d*\.\d+')


@dataclass(frozen=True)
class Claim:
    """A published score.

    Attributes:
        text: the number as printed, ``'33.16'`` or ``'.945'``; its decimals give its rounding.
        score: ``'psnr'`` or ``'ssim'``.
        source: where it is printed; ``''`` if unknown.
    """

    text: str
    score: str
    source: str = ''

    @property
    def value(self) -> float:
        """The number."""
        return float(self.text)

    def agrees(self, value: float) -> bool:
        """Return whether a value is this number after rounding to its decimals."""
        half = 0.5 * 10.0 ** -len(self.text.partition('.')[2])
        return abs(value - self.value) <= half + 1e-9  # nan is not


def parse_claim(text: str, source: str = '') -> list[Claim]:
    """Read ``'33.16'``, ``'.945'`` or ``'33.16/.945'``; numbers up to 1 are SSIM, others PSNR.

    Raises:
        ConfigError: not of this form.
    """
    parts = [part.strip() for part in text.split('/')]
    if not all(NUMBER.fullmatch(part) for part in parts):
        raise ConfigError(f"'{text}' is no score; write it with its decimals: 33.16 (PSNR), .945 (SSIM) or 33.16/.945")
    return [Claim(part, 'ssim' if float(part) <= 1 else 'psnr', source) for part in parts]


def published_claims(name: str, folder: Path = PUBLISHED) -> list[Claim]:
    """Look up the scores of ``SET/METHOD`` in the papers' tables.

    SET is the name of a column, or that of a table's data if its columns are only ``PSNR/SSIM``; METHOD the name of a
    row. Case does not matter.

    Args:
        name: ``SET/METHOD``.
        folder: folder of the tables.

    Raises:
        ConfigError: there is no such score; the message suggests names. Or a table can't be read.
    """
    known: dict[tuple[str, str], list[Claim]] = {}
    spelt: dict[str, dict[str, None]] = {}  # set -> methods, as printed
    for file in sorted(folder.glob('*.json')):
        try:
            paper = json.loads(file.read_text('utf-8'))
            for table in paper['tables']:
                for method, cells in table['rows'].items():
                    for column, cell in zip(table['columns'], cells, strict=True):
                        if not _is_score(column, cell):
                            continue
                        data = table['data'] if column == 'PSNR/SSIM' else column
                        source = f'{file.stem}, {table["table"]} ({table["metric"]}), {data}, {method}'
                        key = (data.casefold(), method.casefold())
                        known.setdefault(key, []).extend(parse_claim(cell, source))
                        spelt.setdefault(data, {})[method] = None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f'{file}: it is no table of published scores: {type(error).__name__}: {error}') from error
    where, slash, method = name.partition('/')
    if not slash:
        raise ConfigError(f"'{name}': write SET/METHOD, e.g. 'Rain100L/PromptIR'")
    if (where.casefold(), method.casefold()) in known:
        return known[where.casefold(), method.casefold()]
    sets = {each.casefold(): each for each in spelt}
    if where.casefold() not in sets:
        raise ConfigError(f"no published table has the set '{where}'; {nearest(where, [*spelt])}")
    methods = [one for each in spelt if each.casefold() == where.casefold() for one in spelt[each]]
    raise ConfigError(f"no published table has '{method}' on {sets[where.casefold()]}; {nearest(method, methods)}")


def _is_score(column: str, cell: str | None) -> bool:
    if not cell or column.startswith('parameters') or column.endswith('error'):
        return False
    return all(NUMBER.fullmatch(part.strip()) for part in cell.split('/'))
