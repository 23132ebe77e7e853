"""CCLGAN, CycleGAN and CUT at laptop size, trained on the same photographs for as many samples, over several seeds.

    python docs/studies/unpaired_demos.py --data-root FOLDER [--seeds 0 1 2] [--work-dir work_dirs/unpaired]

FOLDER holds clean photographs as {train,test}/gt. Trains each, tests the last checkpoint on the held-out pictures, and
writes the figures to docs/results/unpaired_demos.json with a table beside it. A run that is complete is not run again,
an interrupted one goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve()
CONFIGS = {
    'CCLGAN': 'configs/cclgan/cclgan_demo.py',
    'CycleGAN': 'configs/cyclegan/cyclegan_demo.py',
    'CUT': 'configs/cut/cut_demo.py',
}
SCORES = ('psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb')
KEPT = ('mean', 'count', 'config', 'overrides', 'training', 'inference', 'libraries', 'device', 'date')


def run(config: str, seed: int, data_root: str, folder: Path) -> dict:
    """Train and test one, or go on, or read what is there already -> its scores.json."""
    scores = folder / 'scores.json'
    if not scores.is_file():
        options = ['--data-root', data_root, '--work-dir', str(folder)]
        verb = [sys.executable, '-m', 'restorebox']
        subprocess.run([*verb, 'train', config, '--seed', str(seed), '--resume', *options], check=True)
        last = max(folder.glob('iter_*.pth'), key=lambda path: int(path.stem.split('_')[1]))
        subprocess.run([*verb, 'test', config, str(last), *options], check=True)
    return json.loads(scores.read_text())


def table(results: dict[str, list[dict]]) -> str:
    """Mean over the seeds, and in brackets the lowest and the highest of them."""
    first = next(iter(results.values()))[0]
    lines = ['| | ' + ' | '.join(SCORES) + ' | minutes |', '|---' * (len(SCORES) + 2) + '|']
    untouched = [f'{first["mean"][f"input/{name}"]:.{4 if "ssim" in name else 2}f}' for name in SCORES]
    lines.append('| input (do nothing) | ' + ' | '.join(untouched) + ' | |')
    for method, runs in results.items():
        cells = []
        for name in SCORES:
            values, digits = [each['mean'][name] for each in runs], 4 if 'ssim' in name else 2
            spread = f'{min(values):.{digits}f} to {max(values):.{digits}f}'
            cells.append(f'{statistics.mean(values):.{digits}f} ({spread})')
        minutes = statistics.mean(each['training']['minutes'] for each in runs)
        lines.append(f'| {method} | ' + ' | '.join(cells) + f' | {minutes:.1f} |')
    return '\n'.join(lines)


def main() -> None:
    """Run all, then write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/unpaired'))
    parser.add_argument('--data', default='', help='what the photographs are, for the table')
    args = parser.parse_args()
    results = {
        method: [
            run(config, seed, args.data_root, args.work_dir / f'{Path(config).stem}_s{seed}') for seed in args.seeds
        ]
        for method, config in CONFIGS.items()
    }
    stored = {method: [{key: each[key] for key in KEPT} for each in runs] for method, runs in results.items()}
    out = HERE.parents[1] / 'results' / 'unpaired_demos.json'
    out.write_text(json.dumps({'data': args.data, 'seeds': args.seeds, 'results': stored}, indent=1) + '\n')
    cost = next(iter(results.values()))[0]['training']
    note = (
        f'{args.data}; {len(args.seeds)} seeds, {cost["samples"]} samples, {cost["device"]} with {cost["threads"]} '
        f'thread(s), {next(iter(results.values()))[0]["count"]} held-out pictures. Mean (lowest to highest seed).'
    )
    text = f'<!-- written by docs/studies/{HERE.name} -->\n\n{note}\n\n{table(results)}\n'
    out.with_suffix('.md').write_text(text)
    print(text)


if __name__ == '__main__':
    main()
