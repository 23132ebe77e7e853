"""Measure the cost of parts of the InfoAccum paper in a training step: fewer downsamplings, module, recomputation.

Run it from the root of the repository. It measures the named rows, or all without a name, and adds them to
docs/results/infoaccum_step.json; infoaccum_step.md is the same as a table:

    OMP_NUM_THREADS=1 python docs/studies/infoaccum_step.py [ROW ...]

At 1024x1024 a step without recomputation needs about 16 GiB of memory and many minutes on a CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from restorebox.cli.common import guarded

OUT = Path(__file__).resolve().parents[1] / 'results' / 'infoaccum_step.json'
CONFIG = 'configs/infoaccum/rain800_pix2pix.py'
RECOMPUTE = ['--cfg-options-b', 'model.generator.backbone.stems.down1.recompute=True']
ROWS = {
    'UNet-8 against UNet-5': ('lsgan', 'unet5_lsgan', 256, ['--pairs', '5', '--stretch', '3']),
    'UNet-5 against UNet-5 with InfoAccum': (
        'unet5_lsgan',
        'infoaccum',
        256,
        ['--pairs', '5', '--stretch', '3'],
    ),
    'InfoAccum against InfoAccum recomputed': (
        'infoaccum',
        'infoaccum',
        1024,
        ['--pairs', '1', '--stretch', '1', *RECOMPUTE],
    ),
}


def measure(name: str) -> dict:
    """Run ``tools/benchmarks/step.py`` for a row; return its measurements."""
    a, b, size, options = ROWS[name]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'figures.json'
        script = [sys.executable, 'tools/benchmarks/step.py', CONFIG, CONFIG, '--row', a, '--row-b', b]
        given = ['--size', str(size), '--batch', '1', '--warmup', '1', *options, '--out', str(out)]
        subprocess.run([*script, *given], check=True)
        return json.loads(out.read_text())


def sides(row: dict) -> list[str]:
    """Return the two configs with their rows; older results contain only the names of configs."""
    rows = row.get('rows', (None, None))
    return [f'{config} --row {name}' if name else config for config, name in zip(row['configs'], rows, strict=True)]


def table(stored: dict[str, dict]) -> str:
    """Return one row per comparison; times only as ratios, because other load on the machine changes them."""
    lines = [
        '| A against B | crop | time, B / A (lowest to highest) | memory, MiB: A | B | B / A | parameters, B / A |',
        '|---|---|---|---|---|---|---|',
    ]
    for name, row in stored.items():
        crop = 'x'.join(map(str, row['crop']))
        low, high = row['seconds_ratio_range']
        spread = f' ({low:.2f} to {high:.2f}, {row["pairs"]} pairs)' if row['pairs'] > 1 else ' (1 pair)'
        memory = ' | '.join(f'{value:,.0f}' for value in row['memory_mib'])
        a, b = row['parameters']
        time = f'{row["seconds_ratio"]:.2f}{spread}'
        lines.append(f'| {name} | {crop} | {time} | {memory} | {row["memory_mib_ratio"]:.2f} | {b / a:.2f} |')
    notes = [
        f'- {name}: `{"` and `".join(sides(row))}`, batch {row["batch"]}, {row["precision"]}, {row["device"]}, '
        f'{row["threads"]} thread(s), torch {row["libraries"]["torch"]}; load {row["load"][0]:.1f} to '
        f'{row["load"][1]:.1f} on {row["cores"]} cores'
        for name, row in stored.items()
    ]
    return '\n'.join(['<!-- written by docs/studies/infoaccum_step.py -->', '', *lines, '', *notes, ''])


def main() -> None:
    """Measure and store each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rows', nargs='*', metavar='ROW', help=f'of: {"; ".join(ROWS)}')
    wanted = parser.parse_args().rows
    for name in wanted:
        if name not in ROWS:
            parser.error(f"there is no row '{name}'; there are: {'; '.join(ROWS)}")
    for name in wanted or ROWS:
        figures = measure(name)
        stored = json.loads(OUT.read_text()) if OUT.is_file() else {}
        stored[name] = figures
        stored = {row: stored[row] for row in ROWS if row in stored}
        OUT.write_text(json.dumps(stored, indent=1) + '\n')
        OUT.with_suffix('.md').write_text(table(stored))


if __name__ == '__main__':
    guarded(main)
