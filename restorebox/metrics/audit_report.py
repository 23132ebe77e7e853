"""Tables, JSON and CSV of an audit."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from restorebox.metrics.audit import USUAL, Audit, effects, matches, nearest_variants, problems, steps
from restorebox.metrics.published import Claim
from restorebox.metrics.scores import library_versions
from restorebox.metrics.variants import COLOURS, Variant

VERSION = 1  # of score.json, see restorebox/schemas/audit-1.json
SHOWN = 12  # maximum number of matching variants in the text


def as_json(audit: Audit, claims: Sequence[Claim], results: str, gt: str | None) -> dict:
    """Return the content of ``score.json``, which ``restorebox/schemas/audit-1.json`` describes.

    Args:
        audit: the scores.
        claims: published numbers.
        results: folder of the results, as it was given.
        gt: folder of the clean pictures; None without.
    """
    settings = {each.name: {'score': each.score, 'colour': each.colour, 'settings': each.settings}
                for each in audit.protocols}  # fmt: skip
    return {
        'version': VERSION,
        'results': results,
        'gt': gt,
        'protocols': [{'name': name, **settings.get(name, {}), 'mean': mean} for name, mean in audit.mean.items()],
        'effects': [asdict(each) for each in effects(audit)],
        'claims': [
            {
                'text': claim.text,
                'score': claim.score,
                'source': claim.source,
                'matches': [each.name for each in matches(audit, claim)],
                'nearest': [each.name for each in nearest_variants(audit, claim)],
            }
            for claim in claims
        ],
        'undefined': audit.undefined,
        'missing': audit.missing,
        'surplus': audit.surplus,
        'refused': audit.refused,
        'identical': audit.identical,
        'per_picture': audit.per_picture,
        'count': len(audit.per_picture),
        'libraries': library_versions(),
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
    }


def as_csv(audit: Audit) -> str:
    """Return a line per picture and one of the means, a column per score; nan is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ['name', *audit.mean], lineterminator='\n')
    writer.writeheader()
    for row in (*audit.per_picture, {'name': 'mean', **audit.mean}):
        writer.writerow({key: '' if value != value else value for key, value in row.items()})
    return text.getvalue()


def score_lines(audit: Audit) -> list[str]:
    """Return the means as tables: settings down, colours across; without ground truth a line per picture."""
    if not audit.protocols:
        rows = [['', *audit.mean], *([row['name'], *(_number(row[key]) for key in audit.mean)]
                                     for row in audit.per_picture)]  # fmt: skip
        return _columns([*rows, ['mean', *(_number(value) for value in audit.mean.values())]])
    lines: list[str] = []
    for score in ('psnr', 'ssim'):
        table: dict[str, dict[str, str]] = {}
        for each in audit.protocols:
            if each.score == score:
                label = ' '.join(each.settings) or '(usual)'
                table.setdefault(label, {})[each.colour] = _number(audit.mean[each.name], score)
        rows = [[label, *(cells.get(colour, '') for colour in COLOURS)] for label, cells in table.items()]
        lines += ['', *_columns([[score.upper(), *COLOURS], *rows])]
    return lines[1:]


def effect_lines(audit: Audit) -> list[str]:
    """Return a table of the effects of single settings on the usual variants."""
    table: dict[tuple[str, str], dict[str, str]] = {}
    by_name = {each.name: each for each in audit.protocols}
    for each in effects(audit):
        after = by_name[each.after]
        label = after.colour if each.kind == 'colour' else ' '.join(after.settings)
        table.setdefault((each.kind, label), {})[each.before] = _signed(each.difference, after.score)
    names = [each.name for each in USUAL]
    rows = [[f'{kind}: {label}', *(cells.get(name, '') for name in names)] for (kind, label), cells in table.items()]
    return _columns([['change of', *names], *rows])


def claim_lines(audit: Audit, claim: Claim) -> list[str]:
    """Return which variants give a published number, and how the settings lead from the usual variant to it."""
    of_score = [each for each in audit.protocols if each.score == claim.score]
    found = matches(audit, claim)
    head = f'{claim.text} ({claim.score.upper()}{", " + claim.source if claim.source else ""})'
    if not found:
        lines = [f'{head}: none of {len(of_score)} variants gives it; the nearest:']
        shown = nearest_variants(audit, claim)
    else:
        lines = [f'{head}: {len(found)} of {len(of_score)} variants give it:']
        shown = found[:SHOWN]
    lines += [f'  {_described(audit, each, claim)}' for each in shown]
    if len(found) > SHOWN:
        lines.append(f'  and {len(found) - SHOWN} more')
    colours = {each.colour for each in found}
    if len(colours) > 1:
        lines.append(f'  the number alone does not tell them apart: {", ".join(sorted(colours))}')
    return lines


def _described(audit: Audit, variant: Variant, claim: Claim) -> str:
    value = audit.mean[variant.name]
    text = f'{variant.name} {_number(value, variant.score)} ({_signed(value - claim.value, variant.score)})'
    path = steps(audit, variant)
    if not path:
        return text
    parts = [f'{each.kind} {_signed(each.difference, variant.score)}' for each in path]
    start = path[0].before
    return f'{text} = {start} {_number(audit.mean[start], variant.score)}, {", ".join(parts)}'


def note_lines(audit: Audit) -> list[str]:
    """Return the number of pictures, and what the scores do not cover."""
    count = len(audit.per_picture)
    lines = [f'{count} picture{"s"[: count != 1]} scored', *problems(audit)]
    if audit.surplus:
        lines.append(f'not scored, since no clean picture has the name: {", ".join(audit.surplus[:3])}'
                     + (f' and {len(audit.surplus) - 3} more' if len(audit.surplus) > 3 else ''))  # fmt: skip
    if audit.identical:
        lines.append(f'{len(audit.identical)} equal to the clean picture, counted as 100 dB: {audit.identical[0]}')
    if audit.protocols and not any(each.unrounded for each in audit.protocols):
        lines.append('all pictures have 8 bits: rounding them makes no difference')
    return lines


def _number(value: float, score: str = '') -> str:
    return 'nan' if math.isnan(value) else f'{value:.{4 if score == "ssim" else 3}f}'


def _signed(value: float, score: str) -> str:
    return f'{value:+.{4 if score == "ssim" else 3}f}'


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  '.join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]
