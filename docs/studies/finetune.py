"""Fine-tune the included model on camera noise, and measure the gain there and the loss on other degradations.

    python docs/studies/finetune.py --data FOLDER --work-dir DIR

FOLDER holds the sets of ``weather_scores.PAIRS``. The 20 scenes of noise_pairs_polyu are split: every second scene is
for training, the others are for the test. `restorebox train fdrnet/weather_finetune.py` is run as a user would, once
with all weights and once with a fixed encoder. Then the included model and both results are scored in fp32 on the test
scenes, on five other sets of pairs and on clean images. Complete runs are not repeated; an interrupted one is resumed.
Writes docs/results/finetune.json (every image) and finetune.md (a table).
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from weather_scores import PAIRS, camera_noise, read, restore_whole

from restorebox.cli.common import guarded
from restorebox.datasets.pairing import single
from restorebox.datasets.reading import read_picture
from restorebox.engine.checkpoint import sha256
from restorebox.engine.published import load_restorer
from restorebox.files import configs_dir, find_checkpoints
from restorebox.metrics.protocols import protocol
from restorebox.restorers.base import BaseRestorer

RESULTS = Path(__file__).resolve().parents[1] / 'results'
OTHERS = (
    'rain_pairs_sirr',
    'rain_pairs_didmdn light',
    'rain_pairs_didmdn medium',
    'rain_pairs_didmdn heavy',
    'render_hybrid_moderate',
)
CLEAN = 20  # images of bsds500_clean/test
ARMS = {'all weights': (), 'fixed encoder': ('--row', 'fixed_encoder')}
PSNR = protocol('psnr_y')


def split(data: Path, root: Path) -> list[str]:
    """Link the pairs of noise_pairs_polyu as {train,test}/{lq,gt}; return the names of the test pairs."""
    records = camera_noise(data / 'noise_pairs_polyu')
    scenes = sorted({re.sub(r'_+\d+$', '', each['name']) for each in records})
    held = []
    for each in records:
        part = ('train', 'test')[scenes.index(re.sub(r'_+\d+$', '', each['name'])) % 2]
        if part == 'test':
            held.append(each['name'])
        for role in ('lq', 'gt'):
            source = Path(each['paths'][role])
            link = root / part / role / f'{each["name"]}{source.suffix}'
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(source.resolve())
    return held


def train(folder: Path, root: Path, options: Sequence[str]) -> Path:
    """Train as a user does, or resume; return the last checkpoint."""
    command = [sys.executable, '-m', 'restorebox', 'train', 'fdrnet/weather_finetune.py', '--data-root', str(root)]
    subprocess.run([*command, '--work-dir', str(folder), '--resume', *options], check=True)
    return find_checkpoints(folder)[-1]


def pairs(data: Path, held: list[str]) -> dict[str, list[tuple[str, np.ndarray, np.ndarray]]]:
    """Per set: name, degraded and clean image, HWC float32 in [0, 1]."""
    sets = {}
    for name in ('noise_pairs_polyu', *OTHERS):
        folder, list_pairs = PAIRS[name]
        records = list_pairs(data / folder)
        if name == 'noise_pairs_polyu':
            name, records = f'{name} (test scenes)', [each for each in records if each['name'] in held]
        sets[name] = [(each['name'], read(each, 'lq'), read(each, 'gt')) for each in records]
    clean = single(data / 'bsds500_clean/test', 'gt', 'all')
    images = [(each['name'], read_picture(each['paths']['gt']).astype(np.float32) / 255) for each in clean]
    sets['bsds500_clean/test'] = [(name, gt, gt) for name, gt in images[:: len(images) // CLEAN][:CLEAN]]
    return sets


def score(restorer: BaseRestorer, sets: dict) -> dict[str, dict[str, float]]:
    """PSNR of Y of every restored image."""
    return {name: {key: PSNR(restore_whole(restorer, lq), gt) for key, lq, gt in each} for name, each in sets.items()}


def table(scores: dict[str, dict[str, dict[str, float]]]) -> str:
    """One row per set: input and each model, mean PSNR of Y."""
    lines = ['| set | images | ' + ' | '.join(scores) + ' |', '|---' * (len(scores) + 2) + '|']
    for name, first in scores['input'].items():
        cells = [statistics.mean(each[name].values()) for each in scores.values()]
        shown = ['clean' if value > 99 else f'{value:.2f}' for value in cells]
        lines.append(f'| {name} | {len(first)} | ' + ' | '.join(shown) + ' |')
    return '\n'.join(lines)


def main() -> None:
    """Train, score, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--only', nargs='+', choices=list(ARMS), default=list(ARMS), help='arms to train and score')
    args = parser.parse_args()
    held = split(args.data, args.work_dir / 'pairs')
    files = {'included model': configs_dir() / 'fdrnet/weather.safetensors'}
    for label in args.only:
        options = ARMS[label]
        files[label] = train(args.work_dir / label.replace(' ', '_'), args.work_dir / 'pairs', options)
    sets = pairs(args.data, held)
    scores = {'input': {name: {key: PSNR(lq, gt) for key, lq, gt in each} for name, each in sets.items()}}
    for label, file in files.items():
        scores[label] = score(load_restorer(str(file)), sets)
    result = {
        'date': datetime.now().isoformat(timespec='seconds'),
        'protocol': 'psnr_y, whole images cut to at most 900x900, fp32',
        'test pairs': held,
        'sha256': {label: sha256(file) for label, file in files.items()},
        'scores': scores,
    }
    RESULTS.joinpath('finetune.json').write_text(json.dumps(result, indent=1) + '\n')
    text = '<!-- written by docs/studies/finetune.py -->\n\n' + table(scores) + '\n'
    RESULTS.joinpath('finetune.md').write_text(text)
    print(text)


if __name__ == '__main__':
    guarded(main)
