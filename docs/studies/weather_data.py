"""Write the training data of version 2 of the included model: OUT/{train,test}/gt.

    python docs/studies/weather_data.py --data FOLDER --out OUT

Clean photographs: train and val of BSDS500, Urban100 and Sun-Hays 80. Ten of each of the last two are held out as
validation set, selected by the hash of their names. Pictures that are used for scores, and near-duplicates of them as
found by the fingerprints of check-data, are left out. The split and SHA-256 of each file is written to
docs/results/weather_photographs.json. Files are linked if the system allows it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np

from restorebox.claims.runs import write_json
from restorebox.cli.common import guarded
from restorebox.datasets.inspection.duplicates import (
    MIN_SIMILARITY,
    candidates,
    fingerprint,
    similarity,
    stack_fingerprints,
)
from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.datasets.subsets import draw
from restorebox.engine.checkpoint import sha256

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'weather_photographs.json'
CLEAN = ('bsds500_clean/train', 'bsds500_clean/val', 'urban100_clean', 'sunhays80_clean')
HELD_OUT = {'urban100_clean': 10, 'sunhays80_clean': 10}
SEED = 23
# Scored sets, which are not used for training. In side-by-side files the right half is the clean picture.
SCORED = (
    'bsds500_clean/test',
    'set5_clean',
    'rain_pairs_sirr/clean',
    'rain_pairs_ddn/clean',
    'rain_pairs_mfdnet3/clean',
    'haze_pairs_its/clean',
    'haze_pairs_real_indoor/clean',
    'noise_pairs_polyu',
)
HALVES = ('rain_pairs_didmdn', 'haze_pairs_outdoor_depth')


def plane(picture: np.ndarray) -> np.ndarray:
    """Return the luminance, HW float32 in [0, 255]."""
    return picture.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])


def scored_planes(data: Path) -> dict[str, np.ndarray]:
    """Return name -> luminance of the clean pictures of all scored sets."""
    found = {}
    for folder in (*SCORED, *HALVES):
        for path in list_pictures(data / folder, recursive=True):
            picture = read_picture(path)
            if folder in HALVES:
                picture = picture[:, picture.shape[1] // 2 :]
            found[f'{folder}/{Path(path).name}'] = plane(picture)
    return found


def doubles(ours: dict[str, np.ndarray], scored: dict[str, np.ndarray]) -> dict[str, str]:
    """Return name -> name of the scored picture of which it is a near-duplicate."""
    mine, my_places = stack_fingerprints([fingerprint(each) for each in ours.values()])
    theirs, their_places = stack_fingerprints([fingerprint(each) for each in scored.values()])
    names, others, same = list(ours), list(scored), {}
    for match in candidates(mine, theirs):
        name, other = names[my_places[match.first]], others[their_places[match.second]]
        if name not in same and similarity(ours[name], scored[other]) >= MIN_SIMILARITY:
            same[name] = other
    return same


def main() -> None:
    """Select, check and link the files, and write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--list', type=Path, default=RESULTS, help='where the list is written')
    args = parser.parse_args()
    excluded = set((args.data / 'bsds500_clean' / 'EXCLUDED_IDS.txt').read_text().split())
    paths = {
        f'{folder}/{Path(path).name}': Path(path)
        for folder in CLEAN
        for path in list_pictures(args.data / folder)
        if Path(path).stem not in excluded
    }
    same = doubles({name: plane(read_picture(path)) for name, path in paths.items()}, scored_planes(args.data))
    held = set()
    for folder, count in HELD_OUT.items():
        held.update(draw([n for n in paths if n.startswith(f'{folder}/') and n not in same], count, SEED))
    listed: dict[str, dict] = {'train': {}, 'test': {}, 'left out': same}
    for name, path in paths.items():
        if name in same:
            continue
        split = 'test' if name in held else 'train'
        listed[split][name] = sha256(path)
        target = args.out / split / 'gt' / name.replace('/', '_')
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            try:
                os.symlink(path.resolve(), target)
            except OSError:
                shutil.copyfile(path, target)
    write_json(args.list, listed)
    print(json.dumps({split: len(each) for split, each in listed.items()}))


if __name__ == '__main__':
    guarded(main)
