"""Check whether a candidate for the included model meets the requirements, on all test data.

    python docs/studies/weather_gate.py CHECKPOINT --data FOLDER --held-out FOLDER [--int8 FILE.onnx] [--quick]

FOLDER of --data contains the sets of ``weather_scores.PAIRS`` and the clean sets. FOLDER of --held-out contains the
photographs that ``weather_data.py`` excluded from training (OUT/test/gt). All images are restored by the public
inferencer, as 8-bit images at their original size:

- pairs in fp32, untiled: the mean PSNR of Y per set, and the smallest gain of any image;
- clean photographs, synthetic document pages and constant images: the difference between output and input;
- small crops of clean photographs, down to one pixel;
- large images, clean and with synthetic heavy rain, untiled and in tiles (--memory 200): the mean difference;
- bfloat16 compared with fp32 on a sample of every set of pairs; with --int8 also its 8-bit export (restorebox export
  --int8), on a sample of the clean sets as well;
- number of weights, and number of operations at 481x321.

Identical images count as 100 dB, the upper limit. Prints a table, writes docs/results/NAME.json and NAME.md, and exits
with 1 if a requirement is not met. --quick takes at most four images of each kind, writes nothing and exits with 0.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent))
from weather_scores import PAIRS

from restorebox.cli.common import guarded
from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.datasets.synthetic_pictures import make_page
from restorebox.degradations import build_degradation
from restorebox.engine.checkpoint import sha256
from restorebox.inference import RestoreInferencer
from restorebox.metrics.protocols import protocol
from restorebox.pixels import to_uint8

RESULTS = Path(__file__).resolve().parents[1] / 'results'
PSNR = protocol('psnr_y')

# what the second edition must reach on each set: mean PSNR of Y in dB
LEAST_MEAN = {
    'rain_pairs_sirr': 29.0,
    'rain_pairs_ddn': 29.5,
    'rain_pairs_didmdn light': 34.0,
    'rain_pairs_didmdn medium': 31.0,
    'rain_pairs_didmdn heavy': 28.5,
    'render_heavy_veil': 22.0,
    'render_hybrid_moderate': 25.5,
    'haze_pairs_its': 17.5,
    'haze_pairs_real_indoor': 19.0,
    'rain_pairs_mfdnet3': 24.0,
}
LEAST_GAIN = -0.3
CAMERA_MEAN_GAIN, CAMERA_LEAST_GAIN = -0.1, -0.5  # PolyU: photographs whose noise is hardly visible
CLEAN_MEAN, CLEAN_LEAST = 55.0, 42.0  # dB
CONSTANT_LEVELS = 2
TILES_LEVELS = 0.5  # mean difference of tiled and untiled output, in levels of 255
PRECISION_LOSS = {'bf16': 0.1, 'int8': 0.2}  # dB that may be lost in the mean of a set
CLEAN_LOSS = 1.0  # the same of clean pictures
SAMPLE, CLEAN_SAMPLE = 6, 25  # pictures of a set
TFLOP, WEIGHTS = 0.1, 4_000_000
LEVELS = tuple(range(0, 256, 17))  # 16 constant frames
PAGES, PAGE_SEED = 30, 2_000_000  # training draws its pages from keys below a million
SMALL = ((1, 1), (1, 40), (7, 5), (16, 16), (33, 64), (64, 64), (96, 128))


@dataclass
class Line:
    """A measured value and whether it meets the requirement."""

    what: str
    pictures: int
    measured: float
    bound: str
    passed: bool
    rest: dict


def pair(record: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return the degraded and clean picture of a record, HWC uint8."""

    def role(name: str) -> np.ndarray:
        picture = read_picture(record['paths'][name])
        if name in record.get('halves', {}):
            part, parts = record['halves'][name]
            width = picture.shape[1] // parts
            picture = picture[:, part * width : (part + 1) * width]
        return np.ascontiguousarray(picture)

    return role('lq'), role('gt')


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the PSNR of Y of two uint8 pictures."""
    return PSNR(a / 255, b / 255)


def thinned(items: list, count: int) -> list:
    """Return at most ``count`` items, evenly spaced."""
    return items if len(items) <= count else [items[i * len(items) // count] for i in range(count)]


def at_least(what: str, values: list[float], bound: float, least: float, rest: dict | None = None) -> list[Line]:
    """Return two lines: mean and minimum."""
    rest = rest or {}
    return [
        Line(
            f'{what}: mean', len(values), statistics.mean(values), f'>= {bound}', statistics.mean(values) >= bound, rest
        ),
        Line(f'{what}: least', len(values), min(values), f'>= {least}', min(values) >= least, {}),
    ]


def loses(what: str, losses: list[float], bound: float) -> Line:
    """Return the line of a mean loss in dB."""
    loss = statistics.mean(losses)
    return Line(what, len(losses), loss, f'<= {bound}', loss <= bound, {})


class Gate:
    """A candidate (untiled, tiled and in coarser precisions) and its measured values."""

    def __init__(self, checkpoint: str, int8: str | None, quick: bool) -> None:
        self.whole = RestoreInferencer(checkpoint, device='cpu', memory=16384, precision='fp32')
        self.tiled = RestoreInferencer(checkpoint, device='cpu', memory=200, precision='fp32')
        self.coarser = {'bf16': RestoreInferencer(checkpoint, device='cpu', memory=16384, precision='bf16')}
        if int8 is not None:
            self.coarser['int8'] = RestoreInferencer(int8, device='cpu', memory=16384)
        self.count = 4 if quick else 10**9
        self.lines: list[Line] = []
        self.pictures: dict[str, dict] = {}

    def pairs(self, data: Path) -> None:
        """Score every set of pairs, and the coarser precisions on a sample of each."""
        for name, (folder, list_pairs) in PAIRS.items():
            rows, losses = {}, {key: [] for key in self.coarser}
            records = thinned(list(list_pairs(data / folder)), self.count)
            sample = {record['name'] for record in thinned(records, SAMPLE)}
            for record in records:
                lq, gt = pair(record)
                restored = self.whole(lq)
                rows[record['name']] = (psnr(lq, gt), psnr(restored, gt))
                if record['name'] in sample:
                    for key, coarser in self.coarser.items():
                        losses[key].append(rows[record['name']][1] - psnr(coarser(lq), gt))
            self.pictures[name] = rows
            before, after = (statistics.mean(row[i] for row in rows.values()) for i in (0, 1))
            gains = [b - a for a, b in rows.values()]
            rest = {'input': before, 'gain': after - before}
            if name in LEAST_MEAN:
                bound = LEAST_MEAN[name]
                self.lines.append(Line(f'{name}: mean', len(rows), after, f'>= {bound}', after >= bound, rest))
                self.lines.append(
                    Line(f'{name}: least gain', len(rows), min(gains), f'>= {LEAST_GAIN}', min(gains) >= LEAST_GAIN, {})
                )
            else:
                self.lines += at_least(f'{name}: gain', gains, CAMERA_MEAN_GAIN, CAMERA_LEAST_GAIN, rest)
            for key, each in losses.items():
                self.lines.append(loses(f'{name}: {key} loses', each, PRECISION_LOSS[key]))

    def clean(self, name: str, pictures: Iterable[tuple[str, np.ndarray]]) -> None:
        """Measure the difference between clean pictures and their output."""
        pictures = list(pictures)
        rows = {key: psnr(self.whole(picture), picture) for key, picture in pictures}
        self.pictures[name] = rows
        untouched = sum(value == 100 for value in rows.values())
        self.lines += at_least(name, list(rows.values()), CLEAN_MEAN, CLEAN_LEAST, {'identical': untouched})
        if 'int8' in self.coarser:
            sample = thinned(pictures, CLEAN_SAMPLE)
            losses = [rows[key] - psnr(self.coarser['int8'](picture), picture) for key, picture in sample]
            self.lines.append(loses(f'{name}: int8 loses', losses, CLEAN_LOSS))

    def constant(self) -> None:
        """Measure the largest difference in levels for constant pictures."""
        off = {}
        for level in thinned(list(LEVELS), self.count):
            frame = np.full((321, 481, 3), level, np.uint8)
            off[str(level)] = float(np.abs(self.whole(frame).astype(int) - level).max())
        self.pictures['constant frames'] = off
        worst = max(off.values())
        self.lines.append(
            Line('constant frames: levels off', len(off), worst, f'<= {CONSTANT_LEVELS}', worst <= CONSTANT_LEVELS, {})
        )

    def tiles(self, what: str, pictures: Iterable[tuple[str, np.ndarray]]) -> None:
        """Compare tiled and untiled output of large pictures."""
        rows = {}
        for key, picture in pictures:
            whole, tiled = self.whole(picture), self.tiled(picture)
            rows[key] = float(np.abs(whole.astype(int) - tiled.astype(int)).mean())
        name = f'tiled and untiled, {what}'
        self.pictures[name] = rows
        worst = max(rows.values())
        self.lines.append(
            Line(f'{name}: levels, mean', len(rows), worst, f'<= {TILES_LEVELS}', worst <= TILES_LEVELS, {})
        )

    def cost(self) -> None:
        """Measure the number of weights, and TFLOP at 481x321."""
        restorer = self.whole.restorer
        weights = sum(p.numel() for name in restorer.deployed for p in restorer.role(name).parameters())
        lq = torch.rand(1, 3, 321, 481, generator=torch.Generator().manual_seed(0))
        with FlopCounterMode(display=False) as counter:
            restorer.restore(lq, shared=restorer.estimate_shared(lq))
        tflop = counter.get_total_flops() / 1e12
        self.lines.append(Line('weights', 1, weights, f'<= {WEIGHTS}', weights <= WEIGHTS, {}))
        self.lines.append(Line('TFLOP at 481x321', 1, tflop, f'<= {TFLOP}', tflop <= TFLOP, {}))


def clean_test(data: Path) -> list[str]:
    """Return the test photographs of BSDS500 that are not the clean picture of any pair."""
    excluded = set((data / 'bsds500_clean' / 'EXCLUDED_IDS.txt').read_text().split())
    return [str(path) for path in list_pictures(data / 'bsds500_clean' / 'test') if Path(path).stem not in excluded]


def named(paths: Iterable[str]) -> Iterable[tuple[str, np.ndarray]]:
    """Yield the pictures of files with their names."""
    return ((Path(path).name, read_picture(path)) for path in paths)


def rainy(pictures: Iterable[tuple[str, np.ndarray]]) -> Iterable[tuple[str, np.ndarray]]:
    """Yield pictures with synthetic heavy rain, by seed."""
    rain = build_degradation('heavy_rain')
    for i, (name, picture) in enumerate(pictures):
        yield name, to_uint8(rain(picture, np.random.default_rng(i))['lq'])


def pages(count: int) -> Iterable[tuple[str, np.ndarray]]:
    """Yield synthetic documents and screenshots, by seed."""
    for i in range(count):
        picture = make_page((800, 1200), np.random.default_rng(PAGE_SEED + i))
        yield f'page {i}', (picture * 255).round().clip(0, 255).astype(np.uint8)


def small(paths: list[str], count: int) -> Iterable[tuple[str, np.ndarray]]:
    """Yield crops from the centre of clean photographs, in every size of SMALL."""
    for path in thinned(paths, min(count, 5)):
        picture = read_picture(path)
        for height, width in SMALL:
            top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
            crop = picture[top : top + height, left : left + width]
            yield f'{Path(path).name} {width}x{height}', np.ascontiguousarray(crop)


def table(lines: list[Line]) -> str:
    """Return all lines as Markdown."""
    out = ['| measured | pictures | value | bound | |', '|---|---|---|---|---|']
    for line in lines:
        rest = ', '.join(
            f'{key} {value:.2f}' if isinstance(value, float) else f'{key} {value}' for key, value in line.rest.items()
        )
        value = f'{line.measured:,.3f}' if line.measured < 1000 else f'{line.measured:,.0f}'
        name = line.what + (f' ({rest})' if rest else '')
        out.append(f'| {name} | {line.pictures} | {value} | {line.bound} | {"ok" if line.passed else "**missed**"} |')
    return '\n'.join(out)


def main() -> int:
    """Measure, print and write; return 1 if a requirement is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--held-out', type=Path, required=True)
    parser.add_argument('--int8', metavar='FILE.onnx', help='8-bit export of the candidate')
    parser.add_argument('--out', default='weather_gate', help='name of the files in docs/results')
    parser.add_argument('--quick', action='store_true', help='at most four pictures of everything; writes nothing')
    args = parser.parse_args()
    gate = Gate(args.checkpoint, args.int8, args.quick)
    test, held = clean_test(args.data), list_pictures(args.held_out)
    gate.pairs(args.data)
    gate.clean('BSDS test', named(thinned(test, gate.count)))
    gate.clean('held-out megapixel photographs', named(thinned(held, gate.count)))
    gate.clean('Set5', named(thinned(list_pictures(args.data / 'set5_clean'), gate.count)))
    gate.clean('drawn pages', pages(min(PAGES, gate.count)))
    gate.clean('small crops', small(test, gate.count))
    gate.constant()
    large = thinned(held, min(5, gate.count))
    gate.tiles('clean', named(large))
    gate.tiles('rainy', rainy(named(large)))
    gate.cost()
    text = table(gate.lines)
    missed = [line.what for line in gate.lines if not line.passed]
    print(text)
    print(f'\n{len(missed)} of {len(gate.lines)} bounds are missed' + (': ' + '; '.join(missed) if missed else ''))
    if not args.quick:
        facts = {
            'checkpoint_sha256': sha256(args.checkpoint),
            'protocol': 'whole 8-bit pictures at their own size through RestoreInferencer, psnr_y, cap 100 dB',
            'torch': torch.__version__,
            'date': datetime.now().astimezone().isoformat(timespec='seconds'),
            **({'int8_sha256': sha256(args.int8)} if args.int8 else {}),
            'missed': missed,
            'lines': [asdict(line) for line in gate.lines],
            'pictures': gate.pictures,
        }
        out = RESULTS / f'{args.out}.json'
        out.write_text(json.dumps(facts, indent=1) + '\n')
        out.with_suffix('.md').write_text(f'<!-- written by docs/studies/weather_gate.py -->\n\n{text}\n')
    return 1 if missed and not args.quick else 0


if __name__ == '__main__':
    guarded(lambda: sys.exit(main()))
