"""Does the temporal filter of videos lower flicker without harm? Rain over moving photographs, and its limits.

    python docs/studies/video_flicker.py /data --sheets FOLDER [--model weather]

/data has the folders urban100_clean and sunhays80_clean. Clips are rendered by docs/studies/video_clips.py, 481x321.
Reported are three clips of 48 frames (a hand-held camera, a pan, a cut) from photographs held out of the training of
`weather`, and controls: a still scene without rain, a model that is stable already (the clean frames), a fast object
over texture, a flash, a fade. The parameters of the filter were chosen on the clips of ``CHOSEN_ON``.

The warping error is that of Lai et al. (ECCV 2018), with flow and occlusion mask of the clean frames; pairs across a
cut are left out. Also measured: the cost per frame, and the peak resident memory of a process that restores a file of
200 and of 2,000 frames.

Writes docs/results/video_flicker.json and .md. The sheets are written into FOLDER and not into the repository, since
the photographs may not be passed on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import torch
from video_clips import LINE_RAIN, SIZE, Shot, frames, handheld, pan, still

from restorebox.cli.common import guarded
from restorebox.engine.measuring import resident_size
from restorebox.figures import save_sheet
from restorebox.inference import RestoreInferencer, Tiler
from restorebox.inference.flow import find_flow, flow_guide, motion_boundaries, visible, warping_error
from restorebox.inference.frame_restorer import FrameRestorer
from restorebox.inference.temporal import (
    ACTIVE,
    AGREEING,
    BY_CHANGE,
    MOST,
    SIGMA,
    TOLERANCE,
    WIDE_SIGMA,
    Flicker,
    TemporalFilter,
)
from restorebox.metrics.protocols import psnr_y
from restorebox.pixels import to_float
from restorebox.processes import end_with_parent

RESULT = Path(__file__).resolve().parents[1] / 'results' / 'video_flicker.json'
URBAN, SUN = 'urban100_clean/img_0{:02d}.jpg', 'sunhays80_clean/img_0{:02d}.jpg'
SEED = 29
REPORTED = {
    'hand-held': [Shot(URBAN.format(13), handheld)],
    'pan': [Shot(SUN.format(33), pan, LINE_RAIN)],
    'cut': [Shot(SUN.format(47), handheld, count=24), Shot(URBAN.format(32), handheld, count=24)],
}
CONTROLS = {
    'still, no rain': [Shot(SUN.format(31), still, None, count=8)],
    'hand-held, no rain': [Shot(URBAN.format(34), handheld, None, count=8)],
    'fast object, 11 pixels per frame': [
        Shot(URBAN.format(19), handheld, object=URBAN.format(51), speed=11, count=16),
    ],
    'flash every eighth frame': [
        Shot(SUN.format(36), handheld, light=lambda i: 1.7 if i % 8 == 5 else 1.0, count=16),
    ],
    'fade to black over 32 frames': [Shot(SUN.format(56), handheld, light=lambda i: 1 - i / 32, count=16)],
}
STABLE = 'stable model (clean frames)'
CHOSEN_ON = [URBAN.format(n) for n in (4, 8, 12, 16)] + [SUN.format(n) for n in (3, 5, 7, 9, 12)]
LENGTHS, SMALL = (200, 2000), (96, 128)
Restore = Callable[[np.ndarray, np.ndarray], np.ndarray]  # input frame, clean frame -> restored frame


@dataclass
class Version:
    """Scores of one version of a clip, and its last frame."""

    psnr: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    last: np.ndarray | None = None

    def add(self, frame: np.ndarray, clean: np.ndarray, flow: np.ndarray | None, mask: np.ndarray | None) -> None:
        """Add a frame; flow and mask are those from the clean frame to the previous one, None after a cut."""
        self.psnr.append(psnr_y(to_float(frame), to_float(clean)))
        if flow is not None and mask is not None and self.last is not None:
            self.error.append(warping_error(to_float(frame), to_float(self.last), flow, mask))
        self.last = frame

    def numbers(self) -> dict:
        """Means over the clip; the error in thousandths."""
        return {'psnr_y': float(np.mean(self.psnr)), 'warping_error': 1000 * float(np.nanmean(self.error))}


def measure(name: str, shots: list[Shot], restore: Restore, data: Path, sheets: Path) -> dict:
    """Restore, filter and score a clip."""
    versions = {each: Version() for each in ('clean', 'input', 'frame by frame', 'temporal', 'residuals blended')}
    residuals = TemporalFilter(domain='residual')
    temporal = FrameRestorer(lambda _: restored, 1.0, temporal=True)  # as in the command, findings included
    ends = np.cumsum([shot.count for shot in shots])
    shown = around(ends[0] if len(shots) > 1 else ends[-1] // 2)
    past, columns, seconds = None, [], {'model': 0.0, 'temporal': 0.0}
    for i, (clean, rainy) in enumerate(frames(data, shots, SEED)):
        start = time.process_time()
        restored = restore(rainy, clean)
        seconds['model'] += time.process_time() - start
        start = time.process_time()
        made = {'temporal': temporal(rainy)}
        seconds['temporal'] += time.process_time() - start
        made['residuals blended'] = residuals(rainy, restored)
        guide, flow, mask = flow_guide(clean), None, None
        if past is not None and i not in ends:
            flow = find_flow(guide, past)
            mask = visible(flow, find_flow(past, guide)) & ~motion_boundaries(flow)
        past = guide
        made |= {'clean': clean, 'input': rainy, 'frame by frame': restored}
        for each, version in versions.items():
            version.add(made[each], clean, flow, mask)
        if i in shown:
            columns.append([(f'{i}: {each}', made[each]) for each in ('input', 'frame by frame', 'temporal')])
    save_sheet(
        [list(row) for row in zip(*columns, strict=True)], sheets / f'video_{re.sub("[^a-z0-9]+", "_", name)}.png'
    )
    row = {each: version.numbers() for each, version in versions.items()}
    count = int(ends[-1])
    gains = np.subtract(versions['temporal'].psnr, versions['frame by frame'].psnr)
    flicker = temporal.flicker or Flicker()
    row |= {
        'frames': count,
        'least gain of a frame': float(gains.min()),
        'cuts found': flicker.cuts,
        'command line': {
            key: 1000 * value / max(flicker.pairs, 1)
            for key, value in (('before', flicker.before), ('after', flicker.after))
        },
        'seconds per frame': {key: value / count for key, value in seconds.items()},
    }
    return row


def around(frame: int) -> range:
    """The frames on a sheet."""
    return range(frame - 2, frame + 3)


def memory(count: int) -> float:
    """Peak resident memory in MiB of a process that restores a small clip of ``count`` frames by a small network."""
    command = [sys.executable, __file__, '--frames', str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def restore_small(count: int) -> None:
    """Write a clip, restore it with a small random network, and print the peak memory of this process."""
    from fractions import Fraction

    import av

    from restorebox.inference.video import restore_video
    from restorebox.restorers.supervised import SupervisedRestorer

    torch.manual_seed(0)
    network = dict(backbone=dict(type='DnCNN', layers=3, width=8), head=dict(type='PictureHead'))
    restorer = SupervisedRestorer(generator=network, losses=dict(pixel=dict(type='L1Loss')))
    work = FrameRestorer(Tiler(restorer.eval()), 1.0, temporal=True)
    scene = np.random.default_rng(0).integers(0, 255, (SMALL[0] // 8, SMALL[1] // 4, 3), dtype=np.uint8)
    scene = np.kron(scene, np.ones((8, 8, 1), np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'a.mp4'
        with av.open(str(path), 'w') as sink:
            stream = sink.add_stream('libx264', rate=25)
            stream.height, stream.width, stream.pix_fmt = *SMALL, 'yuv420p'
            for i in range(count):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(scene[:, i % 128 : i % 128 + SMALL[1]]))
                frame.pts, frame.time_base = i, Fraction(1, 25)
                sink.mux(stream.encode(frame))
            sink.mux(stream.encode(None))
        done = restore_video(path, Path(folder) / 'b.mp4', work)
    assert done == count
    print(resident_size('VmHWM') / 2**20)


def page(facts: dict) -> str:
    """The results as Markdown."""
    lines = [
        '<!-- written by docs/studies/video_flicker.py -->',
        '',
        '| clip | warping error, 1/1000: clean | input | frame by frame | temporal | change | PSNR (Y): input | '
        'frame by frame | temporal | change | residuals blended: warping error | PSNR (Y) |',
        '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ]
    for name, row in facts['clips'].items():
        one, new, other = row['frame by frame'], row['temporal'], row['residuals blended']
        before, after = one['warping_error'], new['warping_error']
        change = f'{100 * (after / before - 1):+.0f} %' if before > 1e-6 else '-'
        lines.append(
            f'| {name} | {row["clean"]["warping_error"]:.2f} | {row["input"]["warping_error"]:.2f} | {before:.2f} | '
            f'{after:.2f} | {change} | {row["input"]["psnr_y"]:.2f} | {one["psnr_y"]:.2f} | {new["psnr_y"]:.2f} | '
            f'{new["psnr_y"] - one["psnr_y"]:+.2f} | {other["warping_error"]:.2f} | {other["psnr_y"]:.2f} |'
        )
    cost = [row['seconds per frame'] for name, row in facts['clips'].items() if name in REPORTED]
    model, ours = (1000 * float(np.mean([each[key] for each in cost])) for key in ('model', 'temporal'))
    peaks = ' and '.join(f'{value:.0f} MiB after {key} frames' for key, value in facts['peak memory, MiB'].items())
    lines += [
        '',
        f'At 481x321 on one core the temporal filter takes {ours:.0f} ms of processor time per frame, and the model '
        f'{model:.0f} ms. The peak memory of a process that restores a small clip is {peaks}.',
    ]
    return '\n'.join(lines) + '\n'


def measure_clip(name: str, data: Path, sheets: Path, model: str) -> dict:
    """Return the row of a clip, in a process of its own."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if name == STABLE:
        shots = [Shot(SUN.format(59), handheld, count=12)]
        return measure('stable', shots, lambda _, clean: clean, data, sheets)
    inferencer = RestoreInferencer(model, device='cpu', precision='fp32')
    return measure(name, (REPORTED | CONTROLS)[name], lambda rainy, _: inferencer.tiler(rainy), data, sheets)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, nargs='?')
    parser.add_argument('--sheets', type=Path, help='folder for the sheets')
    parser.add_argument('--model', default='weather')
    parser.add_argument('--jobs', type=int, default=2, help='clips that are measured at once')
    parser.add_argument('--frames', type=int, help='only print the peak memory of a clip of so many frames')
    args = parser.parse_args()
    if args.frames:
        restore_small(args.frames)
        return
    if args.data is None or args.sheets is None:
        parser.error('give the folder of the photographs, and --sheets')
    args.sheets.mkdir(parents=True, exist_ok=True)
    facts: dict = {
        'date': datetime.now().strftime('%Y-%m-%d'),
        'model': args.model,
        'size': list(SIZE),
        'threads': 1,
        'parameters': dict(
            MOST=MOST,
            TOLERANCE=TOLERANCE,
            BY_CHANGE=BY_CHANGE,
            ACTIVE=ACTIVE,
            SIGMA=SIGMA,
            WIDE_SIGMA=WIDE_SIGMA,
            AGREEING=AGREEING,
        ),
        'parameters chosen on': CHOSEN_ON,
        'photographs': {name: [shot.photograph for shot in shots] for name, shots in (REPORTED | CONTROLS).items()},
        'clips': {},
        'peak memory, MiB': {str(count): memory(count) for count in LENGTHS},
    }
    print(facts['peak memory, MiB'], flush=True)
    names = [*REPORTED, *CONTROLS, STABLE]
    rows = {}
    with ProcessPoolExecutor(args.jobs, multiprocessing.get_context('spawn'), initializer=end_with_parent) as pool:
        futures = {pool.submit(measure_clip, name, args.data, args.sheets, args.model): name for name in names}
        for future in as_completed(futures):
            rows[futures[future]] = future.result()
            print(futures[future], json.dumps(future.result()), flush=True)
    facts['clips'] = {name: rows[name] for name in names}
    RESULT.write_text(json.dumps(facts, indent=1) + '\n')
    RESULT.with_suffix('.md').write_text(page(facts))


if __name__ == '__main__':
    guarded(main)
