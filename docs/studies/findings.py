"""How often is the report of damage right? Single degradations of clean photographs, and what is found in them.

    python docs/studies/findings.py /data/bsds500_clean/test [--pictures 20] [--model weather]

For each kind of degradation the table counts in how many pictures each kind is found, and in how many the given kind is
the strongest one found:

- with the clean picture as the restored one, which tests the decomposition alone;
- with what the model restores, which is what `restorebox restore` prints. Errors of the model count here as well.

Writes docs/results/findings.json and findings.md. Degraded pictures are rounded to 8 bits.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np

from restorebox.cli.common import guarded
from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.degradations.compose import build_degradation
from restorebox.inference import RestoreInferencer
from restorebox.inference.findings import KINDS, Findings, find_damage
from restorebox.pixels import to_uint8

RESULT = Path(__file__).resolve().parents[1] / 'results' / 'findings.json'
# name -> kind, degradation; None is the clean picture
DEGRADATIONS = {
    'clean': ('nothing', None),
    'veil': ('veil', dict(type='Veil')),
    'rain (line_rain)': ('streaks', dict(type='LineRain')),
    'snow': ('streaks', dict(type='Snow')),
    'noise of 5 levels': ('noise', dict(type='GaussianNoise', sigma=(5, 5))),
    'noise of 10 to 40 levels': ('noise', dict(type='GaussianNoise', sigma=(10, 40))),
    'blur of 0.7 to 3 pixels': ('blur', dict(type='GaussianBlur', sigma=(0.7, 3))),
    'motion blur of 5 to 15 pixels': ('blur', dict(type='MotionBlur', length=(5, 15))),
    'JPEG of quality 10 to 40': ('blocks', dict(type='JPEG', quality=(10, 40))),
    'JPEG of quality 41 to 60': ('blocks', dict(type='JPEG', quality=(41, 60))),
}


def strongest(found: Findings) -> str:
    """The kind with the largest strength, or 'nothing'."""
    return max(found.strengths, key=lambda kind: found.strengths[kind], default='nothing')


def row(kind: str, findings: list[Findings]) -> dict:
    """Counts of a degradation of this kind."""
    found: Counter = Counter(each for one in findings for each in one.strengths or ('nothing',))
    return {
        'kind': kind,
        'pictures': len(findings),
        'kind is strongest': sum(strongest(one) == kind for one in findings),
        'found': {each: found[each] for each in (*KINDS, 'nothing') if found[each]},
        'change': [round(one.change, 2) for one in findings],
    }


def page(facts: dict) -> str:
    """The tables as one, in Markdown."""
    count = len(facts['pictures'])
    ideal, real = facts['tables'].values()
    name = list(facts['tables'])[1]
    lines = [
        f'| degradation of {count} clean images | strongest is right, exact restoration | found besides | '
        f'strongest is right, `{name}` | found besides |',
        '|---|---|---|---|---|',
    ]
    for each, row in ideal.items():
        cells = []
        for counts in (row, real[each]):
            others = [f'{kind} {number}' for kind, number in counts['found'].items() if kind != row['kind']]
            cells += [f'{counts["kind is strongest"]} of {count}', ', '.join(others) or '-']
        lines.append(f'| {each}: {row["kind"]} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Degrade, examine, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--pictures', type=int, default=20)
    parser.add_argument('--model', default='weather')
    args = parser.parse_args()
    paths = list_pictures(args.folder, True)
    # the thresholds were set on every twentieth picture from the first on; these are others
    paths = [paths[(2 * i + 1) * len(paths) // (2 * args.pictures)] for i in range(args.pictures)]
    inferencer = RestoreInferencer(args.model, device='cpu', precision='fp32')
    tables: dict[str, dict] = {'clean picture as restored one': {}, args.model: {}}
    for name, (kind, recipe) in DEGRADATIONS.items():
        ideal, real = [], []
        for i, path in enumerate(paths):
            clean = read_picture(path)
            lq = clean
            if recipe is not None:
                lq = to_uint8(build_degradation(recipe)(clean, np.random.default_rng(i))['lq'])
            ideal.append(find_damage(lq, clean))
            real.append(find_damage(lq, inferencer.restore_array(lq)))
        for table, findings in zip(tables.values(), (ideal, real), strict=True):
            table[name] = row(kind, findings)
            print(name, {key: value for key, value in table[name].items() if key != 'change'}, flush=True)
    facts = {
        'date': datetime.now().strftime('%Y-%m-%d'),
        'pictures': [path.name for path in paths],
        'tables': tables,
    }
    RESULT.write_text(json.dumps(facts, indent=1) + '\n')
    RESULT.with_suffix('.md').write_text(page(facts))


if __name__ == '__main__':
    guarded(main)
