"""Measure whether check-data finds inserted faults, and reports nothing else.

For each seed a set is made: photographs are divided at random into training and test, and each gets a degraded partner
(one of RECIPES at random). It contains these faults:

- 3 near-duplicates: training pairs whose clean picture is a test photograph re-encoded, resized, or cropped by up to 4
  percent per side, stored as JPEG again, with their own degradation;
- 2 swaps: the degraded pictures of two pairs of the same size are exchanged, which gives 4 wrong pairs;
- 1 truncated file.

Recall is the fraction of inserted faults (8 per set; each wrong pair counts as one) that are reported with the correct
files. Every other finding is a false alarm, including warnings about clean pictures. The only exception is the
re-encoded copy, which does look like strong JPEG.

In addition, the real camera-noise pairs of NOISE are divided at random 20 times, so that crops of one scene are in both
splits; all findings are false alarms. Finally, single photographs are degraded to measure the recall of the warnings
about clean pictures. Run it from the root of the repository:

    python docs/studies/data_faults.py PHOTOGRAPHS --noise NOISE

PHOTOGRAPHS is a folder that is searched recursively (the stored results are for 365 photographs of BSDS500). NOISE is a
folder with NAME_real.JPG and NAME_mean.JPG. It writes docs/results/data_faults.json, without any picture.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from restorebox.cli.common import guarded
from restorebox.datasets.inspection import Finding, Report, check, clean, from_folder
from restorebox.datasets.inspection.luminance import luminance
from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.degradations import build_degradation

OUT = Path(__file__).resolve().parents[1] / 'results' / 'data_faults.json'
RECIPES = (
    *('line_rain', 'light_rain', 'heavy_rain', 'rain100h', 'rain_fog', 'haze', 'veil', 'snow', 'noise', 'blur'),
    *('motion_blur', 'jpeg', 'mild', 'moderate', 'severe', 'did_hy'),
)
HELD_OUT = 0.25  # fraction of the photographs used for test
DUPLICATES = ('re-encoded', 'resized', 'cropped')
DEGRADATIONS = ('JPEG 20', 'JPEG 40', 'blur 2', 'blur 3', 'noise 15', 'noise 20', 'noise 25', 'line_rain', 'heavy_rain')


@dataclass
class InsertedFaults:
    """Inserted faults of a set: kind of fault -> files of each."""

    near_duplicate: dict[str, tuple[str, str]] = field(default_factory=dict)
    wrong_partner: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def found(self, findings: list[Finding]) -> dict[str, bool]:
        """Return fault -> whether a finding of the correct kind names its files."""
        reported = {(each.kind, each.files) for each in findings}
        return {
            **{
                f'near_duplicate, {how}': ('near_duplicate', pair) in reported
                for how, pair in self.near_duplicate.items()
            },
            **{f'wrong_partner, {k}': ('wrong_partner', p) in reported for k, p in enumerate(self.wrong_partner)},
            **{f'unreadable, {k}': ('unreadable', (p,)) in reported for k, p in enumerate(self.unreadable)},
        }

    def alarms(self, findings: list[Finding]) -> list[Finding]:
        """Return the findings that are about no inserted fault."""
        inserted = {('near_duplicate', pair) for pair in self.near_duplicate.values()}
        inserted |= {('wrong_partner', pair) for pair in self.wrong_partner}
        inserted |= {('unreadable', (path,)) for path in self.unreadable}
        inserted.add(('clean_blocky', self.near_duplicate['re-encoded'][:1]))
        return [each for each in findings if (each.kind, each.files) not in inserted]


def copied(picture: np.ndarray, how: str, rng: np.random.Generator) -> Image.Image:
    """Return a near-duplicate of a picture, HWC uint8."""
    image = Image.fromarray(picture)
    width, height = image.size
    if how == 'resized':
        factor = rng.uniform(0.5, 0.8) if rng.random() < 0.5 else rng.uniform(1.2, 1.6)
        image = image.resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)
    if how == 'cropped':
        left, top, right, bottom = rng.uniform(0.005, 0.04, 4)
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        image = image.crop(tuple(round(edge) for edge in box))
    return image if how != 're-encoded' else jpeg(image, int(rng.integers(30, 70)))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Return a picture after JPEG compression."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=quality)
    return Image.open(buffer).convert('RGB')


def make_set(photographs: list[np.ndarray], folder: Path, rng: np.random.Generator) -> InsertedFaults:
    """Write a set with inserted faults as ``folder/{train,test}/{lq,gt}``.

    Args:
        photographs: at least 16, HWC uint8, all of different scenes.
        folder: an empty folder.
        rng: generator of all random draws.
    """
    order = rng.permutation(len(photographs))
    held = max(4, round(HELD_OUT * len(order)))
    for split in ('train', 'test'):
        for role in ('lq', 'gt'):
            (folder / split / role).mkdir(parents=True)
    places = [('test' if k < held else 'train', f'{k:04d}') for k in range(len(order))]
    for (split, name), index in zip(places, order, strict=True):
        _write_pair(photographs[index], folder / split, name, rng)
    inserted = InsertedFaults()
    for k, how in enumerate(DUPLICATES):  # of the first test photographs, which are random ones
        copy = np.asarray(copied(photographs[order[k]], how, rng))
        _write_pair(copy, folder / 'train', f'copy_{k}', rng)
        gt = str(folder / 'train' / 'gt' / f'copy_{k}.jpg')
        inserted.near_duplicate[how] = (gt, str(folder / 'test' / 'gt' / f'{k:04d}.jpg'))
    sizes = {name: photographs[order[k]].shape for k, (_, name) in enumerate(places)}
    free = [str(name) for name in rng.permutation([name for split, name in places if split == 'train'])]
    for _ in range(2):
        a, b = next((a, b) for a in free for b in free if a != b and sizes[a] == sizes[b])
        free = [name for name in free if name not in (a, b)]
        first, second = (folder / 'train' / 'lq' / f'{name}.jpg' for name in (a, b))
        kept = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(kept)
        inserted.wrong_partner += [(str(f), str(f.parents[1] / 'gt' / f.name)) for f in (first, second)]
    truncated = folder / 'train' / str(rng.choice(['lq', 'gt'])) / f'{free.pop()}.jpg'
    data = truncated.read_bytes()
    truncated.write_bytes(data[: int(len(data) * rng.uniform(0.2, 0.95))])
    inserted.unreadable.append(str(truncated))
    return inserted


def _write_pair(picture: np.ndarray, folder: Path, name: str, rng: np.random.Generator) -> None:
    degraded = build_degradation(str(rng.choice(RECIPES)))(picture, rng)['lq']
    Image.fromarray(picture).save(folder / 'gt' / f'{name}.jpg', quality=92)
    lq = (np.clip(degraded, 0, 1) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(lq).save(folder / 'lq' / f'{name}.jpg', quality=95)


def split_noise(noise: Path, folder: Path, rng: np.random.Generator) -> None:
    """Divide real noisy pairs at random into ``folder/{train,test}/{lq,gt}``."""
    names = sorted(path.name.removesuffix('_real.JPG') for path in noise.glob('*_real.JPG'))
    for k, place in enumerate(rng.permutation(len(names))):
        split = 'train' if k < len(names) // 2 else 'test'
        for role, kind in (('lq', 'real'), ('gt', 'mean')):
            (folder / split / role).mkdir(parents=True, exist_ok=True)
            shutil.copy(noise / f'{names[place]}_{kind}.JPG', folder / split / role / f'{names[place]}.jpg')


def degrade(picture: np.ndarray, how: str, rng: np.random.Generator) -> np.ndarray:
    """Apply one of DEGRADATIONS: HWC uint8 -> HWC uint8."""
    kind, _, number = how.partition(' ')
    if kind == 'JPEG':
        return np.asarray(jpeg(Image.fromarray(picture), int(number)))
    if kind == 'blur':
        return cv2.GaussianBlur(picture, (0, 0), float(number))
    if kind == 'noise':
        return np.clip(picture + rng.normal(0, float(number), picture.shape), 0, 255).astype(np.uint8)
    return (np.clip(build_degradation(how)(picture, rng)['lq'], 0, 1) * 255).astype(np.uint8)


def recall_of_clean_warnings(photographs: list[np.ndarray], number: int, rng: np.random.Generator) -> dict[str, float]:
    """Return degradation -> fraction of degraded pictures that are reported; each is the only one in a clean set."""
    measured = [clean.measure(luminance(picture)) for picture in photographs]
    named = {'nothing': len({i for i, _, _ in clean.outliers(measured)}) / len(measured)}
    for how in DEGRADATIONS:
        chosen = rng.choice(len(photographs), number, replace=False)
        hits = 0
        for i in chosen:
            one = clean.measure(luminance(degrade(photographs[i], how, rng)))
            among = [*measured[:i], one, *measured[i + 1 :]]
            hits += any(k == i for k, _, _ in clean.outliers(among))
        named[how] = hits / number
    return named


def run(photographs: list[np.ndarray], seed: int) -> tuple[InsertedFaults, Report]:
    """Make the set of a seed, check it and delete it."""
    with tempfile.TemporaryDirectory() as folder:
        inserted = make_set(photographs, Path(folder), np.random.default_rng([seed, 0]))
        return inserted, check(from_folder(Path(folder)))


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photographs', type=Path)
    parser.add_argument('--noise', type=Path, help='folder of real noisy pairs')
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--out', type=Path, default=OUT)
    args = parser.parse_args()
    photographs = [read_picture(path) for path in list_pictures(args.photographs, recursive=True)]
    hits, fault_count, per_seed = Counter(), Counter(), []
    pictures = seconds = 0
    alarms: list[Finding] = []
    missed: list[str] = []
    for seed in range(args.seeds):
        inserted, report = run(photographs, seed)
        found, false = inserted.found(report.findings), inserted.alarms(report.findings)
        for fault, hit in found.items():
            kind = fault if fault.startswith('near') else fault.split(',')[0]
            hits[kind] += hit
            fault_count[kind] += 1
        alarms += false
        missed += [f'seed {seed}: {fault}' for fault, hit in found.items() if not hit]
        files = sum(count.files for count in report.counts.values())
        pictures, seconds = pictures + files, seconds + report.seconds
        per_seed.append({'seed': seed, 'pictures': files, 'found': sum(found.values()), 'false_alarms': len(false)})
        print(per_seed[-1], [each.text for each in false], flush=True)
    figures = {
        'photographs': len(photographs),
        'seeds': args.seeds,
        'recall': sum(hits.values()) / sum(fault_count.values()),
        'recall_by_kind': {kind: hits[kind] / number for kind, number in fault_count.items()},
        'missed': missed,
        'pictures': pictures,
        'false_alarms': len(alarms),
        'false_alarms_by_kind': dict(Counter(each.kind for each in alarms)),
        'false_alarms_per_1000': 1000 * len(alarms) / pictures,
        'ms_per_picture': 1000 * seconds / pictures,
        'per_seed': per_seed,
    }
    if args.noise:
        figures['noise_pairs'] = _noise(args.noise, args.seeds)
    figures['clean_side_named'] = recall_of_clean_warnings(
        photographs, min(100, len(photographs)), np.random.default_rng(0)
    )
    args.out.write_text(json.dumps(figures, indent=1) + '\n')
    print(json.dumps({key: value for key, value in figures.items() if key != 'per_seed'}, indent=1))


def _noise(noise: Path, seeds: int) -> dict[str, object]:
    alarms, pictures, began = [], 0, time.perf_counter()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            split_noise(noise, Path(folder), np.random.default_rng([seed, 1]))
            report = check(from_folder(Path(folder)))
        alarms += report.findings
        pictures += sum(count.files for count in report.counts.values())
    return {
        'pictures': pictures,
        'false_alarms': len(alarms),
        'false_alarms_by_kind': dict(Counter(each.kind for each in alarms)),
        'seconds': time.perf_counter() - began,
    }


if __name__ == '__main__':
    guarded(main)
