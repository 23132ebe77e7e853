"""Findings and report of a check, with output as table and JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from restorebox.errors import printable

ERROR, WARNING = 'error', 'warning'
MAX_LISTED = 8  # findings of one kind listed in the table; the JSON has all

# kind -> heading in the table, in the order of the table
KINDS = {
    'pairing': 'names and folders',
    'unreadable': 'unreadable files',
    'size': 'partners of different size',
    'wrong_partner': 'pairs that show different scenes',
    'misaligned': 'pairs that are shifted against each other',
    'same_file': 'one file in training and test',
    'near_duplicate': 'near-duplicates between training and test',
    'clean_noisy': 'clean pictures that look noisy',
    'clean_blocky': 'clean pictures that look like strong JPEG',
    'clean_blurred': 'clean pictures that look blurred',
    'clean_streaked': 'clean pictures that look streaked',
}


@dataclass(frozen=True)
class Finding:
    """One fault, or possible fault, of a data set.

    Args:
        kind: one of ``KINDS``.
        severity: 'error' or 'warning'.
        split: 'train', 'val', 'test', or several of them separated by ', '.
        files: paths of the files concerned; for a pair the degraded one first.
        text: message of one line, including the files.
        value: measured value that was compared with a threshold, if any.
        parts: per file (k, n) if the picture is the k-th of n equal parts of the width, else None.
    """

    kind: str
    severity: str
    split: str
    files: tuple[str, ...]
    text: str
    value: float | None = None
    parts: tuple[tuple[int, int] | None, ...] = ()


@dataclass
class RoleCount:
    """Numbers of pictures of one role in one split: listed, read, unreadable, and per (width, height) in pixels."""

    files: int = 0
    read: int = 0
    unreadable: int = 0
    sizes: Counter = field(default_factory=Counter)

    def size_range(self) -> str:
        """Return the smallest and largest size as text."""
        if not self.sizes:
            return '-'
        by_area = sorted(self.sizes, key=lambda size: size[0] * size[1])
        low, high = ('{}x{}'.format(*by_area[k]) for k in (0, -1))
        return low if len(by_area) == 1 else f'{low} to {high}, {len(by_area)} sizes'


@dataclass
class Report:
    """Counts and findings of a check.

    Args:
        subject: name of the config or folder.
        quick: whether only a sample was read.
        counts: (split, role) -> :class:`RoleCount`.
        pairs: split -> number of pairs.
        findings: errors first, then in the order of ``KINDS``, after :meth:`finish`.
        notes: data sets that were not checked, with the reason.
        seconds: wall-clock time.
    """

    subject: str
    quick: bool = False
    counts: dict[tuple[str, str], RoleCount] = field(default_factory=dict)
    pairs: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def errors(self) -> list[Finding]:
        """Findings of severity 'error'."""
        return [each for each in self.findings if each.severity == ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """Findings of severity 'warning'."""
        return [each for each in self.findings if each.severity == WARNING]

    def count(self, split: str, role: str) -> RoleCount:
        """Return the count of a role in a split; create it if it does not exist."""
        return self.counts.setdefault((split, role), RoleCount())

    def finish(self, seconds: float) -> Report:
        """Sort the findings, set the time, and return the report itself."""
        order = {kind: k for k, kind in enumerate(KINDS)}
        self.findings.sort(key=lambda each: (each.severity != ERROR, order[each.kind], each.split, each.files))
        self.seconds = seconds
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict that can be written as JSON."""
        return {
            'subject': self.subject,
            'form': 'quick' if self.quick else 'full',
            'seconds': round(self.seconds, 2),
            'counts': [
                {
                    'split': split,
                    'role': role,
                    'files': count.files,
                    'read': count.read,
                    'unreadable': count.unreadable,
                    'sizes': [{'width': w, 'height': h, 'count': n} for (w, h), n in sorted(count.sizes.items())],
                }
                for (split, role), count in self.counts.items()
            ],
            'pairs': self.pairs,
            'errors': len(self.errors),
            'warnings': len(self.warnings),
            'findings': [{k: v for k, v in asdict(each).items() if k != 'parts'} for each in self.findings],
            'notes': self.notes,
        }

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(self.to_dict(), indent=1) + '\n'

    def table(self) -> str:
        """Return the counts, the findings by kind, the notes and the summary as text."""
        rows = [('split', 'role', 'files', 'read', 'unreadable', 'width x height')]
        for (split, role), count in self.counts.items():
            rows.append((split, role, str(count.files), str(count.read), str(count.unreadable), count.size_range()))
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        lines = []
        for row in rows:
            cells = [row[k].ljust(widths[k]) if k < 2 else row[k].rjust(widths[k]) for k in range(5)]
            lines.append('  '.join([*cells, row[5]]).rstrip())
        for split, number in self.pairs.items():
            lines.append(f'{split}: {number} pairs')
        for kind, heading in KINDS.items():
            found = [each for each in self.findings if each.kind == kind]
            if not found:
                continue
            lines += ['', f'{found[0].severity}: {heading} ({len(found)})']
            lines += [f'  {printable(each.text)}' for each in found[:MAX_LISTED]]
            if len(found) > MAX_LISTED:
                lines.append(f'  and {len(found) - MAX_LISTED} more')
        lines += ['', *(f'note: {printable(note)}' for note in self.notes), self.summary()]
        return '\n'.join(lines)

    def summary(self) -> str:
        """Return one line with the numbers of pictures read, errors and warnings."""
        read = sum(count.read for count in self.counts.values())
        files = sum(count.files for count in self.counts.values())
        kinds = Counter(each.kind for each in self.findings)
        by_kind = ', '.join(f'{number} {kind}' for kind, number in kinds.items())
        return (
            f'{read} of {files} pictures read in {self.seconds:.1f} s: {_number(len(self.errors), "error")}, '
            f'{_number(len(self.warnings), "warning")}{f" ({by_kind})" if by_kind else ""}'
        )


def _number(count: int, word: str) -> str:
    return f'{count} {word}{"" if count == 1 else "s"}'
