"""Table of the unpaired methods at laptop size, from the stored records of their claims.

    python docs/studies/unpaired_methods.py

Reads docs/claims/runs (`restorebox reproduce cclgan`, `restorebox reproduce raindiffusion`, budget small); settings
come from the configs. How many seeds leave the identity with the authors' discriminator and weights comes from
docs/results/unpaired_setting_1600.json. Writes docs/results/unpaired_methods.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from unpaired_setting import LEFT, gains

from restorebox.claims.ledger import Ledger, read_all
from restorebox.claims.runs import Run, read_result, to_do
from restorebox.claims.statistics import interval
from restorebox.cli.common import guarded
from restorebox.engine.config import load_config

DOCS = Path(__file__).resolve().parents[1]
OUT = DOCS / 'results' / 'unpaired_methods.md'
SETTING = DOCS / 'results' / 'unpaired_setting_1600.json'
MODELS = (
    ('cclgan', 'cyclegan'),
    ('cclgan', 'cut'),
    ('cclgan', 'full'),
    ('raindiffusion', 'cyclegan'),
    ('raindiffusion', 'teacher'),
    ('raindiffusion', 'full'),
)
BUDGET, SEEDS = 'small', range(20)
SCORES = {'psnr_y': '.2f', 'ssim_y': '.4f'}
HEAD = ('method', 'discriminator', 'encoder', 'samples', 'minutes', 'seeds', 'PSNR', 'gain of each seed')
TAIL = ('interval of the gain', 'SSIM', 'interval of its gain', 'left the identity')


def discriminator(model: dict) -> str:
    """Describe the discriminator of a resolved config's model; '-' if it has none."""
    found = (model.get('discriminator') or {}).get('backbone')
    if not found:
        return '-'
    return f'{found["halvings"]} halvings, ' + ('anti-aliased' if found['antialias'] else 'no anti-aliasing')


def bounds(values: list[float], form: str) -> str:
    """Return the t-interval as text."""
    found = interval(values)
    return f'{found[0]:+{form}} to {found[1]:+{form}}' if found else 'one seed'


def left(values: list[float]) -> str:
    """Return how many runs have left the identity."""
    return f'{sum(abs(gain) > LEFT for gain in values)} of {len(values)}'


def records(ledger: Ledger, model: str) -> list[dict]:
    """Return a model's valid records."""
    runs = [Run(ledger.method, model, BUDGET, seed, ledger.spec(model, BUDGET)) for seed in SEEDS]
    return [read_result(run, DOCS / 'claims') for run in runs if not to_do(run, DOCS / 'claims')]


def stored(method: str, model: str) -> tuple[str, str, list[dict], list[dict]]:
    """Return a model's label, the words on its discriminator, its valid records, and those of the model before."""
    ledger = read_all()[method]
    spec = ledger.spec(model, BUDGET)
    words = discriminator(load_config(spec.config, spec.overrides, spec.row).model)
    return ledger.label(model), words, records(ledger, model), records(ledger, spec.after) if spec.after else []


def row(label: str, words: str, runs: list[dict], before: list[dict]) -> list[str]:
    """Return the cells of a method; cost without that of the model that it starts from + the latter's."""
    psnr, ssim = (gains(runs, score) for score in SCORES)
    parts = [each for each in (runs, before) if each]
    minutes = (statistics.mean(each['training']['minutes'] for each in part) for part in parts)
    return [
        label,
        words,
        runs[0]['training'].get('semantic_encoder', '-'),
        ' + '.join(f'{part[0]["training"]["samples"]:,}' for part in parts),
        ' + '.join(f'{each:.1f}' for each in minutes),
        str(len(runs)),
        f'{statistics.mean(each["mean"]["psnr_y"] for each in runs):.2f}',
        ', '.join(f'{gain:+.2f}' for gain in psnr),
        bounds(psnr, SCORES['psnr_y']),
        f'{statistics.mean(each["mean"]["ssim_y"] for each in runs):.4f}',
        bounds(ssim, SCORES['ssim_y']),
        left(psnr),
    ]


def page() -> str:
    """Return the table in Markdown."""
    found = [stored(*each) for each in MODELS]
    trained = [each for each in found if each[2]]
    first = trained[0][2][0]
    psnr, ssim = (first['mean'][f'input/{score}'] for score in SCORES)
    setting = json.loads(SETTING.read_text())
    before = gains(setting['results']['cclgan'], 'psnr_y')
    training = first['training']
    lines = [
        '<!-- written by docs/studies/unpaired_methods.py -->',
        '',
        f'{setting["data"]}; {first["count"]} test images, {training["device"]}, {training["threads"]} thread. '
        'RainDiffusion: + samples and minutes of the teacher. '
        f'The input has {psnr:.2f} dB and SSIM {ssim:.4f} (Y). Intervals are 95 % t-intervals of the mean over the '
        f'seeds. A run has left the identity if its gain or loss is above {LEFT} dB; CCLGAN with the discriminator and '
        f'weights of the paper has done so with {left(before)} seeds.',
        '',
        '| ' + ' | '.join((*HEAD, *TAIL)) + ' |',
        '|---' * len((*HEAD, *TAIL)) + '|',
        *('| ' + ' | '.join(row(*each)) + ' |' for each in trained),
    ]
    missing = [label for label, _, runs, _ in found if not runs]
    if missing:
        lines += ['', f'Not trained yet: {", ".join(missing)}.']
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Write the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    OUT.write_text(page())
    print(OUT.read_text())


if __name__ == '__main__':
    guarded(main)
