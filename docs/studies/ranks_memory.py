"""Run `tools/dist_train.sh CONFIG RANKS` and `tools/test.py` at the paper's size; measure the memory of all processes.

    python docs/studies/ranks_memory.py --rainy FOLDER --clean FOLDER --pairs RAINY CLEAN [--ranks 4]

Makes a small data set in the layout of the CCLGAN subset of SPA-Data from the given photographs: 8 rainy and 8 clean
training images, 4 test pairs. Trains one step on each rank with the networks, crop and batch size of
cclgan/cclgan_spa.py, validates, saves, and tests the checkpoint. Every half second it reads the proportional set size
of all processes of the command, in which shared pages count once. Writes docs/results/ranks_memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from restorebox.cli.common import guarded
from restorebox.engine.measuring import descendants, proportional_size

REPO = Path(__file__).resolve().parents[2]
CONFIG = 'configs/cclgan/cclgan_spa.py'
SUFFIXES = ('.jpg', '.jpeg', '.png')


def photographs(folder: Path, count: int) -> list[Path]:
    """Return the first photographs of a folder."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:count]
    if len(found) < count:
        raise SystemExit(f'error: {folder} has {len(found)} photographs; {count} are needed')
    return found


def make_set(root: Path, rainy: Path, clean: Path, pairs: tuple[Path, Path]) -> None:
    """Write trainA, trainB, testA and testB as PNG."""
    from PIL import Image

    chosen = {'trainA': photographs(rainy, 8), 'trainB': photographs(clean, 8)}
    chosen |= {name: photographs(folder, 4) for name, folder in zip(('testA', 'testB'), pairs, strict=True)}
    for name, files in chosen.items():
        (root / name).mkdir(parents=True)
        for i, file in enumerate(files):
            Image.open(file).convert('RGB').save(root / name / f'{i:03d}.png')


def measured(command: list[str], folder: Path, log: Path) -> dict:
    """Run a command to its end; return its peak memory in GiB and its minutes.

    Raises:
        SystemExit: it failed.
    """
    start, peak, most = time.monotonic(), 0, 0
    environment = {**os.environ, 'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'}
    with open(log, 'ab') as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            each = descendants(process.pid)
            peak, most = max(peak, sum(map(proportional_size, each))), max(most, len(each))
            time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f'error: exit code {process.returncode}, see {log}')
    return {'peak_gib': peak / 2**30, 'processes': most, 'minutes': (time.monotonic() - start) / 60}


def main() -> None:
    """Train, test, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rainy', type=Path, required=True)
    parser.add_argument('--clean', type=Path, required=True)
    parser.add_argument('--pairs', type=Path, nargs=2, required=True, metavar=('RAINY', 'CLEAN'))
    parser.add_argument('--ranks', type=int, default=4)
    parser.add_argument('--work-dir', type=Path)
    args = parser.parse_args()
    folder = args.work_dir or Path(tempfile.mkdtemp())
    make_set(folder / 'data', args.rainy, args.clean, tuple(args.pairs))
    work = folder / 'work'
    where = ['--data-root', str(folder / 'data'), '--work-dir', str(work)]
    schedule = [f'{key}={args.ranks}' for key in ('train_cfg.max_samples', 'train_cfg.val_samples')]
    schedule += [f'default_hooks.checkpoint.every_samples={args.ranks}']
    train = measured(
        ['tools/dist_train.sh', CONFIG, str(args.ranks), *where, '--cfg-options', *schedule], REPO, folder / 'log.txt'
    )
    test = measured(
        [sys.executable, 'tools/test.py', CONFIG, str(work / 'iter_1.pth'), *where], REPO, folder / 'log.txt'
    )
    scores = json.loads((work / 'scores.json').read_text())
    result = {
        'config': CONFIG,
        'ranks': args.ranks,
        'samples': args.ranks,
        'train': train,
        'test': test,
        'encoder': scores['training'].get('semantic_encoder'),
        'count': scores['count'],
        'scores': scores['mean'],
        'date': datetime.now().isoformat(timespec='seconds'),
    }
    (REPO / 'docs' / 'results' / 'ranks_memory.json').write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result, indent=1))
    if args.work_dir is None:
        shutil.rmtree(folder)


if __name__ == '__main__':
    guarded(main)
